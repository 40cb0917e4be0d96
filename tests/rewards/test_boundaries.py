"""The edges of rewards: largest figures, strange texts, exact moments, and two who want the same thing at once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.earning import a_line
from factories.rewards import SECRET, Counter
from mereau.core.amounts import MAX_TOKENS
from mereau.core.clock import ManualClock
from mereau.core.codes import CODE_LENGTH, digest_of
from mereau.core.db import transaction
from mereau.core.errors import InvalidInputError, MereauError, NotFoundError
from mereau.core.ids import ALPHABET
from mereau.ledger.errors import InsufficientBalanceError
from mereau.rewards import repository, tasks
from mereau.rewards import service as rewards
from mereau.rewards.domain import voucher_code
from mereau.rewards.errors import OutOfStockError, VoucherExpiredError, VoucherUsedError
from mereau.rewards.models import Reward
from mereau.rewards.service import Wish

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


async def code_of(counter: Counter, reward: Reward, member: int, external_id: str | None = None) -> str:
    """The redemption's id, or the code of the refusal."""
    try:
        return (await counter.redeem(reward, member, external_id)).id
    except MereauError as error:
        return error.code


async def test_the_largest_price_and_stock_are_kept_exactly(counter: Counter) -> None:
    reward = await counter.offer(price_tokens=MAX_TOKENS, stock=MAX_TOKENS, validity_days=3_650)
    assert (reward.price_tokens, await counter.stock(reward)) == (MAX_TOKENS, MAX_TOKENS)
    with pytest.raises(InsufficientBalanceError) as refusal:
        await counter.redeem(reward)
    assert refusal.value.missing_tokens == MAX_TOKENS - 100


