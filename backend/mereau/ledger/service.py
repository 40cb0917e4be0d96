"""THE door for tokens: every credit, return and redemption passes here, with its chain order, in one transaction.

Lock order, for all that follows: chain orders, wallets, accounts by member id. A transaction that moves tokens
of several members names them all in one call, or may have to be repeated when PostgreSQL finds a deadlock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mereau.chain import queries_ledger as chain_queries
from mereau.core.amounts import MAX_TOKENS
from mereau.core.db import WriteSession
from mereau.core.errors import FieldError, InvalidInputError, NotFoundError
from mereau.ledger import events, repository
from mereau.ledger.domain import (
    EntryKind,
    Line,
    Lot,
    LotBook,
    ReasonCode,
    Returned,
    allocate,
    correct,
    take_back,
)
from mereau.ledger.errors import (
    HoldSettledError,
    InsufficientBalanceError,
    MemberInactiveError,
    RedemptionsFrozenError,
)
from mereau.ledger.lineage.service import recover_refunded
from mereau.ledger.posting import service as posting
from mereau.ledger.progress.domain import Rejection
from mereau.ledger.progress.service import on_rejected, settle
from mereau.ledger.queries import Balance, EntryView, balance, entries, statuses
from mereau.ledger.repository import Decision
from mereau.members import service as members
from mereau.outbox import service as outbox
from mereau.programs import service as programs
from mereau.wallets import service as wallets

__all__ = [
    "Balance",
    "Credit",
    "EntryView",
    "PostedEntry",
    "PostedReversal",
    "Reversal",
    "balance",
    "credit",
    "entries",
    "hold",
    "on_rejected",
    "reverse",
    "settle",
    "statuses",
    "void_hold",
]


@dataclass(frozen=True, slots=True)
class Credit:
    """Tokens that a partner grants. Active from `activates_at`, which may have passed; None expires never.

    `source_id` and `source_reference` name the document (a sale's id and the partner's own number of it),
    `rule` the version of the rule that decided. `entry_id` makes the credit count once.
    """

    entry_id: str
    member_id: str
    partner_id: str
    staff_id: str | None
    tokens: int
    source_id: str
    source_reference: str
    rule: str | None
    reason_code: str
    occurred_at: datetime
    activates_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class PostedEntry:
    """An entry as it was posted; `state` is `pending` or `accepted`."""

    entry_id: str
    member_id: str
    tokens: int
    state: str
    wallet: bytes


@dataclass(frozen=True, slots=True)
class Reversal:
    """Tokens of one credit that a return takes back; `partner_id` is the one that issued them.

    `by_hand` is a correction instead: of what is free alone, and no return of the credit's goods.
    """

    entry_id: str
    credit_entry_id: str
    tokens: int
    partner_id: str
    staff_id: str | None
    source_id: str
    source_reference: str
    reason_code: str
    occurred_at: datetime
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class PostedReversal:
    """What became of a reversal's tokens; the four figures sum to them. No entry where none was reversed on chain."""

    entry_id: str | None
    cancelled_tokens: int
    reversed_tokens: int
    debt_tokens: int
    forgiven_tokens: int


def _check(items: Iterable[tuple[int, str]]) -> None:
    """Refuse figures and reasons that no record can carry."""
    errors = []
    for i, (tokens, reason_code) in enumerate(items):
        if not 0 < tokens <= MAX_TOKENS:
            errors.append(FieldError(f"/{i}/tokens", "out_of_range", "Must be between 1 and 2^53 - 1."))
        if reason_code not in set(ReasonCode):
            errors.append(FieldError(f"/{i}/reason_code", "unknown", "Must be a known reason code."))
    if errors:
        raise InvalidInputError("The entries are not valid.", errors=errors)


def _credit_line(item: Credit, wallet: bytes, now: datetime) -> Line:
    document_salt, record_salt = posting.new_salts()
    return Line(
        id=item.entry_id,
        member_id=item.member_id,
        partner_id=item.partner_id,
        staff_id=item.staff_id,
        kind=EntryKind.ISSUE,
        state="pending" if item.activates_at > now else "accepted",
        tokens=item.tokens,
        source_id=item.source_id,
        source_reference=item.source_reference,
        rule=item.rule,
        reason_code=item.reason_code,
        wallet=wallet,
        document_salt=document_salt,
        record_salt=record_salt,
        occurred_at=item.occurred_at,
        activates_at=item.activates_at,
    )


def _credit_lot(item: Credit, state: str) -> Lot:
    return Lot(
        entry_id=item.entry_id,
        member_id=item.member_id,
        partner_id=item.partner_id,
        state="pending" if state == "pending" else "active",
        tokens=item.tokens,
        remaining=item.tokens,
        held=0,
        spent=0,
        reversed=0,
        expired=0,
        unmet=0,
        activates_at=item.activates_at,
        expires_at=item.expires_at,
    )


