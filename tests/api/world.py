"""A served installation on a real database: a programme, two partners, two members, and a key for everybody."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from factories.ledger import SEED, LedgerWorld
from fixtures.kept import bring_back, put_away
from mereau.app import create_app
from mereau.auth import service as auth
from mereau.auth.domain import Principal, Role
from mereau.auth.service import KeyDraft
from mereau.core.config import Settings
from mereau.core.db import transaction
from mereau.core.ids import new_id
from mereau.outbox import service as outbox
from mereau.programs import service as programs
from mereau.programs.service import ProgramDraft
from mereau.rewards import service as rewards
from mereau.wallets import service as wallets

SECRET = bytes(range(32, 64))
RULE = {"external_id": "base", "rate": {"tokens": 1, "per_minor": 100}}
SOLD_AT = "2026-01-05T09:30:00Z"
EPOCH_S = 30 * 86_400


def settings(**changes: Any) -> Settings:
    """Settings that no environment and no file of the machine has a say in."""
    fields: dict[str, Any] = {"database_url": None, "chain_url": None, "data_dir": Path("unused")}
    return Settings(_env_file=None, **fields | changes)


def serve(engine: AsyncEngine, **changes: Any) -> FastAPI:
    return create_app(settings(**changes), engine=engine, voucher_secret=SECRET)


@asynccontextmanager
async def client_of(app: FastAPI, key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, through HTTP messages but no socket; exceptions of ours are 500s here too."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://mereau.test/api/v1", headers=headers) as client:
        yield client


class Hand(LedgerWorld):
    """The ledger's hand, with ids of the form that the API shows."""

    def next_id(self, prefix: str = "ent") -> str:
        return new_id(prefix, self.now)


