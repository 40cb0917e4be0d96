"""From the final burn to the till: granted once, shown to its member, used once by its partner."""

import asyncio
import hashlib
from datetime import timedelta

import pytest

from factories.rewards import SECRET, Counter
from mereau.core.clock import ManualClock
from mereau.core.errors import NotFoundError
from mereau.rewards import service as rewards
from mereau.rewards import tasks
from mereau.rewards.domain import voucher_code
from mereau.rewards.errors import VoucherExpiredError, VoucherNotGrantedError, VoucherUsedError

DAY = timedelta(days=1)


async def test_a_voucher_is_granted_only_once_the_burn_is_final(counter: Counter) -> None:
    """M2: mined is not enough, a reorganisation may undo it."""
    redemption = await counter.redeem(await counter.offer(validity_days=30))
    seen = [await counter.state(redemption)]
    batch = await counter.seal(redemption.entry_id)
    await counter.follow(mined=[batch])
    await counter.listen()
    seen.append(await counter.state(redemption))
    await counter.follow(reorged=[batch])
    await counter.listen()
    seen.append(await counter.state(redemption))
    await counter.follow(mined=[batch])
    await counter.follow(final=[batch])
    seen.append(await counter.state(redemption))
    counter.now += DAY
    await counter.listen()
    seen.append(await counter.state(redemption))
    assert seen == ["burning", "burning", "burning", "burning", "granted"]
    now = await counter.redemption(redemption.id)
    assert now.voucher_expires_at == counter.now + 30 * DAY
    assert await counter.event_types(redemption) == ["redemption.ordered", "redemption.granted"]


async def test_the_table_holds_the_digest_alone(counter: Counter) -> None:
    redemption, code = await counter.granted()
    assert code == voucher_code(SECRET, redemption.id)
    assert redemption.voucher_digest == hashlib.sha256(code.replace("-", "").encode()).digest()
    for table in ("redemptions", "outbox_events", "journal_entries"):
        text = str(await counter.rows(f"select * from {table}"))
        assert code not in text
        assert code.replace("-", "") not in text


async def test_the_same_news_twice_grants_once(counter: Counter) -> None:
    redemption, _ = await counter.granted()
    await counter.write("update outbox_cursors set seq = 0")
    counter.now += DAY
    assert await counter.listen() > 0
    again = await counter.redemption(redemption.id)
    assert again.voucher_expires_at == redemption.voucher_expires_at
    assert list(await counter.event_types(redemption)).count("redemption.granted") == 1


async def test_listeners_side_by_side_grant_once(counter: Counter) -> None:
    redemption = await counter.redeem(await counter.offer())
    batch = await counter.mine(redemption.entry_id)
    await counter.follow(final=[batch])
    await asyncio.gather(*(counter.listen() for _ in range(4)))
    assert list(await counter.event_types(redemption)).count("redemption.granted") == 1


async def test_a_pass_without_news_does_nothing(counter: Counter) -> None:
    await counter.listen()
    assert await counter.listen() == 0


async def test_more_news_than_one_pass_holds_are_all_heard(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "EVENTS_PER_PASS", 2)
    redemption = await counter.redeem(await counter.offer())
    await counter.burn(redemption)
    assert await counter.state(redemption) == "granted"


@pytest.mark.parametrize("how", ["code", "redemption_id", "both"])
async def test_a_voucher_is_used_at_its_partner(counter: Counter, how: str) -> None:
    redemption, code = await counter.granted()
    what = {"code": {"code": code}, "redemption_id": {"redemption_id": redemption.id}}.get(
        how, {"code": code.lower(), "redemption_id": redemption.id}
    )
    used = await counter.use(**what)
    assert (used.id, used.state, used.used_at, used.used_by_key_id) == (redemption.id, "used", counter.now, "key_1")
    (act,) = await counter.rows("select * from journal_entries where action = 'redemption.used'")
    assert (act.actor, act.subject_id) == ("key:key_1", redemption.id)
    assert (await counter.event_types(redemption))[-1] == "redemption.used"


async def test_a_voucher_is_used_once(counter: Counter) -> None:
    redemption, code = await counter.granted()
    used_at = counter.now
    await counter.use(code=code)
    counter.now += DAY
    for what in ({"code": code}, {"redemption_id": redemption.id}):
        with pytest.raises(VoucherUsedError) as refusal:
            await counter.use(**what)
        assert refusal.value.used_at == used_at


