"""Links that work once, for what was paid."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import pytest

from factories.rewards import Counter
from mereau.auth.domain import EVERYTHING, Reach
from mereau.core.db import transaction
from mereau.core.errors import NotFoundError
from mereau.rewards.downloads import service as downloads
from mereau.rewards.downloads.errors import DownloadsUsedError, NotDownloadableError
from mereau.rewards.downloads.service import Download, Link
from mereau.rewards.errors import NotRefundableError
from mereau.rewards.files import service as files
from mereau.rewards.kinds.domain import Digital
from mereau.rewards.models import Redemption

EBOOK = b"%PDF-1.7\nrecipes\n%%EOF\n"
SECOND = timedelta(seconds=1)


async def bought(counter: Counter, **terms: Any) -> Redemption:
    """A granted redemption of the ebook."""
    async with transaction(counter.engine) as session:
        stored = await files.keep(session, EBOOK, counter.now, actor="key:k")
    redemption, _ = await counter.granted(terms=Digital(content=stored.digest, **terms))
    return redemption


async def link(counter: Counter, redemption: Redemption, reach: Reach = EVERYTHING) -> Link:
    async with transaction(counter.engine) as session:
        return await downloads.make_link(session, redemption.id, counter.now, reach=reach)


async def follow(counter: Counter, token: str) -> Download | None:
    async with transaction(counter.engine) as session:
        return await downloads.follow(session, token, counter.now)


async def test_a_link_is_followed_once_and_uses_the_redemption(counter: Counter) -> None:
    redemption = await bought(counter)
    made = await link(counter, redemption)
    assert (made.downloads_left, made.expires_at - counter.now) == (3, timedelta(minutes=15))
    assert await follow(counter, made.token) == Download(f"{redemption.id}.pdf", "application/pdf", EBOOK)
    assert await follow(counter, made.token) is None
    assert await counter.state(redemption) == "used"
    assert (await counter.event_types(redemption))[-1] == "redemption.used"
    assert (await link(counter, redemption)).downloads_left == 2


async def test_the_token_stands_nowhere(counter: Counter) -> None:
    made = await link(counter, await bought(counter))
    (row,) = await counter.rows("select token_digest from download_links")
    assert row.token_digest == hashlib.sha256(made.token.encode()).digest()
    assert len(made.token) >= 32


async def test_only_the_last_link_works(counter: Counter) -> None:
    redemption = await bought(counter)
    first, second = await link(counter, redemption), await link(counter, redemption)
    assert await follow(counter, first.token) is None
    assert await counter.state(redemption) == "granted"
    assert await follow(counter, second.token) is not None


async def test_a_link_dies_with_its_time(counter: Counter) -> None:
    redemption = await bought(counter, link_life_s=60)
    late, early = await link(counter, redemption), counter.now
    counter.now += 60 * SECOND
    assert await follow(counter, late.token) is None
    counter.now = early
    in_time = await link(counter, redemption)
    counter.now += 59 * SECOND
    assert await follow(counter, in_time.token) is not None


async def test_so_many_downloads_and_no_more(counter: Counter) -> None:
    redemption = await bought(counter, downloads_max=2)
    for _ in range(2):
        assert await follow(counter, (await link(counter, redemption)).token) is not None
    with pytest.raises(DownloadsUsedError, match="All 2"):
        await link(counter, redemption)


async def test_of_ten_who_follow_a_link_one_downloads(counter: Counter) -> None:
    redemption = await bought(counter)
    made = await link(counter, redemption)
    found = await asyncio.gather(*(follow(counter, made.token) for _ in range(10)))
    assert sum(one is not None for one in found) == 1


async def test_nobody_has_the_file_and_the_tokens(counter: Counter) -> None:
    redemption = await bought(counter)
    await follow(counter, (await link(counter, redemption)).token)
    with pytest.raises(NotRefundableError):
        await counter.refund(redemption)


async def test_a_refund_ends_the_links(counter: Counter) -> None:
    redemption = await bought(counter)
    made = await link(counter, redemption)
    await counter.refund(redemption)
    assert await follow(counter, made.token) is None
    with pytest.raises(NotDownloadableError, match="refunded"):
        await link(counter, redemption)


async def test_of_a_refund_and_a_download_one_comes_to_pass(counter: Counter) -> None:
    redemption = await bought(counter)
    made = await link(counter, redemption)
    refunded, downloaded = await asyncio.gather(
        counter.refund(redemption), follow(counter, made.token), return_exceptions=True
    )
    assert isinstance(refunded, NotRefundableError) == isinstance(downloaded, Download)


async def test_links_end_with_the_redemption(counter: Counter) -> None:
    redemption = await bought(counter)
    made = await link(counter, redemption)
    assert redemption.voucher_expires_at is not None
    counter.now = redemption.voucher_expires_at
    assert await follow(counter, made.token) is None
    with pytest.raises(NotDownloadableError):
        await link(counter, redemption)


async def test_what_is_not_burned_yet_gives_no_link(counter: Counter) -> None:
    async with transaction(counter.engine) as session:
        stored = await files.keep(session, EBOOK, counter.now, actor="key:k")
    redemption = await counter.redeem(await counter.offer(terms=Digital(content=stored.digest)))
    with pytest.raises(NotDownloadableError, match="burning"):
        await link(counter, redemption)


async def test_other_kinds_have_nothing_to_download(counter: Counter) -> None:
    redemption, _ = await counter.granted()
    with pytest.raises(NotDownloadableError, match="no digital content"):
        await link(counter, redemption)


async def test_others_redemptions_do_not_exist(counter: Counter) -> None:
    redemption = await bought(counter)
    for reach in (Reach(member_id=counter.members[1]), Reach(partner_id=counter.partners[0].id)):
        with pytest.raises(NotFoundError):
            await link(counter, redemption, reach)
    assert (await link(counter, redemption, Reach(member_id=counter.members[0]))).token


@pytest.mark.parametrize("token", ["", "x", "é" * 32, "a" * 5_000])
async def test_invented_tokens_lead_nowhere(counter: Counter, token: str) -> None:
    await link(counter, await bought(counter))
    assert await follow(counter, token) is None
