"""Whatever is done to deliveries, and in whatever order, every piece and every token is somewhere."""

from collections import Counter as Tally
from random import Random

import pytest

from factories.goods import Workshop
from mereau.core.errors import MereauError
from mereau.rewards.fulfilment.domain import Step
from mereau.rewards.fulfilment.service import DeliveryView
from mereau.rewards.goods.service import StockedGoods

STEPS: tuple[Step, ...] = ("prepared", "shipped", "delivered", "returned")


class History:
    """Random acts on a few deliveries of one member; `moved` counts what succeeded."""

    def __init__(self, workshop: Workshop, goods: StockedGoods, seed: int) -> None:
        self.workshop = workshop
        self.goods = goods
        self.random = Random(seed)
        self.views: list[DeliveryView] = []
        self.moved: Tally[str] = Tally()

    async def act(self) -> None:
        word = self.random.choice(["order", "clear", "reject", "cancel", "prove", "hear", *STEPS, *STEPS])
        try:
            await self._do(word)
        except MereauError:
            return
        self.moved[word] += 1

    async def _do(self, word: str) -> None:
        if word == "order" or not self.views:
            reward = await self.workshop.bring(self.goods, personalisation="text", price_tokens=10)
            text = self.random.choice([None, "Ada"])
            sku = self.random.choice(self.goods.variants).sku
            self.views.append(await self.workshop.order(reward, sku, marking_text=text))
            return
        view = await self.workshop.seen(self.random.choice(self.views))
        redemption = await self.workshop.redemption(view.delivery.redemption_id)
        if word == "hear":
            await self.workshop.hear()
        elif word == "clear" and redemption.state == "burning":
            await self.workshop.clear(view)
        elif word == "reject" and redemption.state == "burning":
            await self.workshop.reject(redemption.entry_id)
            await self.workshop.listen()
        elif word == "cancel":
            await self.workshop.take_back(view)
        elif word == "prove":
            await self.workshop.decide(await self.workshop.prove(view), is_approved=self.random.random() < 0.7)
        elif word in STEPS:
            step = STEPS[STEPS.index(word)]
            await self.workshop.step(step, view, restock=self.random.random() < 0.5)


async def faults(workshop: Workshop) -> list[object]:
    """Variants whose figures are not what movements and open deliveries say; deliveries that left too early."""
    await workshop.hear()
    variants = await workshop.rows("""
        select v.sku from goods_variants v
        where v.reserved <> coalesce((
                select sum(l.pieces) from delivery_lines l join deliveries d on d.id = l.delivery_id
                where l.variant_id = v.id and d.state in ('ordered', 'prepared')), 0)
           or (v.on_hand, v.reserved) <> (
                select sum(on_hand_change), sum(reserved_change) from goods_movements where variant_id = v.id)
    """)
    deliveries = await workshop.rows("""
        select d.id, d.state, r.state from deliveries d join redemptions r on r.id = d.redemption_id
        where (d.state in ('shipped', 'delivered', 'returned')) <> (r.state = 'used')
           or (d.state = 'cancelled') <> (r.state in ('cancelled', 'rejected', 'refunded'))
    """)
    return [*variants, *deliveries]


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_history_loses_a_piece(workshop: Workshop, seed: int) -> None:
    goods = await workshop.stock("S", "M", pieces=4, buffer=1)
    history = History(workshop, goods, seed)
    for _ in range(45):
        await history.act()
    assert await faults(workshop) == []
    assert history.moved.keys() >= {"order", "clear", "prepared"}


async def test_a_lost_piece_is_noticed(workshop: Workshop) -> None:
    """The twin: a figure changed by hand does not fit what was done."""
    _, view = await workshop.cleared()
    await workshop.write("update goods_variants set on_hand = on_hand + 1")
    assert len(await faults(workshop)) == 1
    await workshop.write("update deliveries set state = 'shipped'")
    assert len(await faults(workshop)) == 2
    assert view.delivery.state == "ordered"
