"""The story of the demo, told on a running stack: `python -m mereau.cli.story DATA_DIR [--json]`.

Partners with allowances, real sales, rewards, redemptions, a voucher used, the trail exported, verified by a
process that shares nothing with the server, and everything compared. Each step must hold or the story fails.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from mereau.auth import service as auth
from mereau.auth.domain import Role
from mereau.auth.service import KeyDraft
from mereau.chain import queries_ledger as chain_queries
from mereau.cli.importing import Imported, drain, import_file
from mereau.cli.output import Reporter, emit_json, emit_table, progress, say
from mereau.cli.session import Desk, desk_on
from mereau.cli.stack import settings_of
from mereau.cli.state import running
from mereau.core.db import snapshot, transaction
from mereau.core.errors import ConfigurationError, MereauError, UnavailableError
from mereau.core.layout import Layout, read_voucher_secret
from mereau.ledger.reconciliation.service import Report, reconcile
from mereau.ledger.registry import service as registry
from mereau.ledger.trail.service import ExportReport, export_trail
from mereau.partners import service as partners
from mereau.partners.models import Partner
from mereau.partners.service import PartnerDraft
from mereau.rewards import service as rewards
from mereau.rewards.catalogue.domain import RewardDraft
from mereau.rewards.models import Redemption, Reward
from mereau.wallets import service as wallets

_EXTRACT: Final = "data/online_retail_france.csv.gz"
_MAPPING: Final = "online-retail"
_ACTOR: Final = "demo"
_REDEEMERS: Final = 3
_GRANT_S: Final = 60.0
_POLL_S: Final = 0.2
_FAILED: Final = 1

_SHOP: Final = PartnerDraft("boutique-en-ligne", "Boutique en ligne", 1_000_000, 500_000)
_BOOKS: Final = PartnerDraft("librairie-du-pont", "Librairie du Pont", 50_000, 10_000)
_CAFE: Final = PartnerDraft("cafe-des-arts", "Café des Arts", 50_000, 10_000)


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that happened, for the summary."""

    imported: Imported
    redemptions: Sequence[Redemption]
    used: Redemption
    exported: ExportReport
    verified: bool
    comparison: Report
    duration_s: float

    @property
    def ok(self) -> bool:
        granted = all(item.state in {"granted", "used"} for item in self.redemptions)
        return granted and self.used.state == "used" and self.verified and self.comparison.drift_tokens == 0


async def tell(desk: Desk, report: Reporter) -> Told:
    """Do all of it, in order. Raises a MereauError where a step cannot be done at all."""
    began = time.monotonic()
    shop, books, cafe = await _take_in_partners(desk)
    with as_file(files("mereau.integrations") / _EXTRACT) as file:
        imported = await import_file(desk, file, mapping=_MAPPING, partner_id=shop.id, report=report)
    offered = await _offer_rewards(desk, books, cafe)
    redemptions = await _granted(desk, await _redeem(desk, offered), report)
    used = await _use_first(desk, redemptions, offered[0].partner_id)
    await drain(desk, report)
    folder = Layout(desk.settings.data_dir).root / "trail"
    exported = await export_trail(desk.engine, folder, on_progress=lambda count: report("exported", count, None))
    verified = await asyncio.to_thread(_verify, folder, desk.stack.chain_url)
    comparison = await reconcile(desk.engine, desk.rpc)
    return Told(imported, redemptions, used, exported, verified, comparison, time.monotonic() - began)


async def _take_in_partners(desk: Desk) -> list[Partner]:
    now = desk.clock.now()
    async with transaction(desk.engine) as session:
        taken = [await partners.create(session, draft, now) for draft in (_SHOP, _BOOKS, _CAFE)]
        for partner in taken:
            await registry.register_partner(session, partner, now, actor=_ACTOR)
    return taken


async def _offer_rewards(desk: Desk, books: Partner, cafe: Partner) -> list[Reward]:
    drafts = [
        RewardDraft("cafe-gourmand", cafe.id, "Un café gourmand", "Coffee with petits fours", 250, stock=100),
        RewardDraft("bon-livre", books.id, "Bon de 10 € en librairie", "EUR 10 bookshop voucher", 1_000, stock=20),
    ]
    now = desk.clock.now()
    async with transaction(desk.engine) as session:
        return [await rewards.create_reward(session, draft, now, actor=_ACTOR) for draft in drafts]