@dataclass
class ApiWorld:
    """`keys` by identity; `ids` by what they name. Amounts are small and round."""

    app: FastAPI
    engine: AsyncEngine
    client: httpx.AsyncClient
    keys: dict[str, str] = field(default_factory=dict)
    key_ids: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: count(1))

    @property
    def hand(self) -> LedgerWorld:
        """Moves orders as the chain would."""
        return Hand(self.engine, now=datetime.now(UTC), blocks=self.numbers)

    async def send(
        self, who: str | None, method: str, path: str, body: Any = None, *, key: str | None = None, **options: Any
    ) -> httpx.Response:
        """One request as `who`; writes get an Idempotency-Key of their own unless `key` names one."""
        headers: dict[str, str] = dict(options.pop("headers", {}))
        if who is not None:
            headers["authorization"] = f"Bearer {self.keys[who]}"
        if method == "POST":
            headers.setdefault("idempotency-key", key or f"test-{next(self.numbers)}")
        if body is not None:
            options["content" if isinstance(body, bytes) else "json"] = body
        return await self.client.request(method, path, headers=headers, **options)

    async def get(self, who: str | None, path: str, **params: Any) -> httpx.Response:
        return await self.send(who, "GET", path, params=params)

    async def post(self, who: str | None, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.send(who, "POST", path, body, **options)

    async def made(self, who: str, path: str, body: Any) -> dict[str, Any]:
        """The answer of a write that must succeed."""
        response = await self.post(who, path, body)
        assert response.status_code in {200, 201, 202}, response.text
        found: dict[str, Any] = response.json()
        return found

    def a_sale(self, **changes: Any) -> dict[str, Any]:
        """A sale of 12.00 to member A: 12 tokens."""
        return {
            "external_id": f"R-{next(self.numbers)}",
            "member": {"id": self.ids["member_a"]},
            "occurred_at": SOLD_AT,
            "currency": "EUR",
            "lines": [{"sku": "bread", "quantity": 3, "unit_price_minor": 400}],
        } | changes

    async def a_redemption(self) -> dict[str, Any]:
        """Member A asks for the reward of partner A; the burn is under way."""
        path = f"/members/{self.ids['member_a']}/redemptions"
        return await self.made("member_a", path, {"reward_id": self.ids["reward"]})

    async def mine_everything(self) -> None:
        """See every waiting order mined and final, credits first; `batch` is the last batch."""
        hand = self.hand
        groups: dict[tuple[bool, str, int], list[str]] = {}
        for order in (await hand.orders()).values():
            if order.state == "queued" and order.kind != "admin":
                line = (order.kind != "issue", order.kind, order.partner_number)
                groups.setdefault(line, []).append(order.id)
        for line in sorted(groups):
            self.ids["batch"] = await hand.mine(*groups[line])
            await hand.follow(final=[self.ids["batch"]])

    async def deploy(self) -> None:
        """A contract's identity, as `mereau up` stores it; it protects credits for up to sixty days."""
        await self.hand.write(
            "insert into chain_deployment"
            " (id, chain_id, genesis_hash, contract, code_hash, block_number, block_hash, epoch_s)"
            " values (1, 20826, :hash, :address, :hash, 0, :hash, :epoch_s)",
            hash=bytes(32),
            epoch_s=EPOCH_S,
            address=bytes(20),
        )

    async def grant(self, redemption: Mapping[str, Any]) -> str:
        """See the burn final, and the voucher granted; its code as its member sees it."""
        await self.mine_everything()
        async with transaction(self.engine) as session:
            events = await outbox.read_after(session, "test", 1_000)
            await rewards.on_events(session, events, SECRET, datetime.now(UTC))
            await outbox.advance(session, "test", events[-1].seq)
        seen = (await self.get("member_a", f"/redemptions/{redemption['id']}")).json()
        assert seen["state"] == "granted"
        return str(seen["voucher_code"])

    async def add_key(self, name: str, role: Role, granter: Principal | None = None, **owner: Any) -> str:
        async with transaction(self.engine) as session:
            key, plain = await auth.create_api_key(
                session, KeyDraft(role, name, **owner), datetime.now(UTC), granter=granter
            )
        self.keys[name], self.key_ids[name] = plain, key.id
        return plain

    async def fingerprint(self) -> dict[str, tuple[int, str]]:
        """Rows and checksum of every table: equal before and after means that nothing changed."""
        async with self.engine.connect() as connection:
            tables = await connection.scalars(
                text("select tablename from pg_tables where schemaname = 'public' order by tablename")
            )
            found = {}
            for table in tables.all():
                row = await connection.execute(
                    text(
                        "select count(*), md5(coalesce(string_agg(t::text, chr(10) order by t::text), ''))"
                        f' from "{table}" t'
                    )
                )
                rows, digest = row.one()
                found[table] = (rows, digest)
        return found


async def _people(world: ApiWorld) -> None:
    for letter in "ab":
        partner = await world.made("operator", "/partners", {"external_id": f"shop-{letter}", "name": f"Shop {letter}"})
        world.ids[f"partner_{letter}"] = partner["id"]
        await world.add_key(f"partner_{letter}", Role.PARTNER, partner_id=partner["id"])
        member = await world.made(f"partner_{letter}", "/members", {"external_id": f"card-{letter}"})
        world.ids[f"member_{letter}"] = member["id"]
        await world.add_key(f"member_{letter}", Role.MEMBER, member_id=member["id"])
    shop = f"/partners/{world.ids['partner_a']}"
    location = await world.made("partner_a", f"{shop}/locations", {"external_id": "main", "name": "Main street"})
    staff = await world.made("partner_a", f"{shop}/staff", {"external_id": "emp-1", "display_name": "Lou"})
    world.ids |= {"location": location["id"], "staff": staff["id"]}
    await world.add_key("staff", Role.STAFF, partner_id=world.ids["partner_a"], staff_id=staff["id"])
    await world.add_key("auditor", Role.AUDITOR)
    await world.add_key("revoked", Role.OPERATOR)
    async with transaction(world.engine) as session:
        await auth.revoke(session, world.key_ids["revoked"], datetime.now(UTC))


async def _business(world: ApiWorld) -> None:
    """An active rule, a sale of 120 tokens to member A at partner A, a reward of 50 there."""
    rule = await world.made("operator", "/earning-rules", RULE)
    await world.made("operator", f"/earning-rules/{rule['id']}/activate", None)
    sale = await world.made("partner_a", "/sales", world.a_sale(lines=[{"sku": "cake", "amount_minor": 12_000}]))
    reward = await world.made(
        "operator",
        "/rewards",
        {
            "external_id": "coffee",
            "partner_id": world.ids["partner_a"],
            "name_fr": "Un café",
            "name_en": "A coffee",
            "price_tokens": 50,
        },
    )
    world.ids |= {"rule": rule["id"], "sale": sale["id"], "reward": reward["id"]}


async def _furnish(world: ApiWorld) -> None:
    async with transaction(world.engine) as session:
        draft = ProgramDraft("demo", "Démo", "Demo", "Point", "PT")
        await programs.create(session, draft, datetime.now(UTC))
        await wallets.init_branches(session, SEED)
        await wallets.ensure_role_wallets(session)
    await world.add_key("operator", Role.OPERATOR)
    await _people(world)
    await _business(world)


@asynccontextmanager
async def open_world(engine: AsyncEngine, **changes: Any) -> AsyncIterator[ApiWorld]:
    """The world on an empty, migrated database; made through the API once, and brought back from then on."""
    app = serve(engine, **changes)
    async with client_of(app) as client:
        world = ApiWorld(app, engine, client)
        notes = await bring_back(engine)
        if notes is None:
            await _furnish(world)
            await put_away(
                engine,
                {"keys": world.keys, "key_ids": world.key_ids, "ids": world.ids, "next": next(world.numbers)},
            )
        else:
            world.keys, world.key_ids, world.ids = notes["keys"], notes["key_ids"], notes["ids"]
            world.numbers = count(notes["next"])
        yield world