@pytest.mark.parametrize(
    "changes",
    [
        {"price_tokens": MAX_TOKENS + 1}, {"price_tokens": -1}, {"stock": -1}, {"stock": MAX_TOKENS + 1},
        {"validity_days": 0}, {"validity_days": 3_651}, {"name_fr": " "}, {"name_en": ""}, {"external_id": "\t"},
    ],
    ids=str,
)  # fmt: skip
async def test_what_no_reward_may_be_leaves_nothing(counter: Counter, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        await counter.offer(**changes)
    assert await counter.count("rewards") == 0


async def test_names_in_every_script_are_kept(counter: Counter) -> None:
    names = {
        "name_fr": "Café « crème » — ½ prix 🥐",
        "name_en": "קפה ☕ 咖啡 & <b>tea</b>",
        "external_id": "é'\"\\{},NULL",
    }
    reward = await counter.offer(**names)
    assert {name: getattr(reward, name) for name in names} == names
    reference = "app:{1,2}\"'\\é🎁" + "x" * 200
    redemption = await counter.redeem(reward, external_id=reference)
    assert (await counter.redeem(reward, external_id=reference)).id == redemption.id
    (entry,) = await counter.rows("select source_reference from entries where id = :id", id=redemption.entry_id)
    assert entry.source_reference == reference


async def test_the_last_token_buys_and_the_next_does_not(counter: Counter) -> None:
    exact, one = await counter.offer(price_tokens=100), await counter.offer(price_tokens=1)
    await counter.redeem(exact)
    assert await counter.counters() == (0, 0, 100, 0)
    with pytest.raises(InsufficientBalanceError) as refusal:
        await counter.redeem(one)
    assert refusal.value.missing_tokens == 1


async def test_pending_tokens_buy_nothing_yet(counter: Counter) -> None:
    """M3: what may still be returned cannot be spent."""
    await counter.write("update programs set activation_delay_s = 86400")
    await counter.sell(a_line(50_000))
    assert (await counter.counters())[:2] == (100, 500)
    with pytest.raises(InsufficientBalanceError) as refusal:
        await counter.redeem(await counter.offer(price_tokens=101))
    assert refusal.value.missing_tokens == 1


async def test_goods_that_come_back_after_the_reward_take_what_is_left(counter: Counter) -> None:
    """M3: buy, earn, redeem, return: the hold of the reward is not touched, and nothing falls below zero."""
    sale = await counter.sell(a_line(5_000))
    await counter.mine(str(sale.entry_id))
    redemption = await counter.redeem(await counter.offer(price_tokens=140))
    done = await counter.bring_back(sale)
    assert (done.tokens_due, done.tokens_reversed) == (50, 10)
    assert await counter.counters() == (0, 0, 140, 0)
    await counter.burn(redemption)
    assert await counter.state(redemption) == "granted"


async def test_of_two_connections_the_second_finds_the_last_piece_gone(counter: Counter) -> None:
    """M2: the first has taken the piece and not committed; the second waits, and is refused with nothing held."""
    reward = await counter.offer(stock=1)
    async with transaction(counter.engine) as session:
        await rewards.redeem(session, Wish(counter.members[0], reward.id), counter.now)
        second = asyncio.create_task(counter.redeem(reward, 1))
        await counter.wait_for_a_waiter()
    with pytest.raises(OutOfStockError):
        await second
    assert await counter.counters(1) == (100, 0, 0, 0)
    assert (await counter.stock(reward), await counter.count("redemptions")) == (0, 1)


async def test_a_first_that_gives_up_leaves_the_last_piece_to_the_second(counter: Counter) -> None:
    reward = await counter.offer(stock=1)

    async def give_up(taken: asyncio.Event) -> None:
        async with transaction(counter.engine) as session:
            await rewards.redeem(session, Wish(counter.members[0], reward.id), counter.now)
            taken.set()
            await counter.wait_for_a_waiter()
            raise RuntimeError("the app was closed")

    taken = asyncio.Event()
    first = asyncio.create_task(give_up(taken))
    await taken.wait()
    redemption = await counter.redeem(reward, 1)
    with pytest.raises(RuntimeError, match="closed"):
        await first
    assert (redemption.member_id, await counter.stock(reward)) == (counter.members[1], 0)
    assert await counter.counters(0) == (100, 0, 0, 0)


async def test_many_members_share_a_small_stock(counter: Counter) -> None:
    reward = await counter.offer(stock=3, price_tokens=10)
    tries = [code_of(counter, reward, member % 2) for member in range(10)]
    results = await asyncio.gather(*tries)
    assert sum(result.startswith("red_") for result in results) == 3
    assert results.count("out_of_stock") == 7
    assert await counter.stock(reward) == 0
    held = [(await counter.counters(member))[2] for member in (0, 1)]
    assert sum(held) == 30


async def test_cancelling_from_everywhere_gives_one_piece_back(counter: Counter) -> None:
    reward = await counter.offer(stock=1)
    redemption = await counter.redeem(reward)
    done = await asyncio.gather(*(counter.cancel(redemption) for _ in range(5)))
    assert {item.state for item in done} == {"cancelled"}
    assert await counter.stock(reward) == 1
    assert await counter.counters() == (100, 0, 0, 0)
    assert list(await counter.event_types(redemption)).count("redemption.cancelled") == 1


async def test_a_piece_that_comes_back_may_be_had_again(counter: Counter) -> None:
    reward = await counter.offer(stock=1)
    await counter.cancel(await counter.redeem(reward))
    assert (await counter.redeem(reward, 1)).state == "burning"
    assert await code_of(counter, reward, 0) == "out_of_stock"


async def test_of_two_tills_the_second_waits_and_hears_when_it_was_used(counter: Counter) -> None:
    redemption, code = await counter.granted()
    async with transaction(counter.engine) as session:
        await rewards.use(
            session, partner_id=counter.partners[1].id, key_id="key_a", now=counter.now, redemption_id=redemption.id
        )
        second = asyncio.create_task(counter.use(code=code))
        await counter.wait_for_a_waiter()
    with pytest.raises(VoucherUsedError) as refusal:
        await second
    assert refusal.value.used_at == counter.now
    assert (await counter.redemption(redemption.id)).used_by_key_id == "key_a"


async def test_a_till_and_the_expiry_job_never_both_have_the_voucher(counter: Counter) -> None:
    """The job passes over a voucher that a till holds; what was used stays used."""
    redemption, code = await counter.granted(validity_days=1)
    late = ManualClock(counter.now + DAY)
    async with transaction(counter.engine) as session:
        await rewards.use(
            session, partner_id=counter.partners[1].id, key_id="key_a", now=counter.now + DAY - SECOND, code=code
        )
        assert await tasks.expire_vouchers(counter.engine, late) == 0
    assert await tasks.expire_vouchers(counter.engine, late) == 0
    assert await counter.state(redemption) == "used"


@pytest.mark.parametrize(("after", "usable"), [(-SECOND, True), (timedelta(), False), (SECOND, False)])
async def test_a_voucher_ends_at_its_very_moment(counter: Counter, after: timedelta, usable: bool) -> None:
    redemption, code = await counter.granted(validity_days=1)
    assert redemption.voucher_expires_at is not None
    counter.now = redemption.voucher_expires_at + after
    if usable:
        assert (await counter.use(code=code)).state == "used"
    else:
        with pytest.raises(VoucherExpiredError):
            await counter.use(code=code)


async def test_withdrawing_a_reward_does_not_touch_those_who_have_it(counter: Counter) -> None:
    reward = await counter.offer()
    redemption = await counter.redeem(reward)
    async with transaction(counter.engine) as session:
        await rewards.set_status(session, reward.id, "inactive", counter.now, actor="key:k")
        with pytest.raises(NotFoundError):
            await rewards.set_status(session, "rwd_none", "inactive", counter.now, actor="key:k")
    await counter.burn(redemption)
    assert await counter.state(redemption) == "granted"
    assert await code_of(counter, reward, 1) == "inactive"


async def test_news_of_credits_and_of_strangers_grant_nothing(counter: Counter) -> None:
    """Credits become final and may be rejected too; only redemptions that burn are looked at."""
    sale = await counter.sell()
    redemption = await counter.redeem(await counter.offer(stock=1))
    batch = await counter.mine(str(sale.entry_id))
    await counter.follow(final=[batch])
    other = await counter.sell()
    await counter.reject(str(other.entry_id))
    assert await counter.listen() > 0
    assert await counter.state(redemption) == "burning"


async def test_a_redemption_is_not_looked_up_by_nothing(counter: Counter) -> None:
    async with transaction(counter.engine) as session:
        with pytest.raises(ValueError, match="its id or its voucher"):
            await repository.redemption(session, member_id=counter.members[0])


async def test_codes_of_another_installation_open_nothing(counter: Counter) -> None:
    """M5: without the secret, knowing the redemption's id gives no code."""
    redemption, code = await counter.granted()
    forged = voucher_code(bytes(32), redemption.id)
    assert forged != code
    for text in (forged, voucher_code(SECRET, redemption.id + "x"), code[::-1], code[:-1]):
        with pytest.raises(NotFoundError):
            await counter.use(code=text)
    assert (await counter.use(code=code)).id == redemption.id


@given(st.text(max_size=24))
def test_any_text_is_a_code_or_none_and_nothing_else(typed: str) -> None:
    digest = digest_of(typed)
    assert digest is None or len(digest) == 32
    if digest is not None:
        plain = [char for char in typed.upper() if char not in "- "]
        assert len(plain) == CODE_LENGTH
        assert all(char in ALPHABET + "ILO" for char in plain)


@given(st.text(alphabet=ALPHABET, min_size=CODE_LENGTH, max_size=CODE_LENGTH), st.data())
def test_codes_that_differ_in_one_place_have_other_digests(code: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, CODE_LENGTH - 1))
    other = data.draw(st.sampled_from(ALPHABET).filter(lambda char: char != code[place]))
    assert digest_of(code) != digest_of(code[:place] + other + code[place + 1 :])


@given(st.sets(st.text(max_size=8), min_size=2, max_size=6), st.binary(min_size=32, max_size=64))
def test_codes_are_of_the_installations_secret_and_the_redemption(ids: set[str], secret: bytes) -> None:
    codes = {voucher_code(secret, redemption_id) for redemption_id in ids}
    assert len(codes) == len(ids)
    other = bytes([secret[0] ^ 1]) + secret[1:]
    assert codes.isdisjoint(voucher_code(other, redemption_id) for redemption_id in ids)
