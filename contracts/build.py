#!/usr/bin/env python3
"""Compiles the contracts with the pinned npm compiler and writes their artifacts.

`npm ci` in this folder comes first. `build.py` writes the artifacts, `build.py --check` compares them with what a
fresh compilation gives and exits 1 on any difference. Compiler settings, source unit names and sources all enter
the metadata hash, so equal bytes mean an equal build.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from solcx import compile_standard

CONTRACTS = Path(__file__).resolve().parent
ROOT = CONTRACTS.parent
SOLC = CONTRACTS / "solc"

PRODUCT_UNIT = "contracts/LoyaltyToken.sol"
TEST_UNITS = ("contracts/test/BatchMint.sol", "contracts/test/SmartWallet.sol")
PRODUCT_ARTIFACT = ROOT / "backend/mereau/chain/artifacts/LoyaltyToken.json"
VERIFIER_ARTIFACT = ROOT / "backend/mereau_verify/artifacts/LoyaltyToken.json"
TEST_ARTIFACTS = ROOT / "tests/contracts/artifacts"
# The verifier carries what it compares with the chain, and nothing that only a builder needs.
VERIFIER_KEYS = (
    "contractName",
    "compiler",
    "abi",
    "deployedBytecode",
    "immutableReferences",
    "immutables",
    "storageLayout",
)

SETTINGS = {
    "evmVersion": "cancun",
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "viaIR": True,
    "outputSelection": {
        "*": {
            "": ["ast"],
            "*": [
                "abi",
                "metadata",
                "storageLayout",
                "evm.bytecode.object",
                "evm.deployedBytecode.object",
                "evm.deployedBytecode.immutableReferences",
            ],
        },
    },
}
IMPORT = re.compile(r'\bfrom\s+"([^"]+)"\s*;')


def standard_input(unit: str) -> dict[str, Any]:
    """The standard JSON input that compiles one source unit: its sources, imports included, and the settings."""
    sources: dict[str, Any] = {}
    pending = [unit]
    while pending:
        name = pending.pop()
        if name in sources:
            continue
        content = source_path(name).read_text(encoding="utf-8")
        sources[name] = {"content": content}
        pending += [resolved(name, target) for target in IMPORT.findall(content)]
    return {"language": "Solidity", "sources": dict(sorted(sources.items())), "settings": SETTINGS}


def source_path(unit: str) -> Path:
    """Where a source unit stands on disk: our own beside this file, libraries under node_modules."""
    return (ROOT if unit.startswith("contracts/") else CONTRACTS / "node_modules") / unit


def resolved(importer: str, target: str) -> str:
    """The source unit name that an import means, by Solidity's rule for relative paths."""
    if not target.startswith("."):
        return target
    parts = importer.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def compiled(source: dict[str, Any]) -> dict[str, Any]:
    """The compiler's output; raises SolcError on errors and ValueError on warnings in our own sources."""
    output: dict[str, Any] = compile_standard(source, solc_binary=SOLC)
    warnings = [fault["formattedMessage"] for fault in output.get("errors", ())]
    if warnings:
        raise ValueError("\n".join(warnings))
    return output


def artifact(unit: str) -> dict[str, Any]:
    """Compiles one source unit and gathers the contract that bears its file's name."""
    source = standard_input(unit)
    output = compiled(source)
    name = Path(unit).stem
    contract = output["contracts"][unit][name]
    metadata = json.loads(contract["metadata"])
    code = contract["evm"]["deployedBytecode"]
    return {
        "contractName": name,
        "compiler": {"version": metadata["compiler"]["version"]},
        "abi": contract["abi"],
        "bytecode": "0x" + contract["evm"]["bytecode"]["object"],
        "deployedBytecode": "0x" + code["object"],
        "immutableReferences": code["immutableReferences"],
        "immutables": immutable_names(output["sources"], code["immutableReferences"]),
        "storageLayout": contract["storageLayout"],
        "metadata": contract["metadata"],
        "input": source,
    }


def immutable_names(sources: dict[str, Any], references: dict[str, Any]) -> dict[str, str]:
    """Maps the AST ids under which solc lists immutables to `Contract.variable`, which a reader understands."""
    names = {}
    for source in sources.values():
        for contract in source["ast"]["nodes"]:
            for member in contract.get("nodes", ()):
                if str(member["id"]) in references:
                    names[str(member["id"])] = f"{contract['name']}.{member['name']}"
    return dict(sorted(names.items()))


def rendered() -> dict[Path, str]:
    """Every artifact file and the text that belongs in it."""
    product = artifact(PRODUCT_UNIT)
    files = {
        PRODUCT_ARTIFACT: product,
        VERIFIER_ARTIFACT: {key: product[key] for key in VERIFIER_KEYS},
    }
    files |= {TEST_ARTIFACTS / f"{Path(unit).stem}.json": artifact(unit) for unit in TEST_UNITS}
    return {path: text(content) for path, content in files.items()}


def text(content: dict[str, Any]) -> str:
    """One spelling of an artifact, with lines that a diff can show."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    files = rendered()
    if arguments == ["--check"]:
        stale = [path for path, fresh in files.items() if not path.exists() or path.read_text("utf-8") != fresh]
        for path in stale:
            sys.stderr.write(f"stale: {path.relative_to(ROOT)}; run contracts/build.py and commit the result\n")
        return 1 if stale else 0
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
