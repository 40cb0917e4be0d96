"""Makes an installation ready to run: `python -m mereau.worker.prepare STEP...`. Repeating is harmless.

`keys` draws what a first start lacks. `install` brings the schema up, creates the programme with its first
earning rule, stores the wallets' public halves, puts the contract on the chain, and makes the operator's key.
The file `programme.json` in the data directory, if it is there at the first start, names the programme.
"""

import asyncio
import json
import sys
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from mereau.auth import service as auth
from mereau.auth.domain import Reach, Role
from mereau.auth.service import KeyDraft
from mereau.chain import deployment
from mereau.chain.contract import Config
from mereau.chain.errors import InsufficientFundsError
from mereau.chain.rpc import RpcClient
from mereau.core.clock import SystemClock
from mereau.core.config import Settings
from mereau.core.db import WriteSession, create_engine, snapshot, transaction
from mereau.core.errors import ConfigurationError, MereauError
from mereau.core.layout import Layout, write_private
from mereau.core.migrate import migrate
from mereau.core.pagination import PageQuery
from mereau.earning import service as earning
from mereau.programs import service as programs
from mereau.programs.lives.domain import shortest_days
from mereau.programs.models import Program
from mereau.programs.service import ProgramDraft
from mereau.programs.settings.service import lives_of
from mereau.wallets import service as wallets
from mereau.wallets.keystore import Seed
from mereau.wallets.signing import KeystoreSigner
from mereau.worker.secrets import draw_keys, unlock

ACTOR: Final = "installation"
DAY_S: Final = 86_400
GUARANTEED_LIFE_S: Final = 90 * DAY_S
EPOCH_LEAST_S: Final = 600
_MISCONFIGURED: Final = 2

DEFAULT_PROGRAM: Final = {
    "external_id": "programme",
    "name_fr": "Programme de fidélité",
    "name_en": "Loyalty programme",
    "token_name": "Point",
    "token_symbol": "PTS",
}
# One token for each whole unit of money: the plainest rule there is, to be replaced by the operator's own.
FIRST_RULE: Final = {"rate": {"tokens": 1, "per_minor": 100}, "basis": "post_discount"}


async def install(settings: Settings) -> None:
    """Everything that a database and a chain must hold before the first request.

    ConfigurationError says what to restore, to set or to pay. Killed half way, the next run goes on.
    """
    if settings.database_url is None or settings.chain_url is None:
        raise ConfigurationError("Set MEREAU_DATABASE_URL and MEREAU_CHAIN_URL, or start with `mereau up`.")
    seed = unlock(settings)
    migrate(settings.database_url)
    engine = create_engine(settings.database_url, connections_max=2)
    now = SystemClock().now()
    try:
        async with RpcClient(settings.chain_url) as rpc:
            async with transaction(engine) as session:
                program = await _program(session, Layout(settings.data_dir), now)
                await wallets.init_branches(session, seed)
                roles = await wallets.ensure_role_wallets(session)
            await _contract(engine, rpc, seed, settings, roles, program)
        await _operator_key(engine, Layout(settings.data_dir), now)
    finally:
        await engine.dispose()


async def _program(session: WriteSession, layout: Layout, now: datetime) -> Program:
    try:
        return await programs.current(session)
    except ConfigurationError:
        wish = _wish(layout)
    program = await programs.create(session, ProgramDraft(**wish), now)
    rule = await earning.create_rule(session, "standard", FIRST_RULE, now, actor=ACTOR)
    await earning.activate_rule(session, rule.id, now, actor=ACTOR)
    return program


def _wish(layout: Layout) -> dict[str, Any]:
    """What the operator wants the programme to be, over the neutral default."""
    try:
        wanted = json.loads(layout.programme.read_text())
    except FileNotFoundError:
        return dict(DEFAULT_PROGRAM)
    except ValueError as error:
        raise ConfigurationError(f"{layout.programme} is not JSON: {error}") from error
    if not isinstance(wanted, dict):
        raise ConfigurationError(f"{layout.programme} is not a JSON object.")
    unknown = sorted(set(wanted) - set(ProgramDraft.__slots__))
    if unknown:
        raise ConfigurationError(f"{layout.programme} says {', '.join(unknown)}, which a programme does not have.")
    return DEFAULT_PROGRAM | wanted


async def _contract(
    engine: AsyncEngine, rpc: RpcClient, seed: Seed, settings: Settings, roles: dict[str, bytes], program: Program
) -> None:
    """Deploy at the first start; afterwards, refuse any other chain."""
    async with transaction(engine) as session:
        try:
            await deployment.load(session)
        except ConfigurationError:
            known = False
        else:
            known = True
            await deployment.check_identity(session, rpc)
    if known:
        return
    await _check_chain_id(rpc, settings)
    signer = KeystoreSigner(seed, engine)
    try:
        deployed = await deployment.deploy(rpc, signer, roles["relayer"], config_of(program, roles))
    except InsufficientFundsError as error:
        needy = ", ".join(f"0x{roles[role].hex()} ({role})" for role in ("relayer", "partner_admin"))
        raise ConfigurationError(f"These addresses need gas money on {rpc.url}: {needy}.") from error
    async with transaction(engine) as session:
        await deployment.save(session, deployed)


async def _check_chain_id(rpc: RpcClient, settings: Settings) -> None:
    served = int(await rpc.call("eth_chainId"), 16)
    if settings.chain_id is not None and served != settings.chain_id:
        raise ConfigurationError(f"{rpc.url} serves chain {served}, MEREAU_CHAIN_ID says {settings.chain_id}.")


def config_of(program: Program, roles: dict[str, bytes]) -> Config:
    """The contract of a programme. The life that it guarantees is immutable: two epochs never outlast a token's."""
    epoch_s = GUARANTEED_LIFE_S
    if (days := shortest_days(lives_of(program).expiry)) is not None:
        epoch_s = max(EPOCH_LEAST_S, min(epoch_s, days * DAY_S // 2))
    return Config(
        name=program.token_name,
        symbol=program.token_symbol,
        contract_uri="",
        decimals=0,
        admin=roles["admin"],
        admin_delay_s=DAY_S,
        partner_admin=roles["partner_admin"],
        expirer=roles["expirer"],
        pauser=roles["pauser"],
        notice_period_s=30 * DAY_S,
        epoch_length_s=epoch_s,
        cap_period_s=DAY_S,
        transfers_open=False,
    )


async def _operator_key(engine: AsyncEngine, layout: Layout, now: datetime) -> None:
    """The first key of all goes to a file of its own; an operator who moved it away gets no second one."""
    async with snapshot(engine) as session:
        if (await auth.list_keys(session, Reach(), PageQuery(limit=1))).rows:
            return
    async with transaction(engine) as session:
        _, text = await auth.create_api_key(session, KeyDraft(Role.OPERATOR, "first operator"), now)
        # Written before the commit: a key that works and that nobody knows would be worse than the reverse,
        # and the next start replaces the file of a key that never came to be.
        write_private(layout.operator_key, text + "\n")


def main(arguments: list[str]) -> None:
    """Run the steps named; the last line of standard error says why one failed."""
    try:
        settings = Settings()
        if "keys" in arguments:
            draw_keys(settings)
        if "install" in arguments:
            asyncio.run(install(settings))
    except MereauError as error:
        print(error.detail, file=sys.stderr)  # noqa: T201 - read by the supervisor
        sys.exit(_MISCONFIGURED)


if __name__ == "__main__":
    main(sys.argv[1:])
