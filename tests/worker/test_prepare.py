"""Making an installation on a real database and a real chain, and making it again."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eth_account.signers.local import LocalAccount
from web3 import HTTPProvider, Web3

from fixtures.chain import ChainNode
from mereau.core.config import Settings
from mereau.core.errors import ConfigurationError
from mereau.core.layout import Layout
from mereau.programs.models import Program
from mereau.worker.prepare import DAY_S, config_of, install, main
from mereau.worker.secrets import draw_keys

ROLES = {name: bytes([number]) * 20 for number, name in enumerate(("admin", "partner_admin", "expirer", "pauser"))}


@pytest.fixture
def settings(tmp_path: Path, database_url: str, chain_url: str) -> Settings:
    made = Settings(
        data_dir=tmp_path,
        database_url=database_url,
        chain_url=chain_url,
        keystore_password=None,
        keystore_password_file=tmp_path / "keystore.password",
    )
    draw_keys(made)
    return made


def pay(node: ChainNode, payer: LocalAccount, addresses: list[str]) -> None:
    w3 = Web3(HTTPProvider(node.url))
    for address in addresses:
        transaction = {
            "to": Web3.to_checksum_address(address),
            "value": 10**18,
            "gas": 21_000,
            "nonce": w3.eth.get_transaction_count(payer.address),
            "chainId": w3.eth.chain_id,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
        }
        sent = w3.eth.send_raw_transaction(payer.sign_transaction(transaction).raw_transaction)
        w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.02)


def fund(settings: Settings, node: ChainNode) -> None:
    pay(node, node.accounts[11], json.loads(Layout(settings.data_dir).funded.read_text()))


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url) as connection:
        return connection.execute(query).fetchall()


async def test_an_installation_is_made_once(settings: Settings, chain_node: ChainNode) -> None:
    fund(settings, chain_node)
    layout = Layout(settings.data_dir)
    await install(settings)
    key = layout.operator_key.read_text()
    deployed = rows(settings, "select contract, block_number from chain_deployment")
    assert rows(settings, "select external_id, token_symbol from programs") == [("programme", "PTS")]
    assert rows(settings, "select external_id, version, status from earning_rules") == [("standard", 1, "active")]
    assert rows(settings, "select role, count(*) from api_keys group by role") == [("operator", 1)]
    assert key.startswith("mk_live_")

    await install(settings)
    assert layout.operator_key.read_text() == key
    assert rows(settings, "select contract, block_number from chain_deployment") == deployed
    assert rows(settings, "select count(*) from api_keys") == [(1,)]

    # The key that an operator moved away is not made anew.
    layout.operator_key.unlink()
    await install(settings)
    assert not layout.operator_key.exists()


async def test_the_programme_is_the_operators(settings: Settings, chain_node: ChainNode) -> None:
    fund(settings, chain_node)
    Layout(settings.data_dir).programme.write_text(json.dumps({"name_fr": "Le Club", "token_symbol": "CLUB"}))
    await install(settings)
    found = rows(settings, "select name_fr, name_en, token_symbol from programs")
    assert found == [("Le Club", "Loyalty programme", "CLUB")]


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "is not JSON"), ("[]", "not a JSON object"), ('{"colour": "red"}', "colour")],
)
async def test_a_wrong_programme_file_is_named(settings: Settings, content: str, words: str) -> None:
    Layout(settings.data_dir).programme.write_text(content)
    with pytest.raises(ConfigurationError, match=words):
        await install(settings)
    assert rows(settings, "select count(*) from programs") == [(0,)]


async def test_the_addresses_that_need_gas_are_named(settings: Settings) -> None:
    relayer = json.loads(Layout(settings.data_dir).funded.read_text())[-1]
    with pytest.raises(ConfigurationError, match="need gas money") as refusal:
        await install(settings)
    assert relayer in refusal.value.detail
    assert rows(settings, "select count(*) from chain_deployment") == [(0,)]


async def test_a_chain_of_another_id_is_refused(settings: Settings, chain_node: ChainNode) -> None:
    fund(settings, chain_node)
    other = settings.model_copy(update={"chain_id": 1})
    with pytest.raises(ConfigurationError, match="MEREAU_CHAIN_ID says 1"):
        await install(other)
    await install(settings.model_copy(update={"chain_id": 20826}))


async def test_another_installations_keystore_is_refused(
    settings: Settings, chain_node: ChainNode, tmp_path: Path
) -> None:
    fund(settings, chain_node)
    await install(settings)
    for path in (Layout(tmp_path).funded, Layout(tmp_path).keystore):
        path.unlink()
    draw_keys(settings)
    with pytest.raises(ConfigurationError, match="keystore does not belong"):
        await install(settings)


@pytest.mark.parametrize("missing", ["database_url", "chain_url"])
async def test_both_servers_must_be_named(settings: Settings, missing: str) -> None:
    with pytest.raises(ConfigurationError, match="MEREAU_DATABASE_URL and MEREAU_CHAIN_URL"):
        await install(settings.model_copy(update={missing: None}))


@pytest.mark.parametrize(
    ("life_days", "epoch_s"), [(None, 90 * DAY_S), (365, 90 * DAY_S), (100, 50 * DAY_S), (1, DAY_S // 2)]
)
def test_the_guaranteed_life_never_outlasts_a_token(life_days: int | None, epoch_s: int) -> None:
    program = Program(
        id="prg_x", external_id="x", name_fr="x", name_en="x", token_name="x", token_symbol="X", currency="EUR",
        time_zone="UTC", activation_delay_s=0, token_life_days=life_days, return_policy="clamp",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    config = config_of(program, ROLES)
    assert config.epoch_length_s == epoch_s
    assert (config.transfers_open, config.decimals) == (False, 0)


def test_the_command_says_why_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEREAU_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("MEREAU_KEYSTORE_PASSWORD", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["keys"])
    assert ended.value.code == 2
    assert "MEREAU_KEYSTORE_PASSWORD" in capsys.readouterr().err
    monkeypatch.setenv("MEREAU_KEYSTORE_PASSWORD", "correct horse")
    main(["keys"])
    assert Layout(tmp_path).funded.exists()
