"""A workshop with goods on its shelves, and short words for ordering, clearing and sending."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from factories.rewards import Counter, make_counter
from mereau.core.db import snapshot, transaction
from mereau.outbox import service as outbox
from mereau.outbox.service import Event
from mereau.rewards.fulfilment import service as deliveries
from mereau.rewards.fulfilment import tasks
from mereau.rewards.fulfilment.domain import Address, FileDraft, OrderDraft, Parcel, Passage, Step
from mereau.rewards.fulfilment.models import DeliveryProof
from mereau.rewards.fulfilment.proofs import service as proofs
from mereau.rewards.fulfilment.service import DeliveryView
from mereau.rewards.goods import service as goods
from mereau.rewards.goods.domain import GoodsDraft, Movement, MovementKind, VariantDraft
from mereau.rewards.goods.offers import service as offers
from mereau.rewards.goods.offers.domain import OfferDraft, Slot
from mereau.rewards.goods.offers.service import Offer
from mereau.rewards.goods.service import StockedGoods
from mereau.rewards.kinds.domain import Gift
from mereau.rewards.models import Reward

HOME = Address("Camille Roy", "12 rue des Lilas", "59800", "Lille", "FR", phone="+33 6 12 34 56 78")
PDF = FileDraft("application/pdf", b"%PDF-1.7 a proof")
ACTOR = "key_workshop"


@dataclass
class Workshop(Counter):
    """The second partner keeps the goods and sends them; members have a hundred tokens each."""

    async def stock(self, *sizes: str | None, pieces: int = 10, approved: bool = True, **changes: Any) -> StockedGoods:
        """Goods in some sizes, with so many pieces of each; SKUs are `<external id>-<size>`."""
        external_id = changes.pop("external_id", None) or self.next_id("tee")
        levels = {name: changes.pop(name) for name in ("buffer", "alert_at", "colour") if name in changes}
        fields: dict[str, Any] = {
            "external_id": external_id,
            "partner_id": self.partners[1].id,
            "name_fr": "Un tee-shirt",
            "name_en": "A T-shirt",
            "supplier": "Filature du Nord",
            "cost_minor": 640,
            "variants": tuple(VariantDraft(f"{external_id}-{size}", size, **levels) for size in sizes or ("M",)),
        }
        async with transaction(self.engine) as session:
            made = await goods.create(session, GoodsDraft(**fields | changes), self.now, actor=ACTOR)
            received = [
                Movement(variant.id, MovementKind.RECEIVED, pieces, "order 4711") for variant in made.variants if pieces
            ]
            await goods.move(session, received, self.now, actor=ACTOR)
            if approved:
                await goods.set_status(session, made.goods.id, "approved", self.now, actor="key_committee")
            return await goods.get(session, made.goods.id)

    async def move(self, stocked: StockedGoods, kind: str, pieces: int, variant: int = 0) -> None:
        movement = Movement(stocked.variants[variant].id, MovementKind(kind), pieces, "by hand")
        async with transaction(self.engine) as session:
            await goods.move(session, [movement], self.now, actor=ACTOR)

    async def levels(self, stocked: StockedGoods, variant: int = 0) -> tuple[int, int]:
        """(on hand, reserved)"""
        async with snapshot(self.engine) as session:
            found = (await goods.get(session, stocked.goods.id)).variants[variant]
        return found.on_hand, found.reserved

    async def bring(self, *slots: StockedGoods | tuple[StockedGoods, ...], **terms: Any) -> Reward:
        """A gift of goods, of a kit where there are several; a tuple is a choice."""
        first, *more = [slot if isinstance(slot, tuple) else (slot,) for slot in slots]
        price_tokens = terms.pop("price_tokens", 40)
        reward = await self.offer(terms=Gift(goods=[one.goods.external_id for one in first]), price_tokens=price_tokens)
        if more or terms:
            await self.deliver(reward, *more, **terms)
        return reward

    async def deliver(self, reward: Reward, *more: tuple[StockedGoods, ...], **terms: Any) -> None:
        """State how a gift is delivered."""
        made = tuple(Slot(tuple(one.goods.id for one in slot)) for slot in more)
        async with transaction(self.engine) as session:
            await offers.put(session, reward.id, OfferDraft(made, **terms), self.now, actor=ACTOR)

    async def look(self, reward: Reward) -> Offer:
        async with snapshot(self.engine) as session:
            return await offers.get(session, reward.id)

    def an_order(self, reward: Reward, *skus: str, **changes: Any) -> OrderDraft:
        return OrderDraft(**{"reward_id": reward.id, "skus": skus, "address": HOME} | changes)

    async def order(self, reward: Reward, *skus: str, member: int = 0, **changes: Any) -> DeliveryView:
        # Ids of one moment are in no order.
        self.now += timedelta(seconds=1)
        async with transaction(self.engine) as session:
            return await deliveries.order(
                session, self.members[member], self.an_order(reward, *skus, **changes), self.now, actor="key_member"
            )

    async def hear(self) -> int:
        return await tasks.follow_redemptions(self.engine, self.now)

    async def clear(self, *views: DeliveryView) -> None:
        """See the burns final, and the workshop told."""
        for view in views:
            redemption = await self.redemption(view.delivery.redemption_id)
            await self.burn(redemption)
        await self.hear()

    async def cleared(self, **changes: Any) -> tuple[StockedGoods, DeliveryView]:
        """One piece of goods, ordered and paid for."""
        stocked = await self.stock()
        reward = await self.bring(stocked, **changes.pop("terms", {}))
        view = await self.order(reward, stocked.variants[0].sku, **changes)
        await self.clear(view)
        return stocked, await self.seen(view)

    async def seen(self, view: DeliveryView) -> DeliveryView:
        async with snapshot(self.engine) as session:
            return await deliveries.get(session, view.delivery.id)

    async def step(
        self, step: Step, *views: DeliveryView, partner: int | None = None, **changes: Any
    ) -> list[DeliveryView]:
        parcels = tuple(Parcel(view.delivery.id, changes.pop("carrier", None)) for view in views)
        async with transaction(self.engine) as session:
            return await deliveries.take_step(
                session,
                Passage(step, parcels, **changes),
                self.now,
                actor=ACTOR,
                partner_id=None if partner is None else self.partners[partner].id,
            )

    async def send(self, view: DeliveryView, upto: Step = "delivered") -> DeliveryView:
        """Take a cleared delivery as far as that."""
        steps: list[Step] = ["prepared", "shipped", "delivered", "returned"]
        for step in steps[: steps.index(upto) + 1]:
            (view,) = await self.step(step, view)
        return view

    async def take_back(self, view: DeliveryView, reason: str = "changed_mind") -> DeliveryView:
        async with transaction(self.engine) as session:
            return await deliveries.cancel(session, view.delivery.id, reason, self.now, actor="key_member")

    async def take_out(self, view: DeliveryView) -> None:
        """End a delivery as a redemption does that comes to nothing elsewhere."""
        await self.write("update redemptions set state = 'cancelled' where id = :id", id=view.delivery.redemption_id)
        async with transaction(self.engine) as session:
            await outbox.publish(session, [Event("redemption.cancelled", view.delivery.redemption_id, {})], self.now)
        await self.hear()

    async def erase(self, view: DeliveryView) -> None:
        async with transaction(self.engine) as session:
            await deliveries.erase(session, view.delivery.id, self.now, actor=ACTOR)

    async def prove(self, view: DeliveryView, **options: Any) -> DeliveryProof:
        self.now += timedelta(seconds=1)
        async with transaction(self.engine) as session:
            return await proofs.submit(session, view.delivery.id, PDF, self.now, actor=ACTOR, **options)

    async def decide(self, proof: DeliveryProof, *, is_approved: bool = True, **options: Any) -> DeliveryProof:
        async with transaction(self.engine) as session:
            return await proofs.decide(
                session,
                proof.id,
                is_approved=is_approved,
                remarks=None if is_approved else "Le nom est coupé.",
                now=self.now,
                actor="key_operator",
                **options,
            )


async def make_workshop(engine: AsyncEngine, **changes: Any) -> Workshop:
    counter = await make_counter(engine, **changes)
    # Beyond the numbers that the shop has used.
    return Workshop(engine, counter.now, counter.partners, counter.members, count(1_000), count(1_000))