async def test_of_two_tills_at_once_one_uses_the_voucher(counter: Counter) -> None:
    _, code = await counter.granted()
    results = await asyncio.gather(*(counter.use(code=code) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, VoucherUsedError) for result in results) == 4
    assert len([act for act in await counter.rows("select action from journal_entries") if "used" in act.action]) == 1


async def test_another_partner_finds_no_voucher(counter: Counter) -> None:
    """S3: the answer is the one for a code that does not exist."""
    redemption, code = await counter.granted()
    answers = []
    for what in ({"code": code}, {"redemption_id": redemption.id}, {"code": "0" * 16}, {"redemption_id": "red_x"}):
        with pytest.raises(NotFoundError) as refusal:
            await counter.use(partner=0, **what)
        answers.append(refusal.value.detail)
    assert len(set(answers)) == 1
    assert await counter.state(redemption) == "granted"


@pytest.mark.parametrize("code", ["", "nonsense", "0" * 16, "AAAA-AAAA-AAAA-AAAA"])
async def test_a_wrong_code_finds_no_voucher(counter: Counter, code: str) -> None:
    redemption, _ = await counter.granted()
    with pytest.raises(NotFoundError):
        await counter.use(code=code)
    with pytest.raises(NotFoundError):
        await counter.use(code=code, redemption_id=redemption.id)


async def test_a_code_and_a_redemption_must_agree(counter: Counter) -> None:
    _, code = await counter.granted()
    other, _ = await counter.granted()
    with pytest.raises(NotFoundError):
        await counter.use(code=code, redemption_id=other.id)


async def test_nothing_at_all_finds_no_voucher(counter: Counter) -> None:
    with pytest.raises(NotFoundError):
        await counter.use()


async def test_a_voucher_that_is_not_granted_cannot_be_used(counter: Counter) -> None:
    redemption = await counter.redeem(await counter.offer())
    early = voucher_code(SECRET, redemption.id)
    with pytest.raises(NotFoundError):
        await counter.use(code=early)
    with pytest.raises(VoucherNotGrantedError, match="burning"):
        await counter.use(redemption_id=redemption.id)
    await counter.cancel(redemption)
    with pytest.raises(VoucherNotGrantedError, match="cancelled"):
        await counter.use(redemption_id=redemption.id)


async def test_a_voucher_ends_with_its_time_even_before_the_job_ran(counter: Counter) -> None:
    redemption, code = await counter.granted(validity_days=2)
    counter.now += 2 * DAY - timedelta(seconds=1)
    clock = ManualClock(counter.now)
    assert await tasks.expire_vouchers(counter.engine, clock) == 0
    counter.now += timedelta(seconds=1)
    with pytest.raises(VoucherExpiredError):
        await counter.use(code=code)
    assert await counter.state(redemption) == "granted"


async def test_the_job_expires_vouchers_and_their_tokens_stay_spent(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "VOUCHERS_PER_PASS", 1)
    granted = [await counter.granted(validity_days=2, stock=1) for _ in range(2)]
    used, code = granted[0]
    await counter.use(code=code)
    late, late_code = granted[1]
    counter.now += 2 * DAY
    assert await tasks.expire_vouchers(counter.engine, ManualClock(counter.now)) == 1
    assert (await counter.state(used), await counter.state(late)) == ("used", "expired")
    assert await tasks.expire_vouchers(counter.engine, ManualClock(counter.now)) == 0
    assert (await counter.event_types(late))[-1] == "redemption.expired"
    assert (await counter.counters())[0] == 20
    with pytest.raises(VoucherExpiredError):
        await counter.use(code=late_code)


async def test_a_code_is_shown_while_it_can_be_used(counter: Counter) -> None:
    redemption, code = await counter.granted()
    assert rewards.voucher_of(redemption, SECRET) == code
    used = await counter.use(code=code)
    assert rewards.voucher_of(used, SECRET) is None


async def test_a_redemption_is_seen_by_its_own_member_and_partner_only(counter: Counter) -> None:
    redemption = await counter.redeem(await counter.offer())
    mine = {"member_id": counter.members[0], "partner_id": counter.partners[1].id}
    assert (await counter.redemption(redemption.id, **mine)).id == redemption.id
    for whose in ({"member_id": counter.members[1]}, {"partner_id": counter.partners[0].id}):
        with pytest.raises(NotFoundError):
            await counter.redemption(redemption.id, **whose)