async def credit(session: WriteSession, credits_: Sequence[Credit], now: datetime) -> list[PostedEntry]:
    """Post credits, in a constant number of statements; the entries in the order of the credits.

    Those that activate later stay pending, off chain, until the job activates them; the others are ordered on
    chain at once. Opens wallets and accounts where there are none. Locks the accounts.
    InvalidInputError for tokens out of range or an unknown reason; NotFoundError for an unknown partner;
    psycopg's IntegrityError for an entry id that exists.
    """
    _check((item.tokens, item.reason_code) for item in credits_)
    if not credits_:
        return []
    member_ids = [item.member_id for item in credits_]
    addresses = await wallets.ensure_member_wallets(session, member_ids, now)
    lines = [_credit_line(item, addresses[item.member_id], now) for item in credits_]
    lots = [_credit_lot(item, line.state) for item, line in zip(credits_, lines, strict=True)]
    await posting.post(session, lines, {lot.entry_id: lot.expires_at for lot in lots}, now)
    await repository.add_lots(session, lots)
    book = LotBook([])
    for lot in lots:
        book.put(lot)
    # Last, for what is added asks for no balance: others wait for these locks as short as can be.
    await repository.lock_accounts(session, member_ids)
    await repository.change_accounts(session, book.changes())
    return [PostedEntry(line.id, line.member_id, line.tokens, line.state, line.wallet) for line in lines]


def _reverse_line(item: Reversal, origin: Line, tokens: int) -> Line:
    document_salt, record_salt = posting.new_salts()
    return replace(
        origin,
        id=item.entry_id,
        staff_id=item.staff_id,
        kind=EntryKind.REVERSE,
        state="accepted",
        tokens=tokens,
        source_id=item.source_id,
        source_reference=item.source_reference,
        reason_code=item.reason_code,
        document_salt=document_salt,
        record_salt=record_salt,
        occurred_at=item.occurred_at,
        activates_at=item.occurred_at,
    )


async def _origins(session: WriteSession, reversals: Sequence[Reversal]) -> dict[str, Line]:
    """The credits that are to be reversed, each by the partner that issued it."""
    origins = await repository.lines(session, {item.credit_entry_id for item in reversals})
    for item in reversals:
        origin = origins.get(item.credit_entry_id)
        if origin is None or origin.kind != EntryKind.ISSUE or origin.partner_id != item.partner_id:
            raise NotFoundError(f"The partner has no credit {item.credit_entry_id}.")
    return origins


def _take_back(book: LotBook, reversals: Sequence[Reversal], policy: str) -> list[Returned]:
    outcomes = []
    for i, item in enumerate(reversals):
        lot = book.lots[item.credit_entry_id]
        try:
            if item.by_hand:
                outcome = correct(lot, item.tokens)
            else:
                outcome = take_back(lot, item.tokens, "debt" if policy == "debt" else "clamp")
        except ValueError as error:
            found = FieldError(f"/{i}/tokens", "out_of_range", "More than was credited and not yet returned.")
            raise InvalidInputError("A credit cannot be reversed twice.", errors=[found]) from error
        book.put(outcome.lot)
        outcomes.append(outcome)
    return outcomes


def _shrunk(book: LotBook, origins: dict[str, Line], outcomes: Sequence[Returned]) -> list[Decision]:
    """What becomes of pending credits of which something was cancelled: less is issued, or nothing."""
    touched = {outcome.lot.entry_id for outcome in outcomes if outcome.cancelled and outcome.lot.live}
    return [
        Decision(entry_id, "pending", None, left)
        if (left := book.lots[entry_id].remaining)
        else Decision(entry_id, "cancelled", None, origins[entry_id].tokens)
        for entry_id in touched
    ]