async def _redeem(desk: Desk, offered: Sequence[Reward]) -> list[str]:
    """The members with the largest balances take the rewards in turn."""
    async with snapshot(desk.engine) as session:
        balances = await chain_queries.all_balances(session)
        holders = {wallet: member for member, wallet in (await wallets.all_member_addresses(session)).items()}
    richest = sorted(balances, key=lambda wallet: (-balances[wallet], wallet))[:_REDEEMERS]
    now = desk.clock.now()
    ordered = []
    for place, wallet in enumerate(richest):
        reward = offered[place % len(offered)]
        async with transaction(desk.engine) as session:
            wish = rewards.Wish(holders[wallet], reward.id, f"demo-{place + 1}")
            redemption = await rewards.redeem(session, wish, now)
        ordered.append(redemption.id)
    return ordered


async def _granted(desk: Desk, redemption_ids: Sequence[str], report: Reporter) -> list[Redemption]:
    """Wait until every burn is final and its voucher there."""
    deadline = time.monotonic() + _GRANT_S
    while True:
        async with snapshot(desk.engine) as session:
            found = [await rewards.get_redemption(session, id_) for id_ in redemption_ids]
        granted = sum(item.state == "granted" for item in found)
        report("granted", granted, len(found))
        if granted == len(found):
            return found
        if time.monotonic() > deadline:
            states = ", ".join(item.state for item in found)
            raise UnavailableError(f"The redemptions were not granted within {_GRANT_S:.0f} s: {states}.")
        await asyncio.sleep(_POLL_S)


async def _use_first(desk: Desk, redemptions: Sequence[Redemption], partner_id: str) -> Redemption:
    """The partner's till uses the first voucher, by the code that the member shows."""
    secret = read_voucher_secret(Layout(desk.settings.data_dir))
    code = rewards.voucher_of(redemptions[0], secret)
    now = desk.clock.now()
    async with transaction(desk.engine) as session:
        key, _ = await auth.create_api_key(session, KeyDraft(Role.PARTNER, "till", partner_id=partner_id), now)
        return await rewards.use(session, partner_id=partner_id, key_id=key.id, now=now, code=code)


def _verify(folder: Path, chain_url: str) -> bool:
    """Run `mereau-verify` as anybody would; what it says goes to standard error."""
    program = "from mereau_verify.cli import main; main()"
    command = [sys.executable, "-c", program, str(folder), "--rpc", chain_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        say(done.stdout + done.stderr)
    return done.returncode == 0


def summary(told: Told, desk: Desk) -> list[tuple[str, str, object]]:
    """(key, French and English words, value)."""
    figures = told.imported.report
    layout = Layout(desk.settings.data_dir)
    return [
        ("sales_recorded", "Ventes / sales", figures.sales_recorded),
        ("returns_recorded", "Retours / returns", figures.returns_recorded),
        ("members", "Membres / members", figures.members),
        ("tokens_credited", "Jetons émis / tokens issued", figures.tokens_credited),
        ("tokens_reversed", "Jetons repris / tokens reversed", figures.tokens_reversed),
        ("tokens_redeemed", "Jetons échangés / tokens redeemed", sum(item.tokens for item in told.redemptions)),
        ("redemptions_granted", "Récompenses accordées / granted", len(told.redemptions)),
        ("voucher_used", "Bon utilisé / voucher used", told.used.state == "used"),
        ("operations_exported", "Opérations publiées / published", told.exported.operations),
        ("trail", "Piste / trail", told.exported.folder),
        ("verified", "Vérification indépendante / verified", told.verified),
        ("supply_tokens", "Jetons en circulation / supply", told.comparison.supply_chain),
        ("accounts_checked", "Soldes comparés / balances compared", told.comparison.accounts_checked),
        ("drift_tokens", "Écart / drift", told.comparison.drift_tokens),
        ("duration_s", "Durée (s) / duration (s)", round(told.duration_s, 1)),
        ("api_url", "API", f"{desk.stack.api_url}/api/v1/openapi.json"),
        ("chain_url", "Chaîne / chain", desk.stack.chain_url),
        ("operator_key_file", "Clé opérateur / operator key", layout.operator_key),
    ]


async def run(data_dir: Path, *, as_json: bool) -> bool:
    """Tell the story on the stack that runs on `data_dir`; whether every step held."""
    settings = settings_of(data_dir)
    stack = running(Layout(settings.data_dir))
    if stack is None:
        raise ConfigurationError(f"Nothing runs on {settings.data_dir}. Start with `mereau demo`.")
    async with desk_on(settings, stack) as desk:
        with progress(quiet=as_json) as report:
            told = await tell(desk, report)
        rows = summary(told, desk)
        if as_json:
            emit_json({"ok": told.ok, **{key: value for key, _, value in rows}})
        else:
            emit_table("Mereau démo / demo", [(words, value) for _, words, value in rows])
        return told.ok


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m mereau.cli.story")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        ok = asyncio.run(run(options.data_dir, as_json=options.json))
    except MereauError as error:
        say(f"error: {error.detail}")
        ok = False
    sys.exit(0 if ok else _FAILED)


if __name__ == "__main__":
    main(sys.argv[1:])
