"""The committed artifacts are what the sources compile to, byte for byte."""

import importlib.util
import json
import subprocess
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
from eth_utils import keccak
from solcx import compile_standard
from solcx.exceptions import SolcError

from contracts.harness import ORDER_TYPES, ROOT, TEST_ARTIFACTS, Token, artifact

CONTRACTS = ROOT / "contracts"
VERIFIER_ARTIFACT = ROOT / "backend/mereau_verify/artifacts/LoyaltyToken.json"
NAMES = ("LoyaltyToken", "BatchMint", "SmartWallet")
# EIP-170: what a chain accepts as a contract's code.
CODE_SIZE_MAX = 24_576
PUSH32 = b"\x7f"


def loaded_build() -> ModuleType:
    """contracts/build.py, which is a script and no package."""
    spec = importlib.util.spec_from_file_location("contracts_build", CONTRACTS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_sources_are_those_of_the_tree(name: str) -> None:
    sources = artifact(name)["input"]["sources"]
    own = {unit: source["content"] for unit, source in sources.items() if unit.startswith("contracts/")}
    assert own
    assert own == {unit: (ROOT / unit).read_text(encoding="utf-8") for unit in own}


def test_every_contract_is_compiled() -> None:
    units = {unit for name in NAMES for unit in artifact(name)["input"]["sources"]}
    tree = {
        str(path.relative_to(ROOT))
        for path in CONTRACTS.rglob("*.sol")
        if "node_modules" not in path.relative_to(CONTRACTS).parts
    }
    assert tree <= units


def test_the_verifier_carries_the_same_build() -> None:
    product = artifact("LoyaltyToken")
    copy = json.loads(VERIFIER_ARTIFACT.read_text(encoding="utf-8"))
    assert {"abi", "deployedBytecode", "immutableReferences", "immutables", "storageLayout"} <= copy.keys()
    assert copy == {key: product[key] for key in copy}


def test_the_metadata_names_compiler_settings_and_sources() -> None:
    product = artifact("LoyaltyToken")
    metadata = json.loads(product["metadata"])
    assert metadata["compiler"]["version"] == product["compiler"]["version"] == "0.8.37+commit.f401782d"
    settings = metadata["settings"]
    assert settings["compilationTarget"] == {"contracts/LoyaltyToken.sol": "LoyaltyToken"}
    assert settings["evmVersion"] == "cancun"
    assert settings["optimizer"] == product["input"]["settings"]["optimizer"]
    hashes = {unit: source["keccak256"] for unit, source in metadata["sources"].items()}
    assert hashes == {
        unit: "0x" + keccak(text=source["content"]).hex() for unit, source in product["input"]["sources"].items()
    }


def test_the_code_fits_a_chain_and_equals_what_is_deployed(token: Token) -> None:
    """Outside its immutables the code on chain is the artifact's, and each immutable is one PUSH32."""
    product = artifact("LoyaltyToken")
    expected = bytearray.fromhex(product["deployedBytecode"][2:])
    deployed = bytearray(token.chain.w3.eth.get_code(token.contract.address))
    assert len(deployed) == len(expected) <= CODE_SIZE_MAX
    values: dict[str, set[bytes]] = {}
    for number, places in product["immutableReferences"].items():
        for place in places:
            start, end = place["start"], place["start"] + place["length"]
            assert deployed[start - 1 : start] == PUSH32
            values.setdefault(product["immutables"][number], set()).add(bytes(deployed[start:end]))
            deployed[start:end] = expected[start:end]
    assert deployed == expected
    for name in ("LoyaltyLedger.epochLength", "LoyaltyPartners.capPeriod", "LoyaltyTerms.noticePeriod"):
        assert values[name] == {token.config[name.split(".")[1]].to_bytes(32, "big")}
    assert values["LoyaltyToken.transfersOpen"] == {(0).to_bytes(32, "big")}


def test_the_order_types_are_those_of_the_sources() -> None:
    source = (CONTRACTS / "LoyaltyOrders.sol").read_text(encoding="utf-8")
    for name, fields in ORDER_TYPES.items():
        assert f'"{name}({",".join(f"{kind} {field}" for field, kind in fields)})"' in source


def test_every_error_and_event_is_explained() -> None:
    lines = (CONTRACTS / "ILoyalty.sol").read_text(encoding="utf-8").splitlines()
    for above, line in pairwise(lines):
        if line.strip().startswith(("error ", "event ")):
            assert above.strip().startswith("///"), line


@pytest.mark.node
@pytest.mark.parametrize("name", NAMES)
def test_recompiles_byte_for_byte(name: str) -> None:
    committed = artifact(name)
    output = compile_standard(committed["input"], solc_binary=CONTRACTS / "solc")
    assert "errors" not in output
    (unit,) = (unit for unit in committed["input"]["sources"] if unit.endswith(f"/{name}.sol"))
    contract: dict[str, Any] = output["contracts"][unit][name]
    assert "0x" + contract["evm"]["bytecode"]["object"] == committed["bytecode"]
    assert "0x" + contract["evm"]["deployedBytecode"]["object"] == committed["deployedBytecode"]
    assert contract["metadata"] == committed["metadata"]
    assert contract["abi"] == committed["abi"]


@pytest.mark.node
def test_the_build_gathers_the_committed_input() -> None:
    """The libraries under node_modules are those that the artifacts were built from."""
    build = loaded_build()
    for name, unit in zip(NAMES, (build.PRODUCT_UNIT, *build.TEST_UNITS), strict=True):
        assert build.standard_input(unit) == artifact(name)["input"]
    assert {path.name for path in TEST_ARTIFACTS.glob("*.json")} == {f"{name}.json" for name in NAMES[1:]}


@pytest.mark.node
def test_the_check_names_a_stale_artifact(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build = loaded_build()
    fresh = build.artifact("contracts/test/SmartWallet.sol")
    path = tmp_path / "SmartWallet.json"
    monkeypatch.setattr(build, "rendered", lambda: {path: build.text(fresh)})
    monkeypatch.setattr(build, "ROOT", tmp_path)
    assert build.main(["--check"]) == 1
    assert capsys.readouterr().err.startswith("stale: SmartWallet.json")
    assert build.main([]) == 0
    assert build.main(["--check"]) == 0
    path.write_text(path.read_text() + " ")
    assert build.main(["--check"]) == 1


@pytest.mark.node
def test_a_source_that_does_not_compile_or_warns_is_refused() -> None:
    build = loaded_build()
    for body, error in (("contract C { uint x = ; }", SolcError), ("contract C {}", ValueError)):
        source = {"language": "Solidity", "sources": {"C.sol": {"content": body}}, "settings": build.SETTINGS}
        with pytest.raises(error):
            build.compiled(source)


@pytest.mark.node
class TestCompilerWrapper:
    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CONTRACTS / "solc", *arguments], input=given, capture_output=True, text=True, check=False
        )

    def test_says_its_version(self) -> None:
        answer = self.run("--version")
        assert (answer.returncode, answer.stderr) == (0, "")
        assert "Version: 0.8.37+commit.f401782d" in answer.stdout

    def test_answers_with_json_alone(self) -> None:
        answer = self.run("--standard-json", given='{"language": "Solidity"}')
        assert (answer.returncode, answer.stderr) == (0, "")
        assert json.loads(answer.stdout)["errors"]

    def test_explains_itself(self) -> None:
        for arguments in ((), ("--help",)):
            answer = self.run(*arguments)
            assert (answer.returncode, answer.stdout) == (2, "")
            assert "usage" in answer.stderr


def test_imports_resolve_by_solidity_rules() -> None:
    build = loaded_build()
    assert build.resolved("contracts/A.sol", "./B.sol") == "contracts/B.sol"
    assert build.resolved("contracts/test/A.sol", "../B.sol") == "contracts/B.sol"
    assert build.resolved("contracts/A.sol", "@openzeppelin/contracts/x/B.sol") == "@openzeppelin/contracts/x/B.sol"