async def reverse(session: WriteSession, reversals: Sequence[Reversal], now: datetime) -> list[PostedReversal]:
    """Take credits back, in a constant number of statements; the outcomes in the order of the reversals.

    What is pending is cancelled and never issued; what is active and free is burned on chain by the issuing
    partner's order; for the rest the programme's policy forgives (`clamp`) or notes a debt (`debt`). Several
    reversals of one credit add up. Locks the accounts.
    NotFoundError where the partner has no such credit; InvalidInputError for more than was credited.
    """
    _check((item.tokens, item.reason_code) for item in reversals)
    if not reversals:
        return []
    policy = (await programs.current(session)).return_policy
    origins = await _origins(session, reversals)
    await repository.lock_accounts(session, (origin.member_id for origin in origins.values()))
    book = LotBook(await repository.lots_of_entries(session, origins))
    # Read again under the lock: a return or the job may have come between.
    origins = await _origins(session, reversals)
    outcomes = _take_back(book, reversals, policy)
    outcomes, takes = await recover_refunded(session, book, [item.credit_entry_id for item in reversals], outcomes)
    done = list(zip(reversals, outcomes, strict=True))
    lines = [
        _reverse_line(item, origins[item.credit_entry_id], outcome.reversed)
        for item, outcome in done
        if outcome.reversed
    ]
    await posting.post(session, lines, {}, now)
    await repository.add_uses(
        session,
        ((item.entry_id, take) for item, taken in zip(reversals, takes, strict=True) for take in taken),
    )
    await repository.decide(session, _shrunk(book, origins, outcomes))
    await posting.save(session, book)
    await repository.add_debts(session, [(origins[i.credit_entry_id].member_id, o.debt) for i, o in done if o.debt])
    cancelled = [
        events.cancelled(i.credit_entry_id, origins[i.credit_entry_id].member_id, o.cancelled)
        for i, o in done
        if o.cancelled and o.lot.live
    ]
    await outbox.publish(session, cancelled, now)
    return [
        PostedReversal(i.entry_id if o.reversed else None, o.cancelled, o.reversed, o.debt, o.forgiven) for i, o in done
    ]


async def _require_spender(session: WriteSession, member_id: str) -> None:
    if (await members.get(session, member_id)).status != "active":
        raise MemberInactiveError("The member is blocked or has left.")
    head = await chain_queries.mirror_head(session)
    if head is not None and head.frozen_reason is not None:
        raise RedemptionsFrozenError(f"Redemptions are suspended: {head.frozen_reason}")


async def hold(
    session: WriteSession,
    *,
    entry_id: str,
    member_id: str,
    partner_id: str,
    tokens: int,
    source_id: str,
    source_reference: str,
    occurred_at: datetime,
    now: datetime,
) -> PostedEntry:
    """Reserve tokens for a redemption, earliest expiry first, and order their burn; `partner_id` honours it.

    Locks the account: of redemptions side by side, those that the balance covers succeed and the others get
    InsufficientBalanceError with the tokens that they lack. A debt is set aside before anything is spent.
    RedemptionsFrozenError while the mirror doubts the chain; NotFoundError or MemberInactiveError for the member.
    """
    _check([(tokens, ReasonCode.REDEMPTION)])
    await _require_spender(session, member_id)
    addresses = await wallets.ensure_member_wallets(session, [member_id], now)
    account = (await repository.lock_accounts(session, [member_id]))[member_id]
    if missing := max(0, tokens - max(0, account.available - account.debt)):
        raise InsufficientBalanceError(missing)
    book = LotBook(await repository.free_lots(session, [member_id]))
    takes, _ = allocate(book.lots.values(), tokens)
    book.move(takes, "remaining", "held")
    document_salt, record_salt = posting.new_salts()
    line = Line(
        id=entry_id,
        member_id=member_id,
        partner_id=partner_id,
        staff_id=None,
        kind=EntryKind.REDEEM,
        state="accepted",
        tokens=tokens,
        source_id=source_id,
        source_reference=source_reference,
        rule=None,
        reason_code=ReasonCode.REDEMPTION,
        wallet=addresses[member_id],
        document_salt=document_salt,
        record_salt=record_salt,
        occurred_at=occurred_at,
        activates_at=occurred_at,
    )
    await posting.post(session, [line], {}, now)
    await repository.add_hold(session, entry_id=entry_id, member_id=member_id, tokens=tokens, now=now)
    await repository.add_uses(session, ((entry_id, take) for take in takes))
    await posting.save(session, book)
    return PostedEntry(entry_id, member_id, tokens, line.state, line.wallet)


async def void_hold(session: WriteSession, entry_id: str, reason: str, now: datetime) -> None:
    """Give a redemption's tokens back while its burn is still queued; the entry ends as rejected with `reason`.

    HoldSettledError once the burn is sealed, or being decided at this moment, or the hold is over: then the
    chain decides. Locks the account.
    """
    holders = await repository.hold_members(session, [entry_id])
    if not holders:
        raise NotFoundError("There is no such redemption.")
    # A rejected credit takes the account first and its queued debits' orders after, so this does as well. The
    # relayer that rejects this very burn holds its order and wants the account: for it alone the wait is brief.
    await repository.lock_accounts(session, holders.values())
    try:
        async with repository.brief_waits(session):
            withdrawn = await chain_queries.withdraw(session, [entry_id], reason)
    except TimeoutError:
        withdrawn = set()
    if not withdrawn:
        raise HoldSettledError("The burn is on its way to the chain, or was decided before.")
    await on_rejected(session, [Rejection(entry_id, reason)], now)
