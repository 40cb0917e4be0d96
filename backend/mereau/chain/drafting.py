"""Turns a group of orders into the contract call that executes them, signed by whoever may order it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mereau.chain import merkle
from mereau.chain.contract import OrderDomain, Redemption, encode_call, pack_list, pack_redemptions
from mereau.chain.hashing import ZERO_HASH
from mereau.chain.orders import OrderKind
from mereau.chain.sealing import Group
from mereau.chain.signing import Signer
from mereau.core.clock import Clock

_REDEMPTION_LIFE_S: Final = 3_600


@dataclass(frozen=True, slots=True)
class Line:
    """Whose signature an order of this line needs, and the sequence that is next; None off the lines."""

    signer: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A group with the call that executes it. `signed` holds each redemption's nonce and deadline."""

    group: Group
    sender: bytes
    target: bytes
    call_data: bytes
    sequence: int | None = None
    trail_root: bytes | None = None
    signed: tuple[tuple[int, int], ...] = ()


class Drafter:
    """Drafts for one contract. `relayer` pays for everything but admin orders, which their role sends itself."""

    def __init__(self, domain: OrderDomain, signer: Signer, clock: Clock, relayer: bytes) -> None:
        self._domain = domain
        self._signer = signer
        self._clock = clock
        self.relayer = relayer

    async def draft(self, group: Group, line: Line | None, nonces: Mapping[bytes, int], chain_time_s: int) -> Draft:
        """The call for this group; `nonces` holds every redeeming member's next one.

        `chain_time_s` is the head's Unix second. Raises SignerRefusedError where a key is not there.
        """
        if group.kind is OrderKind.ADMIN:
            (order,) = group.orders
            return Draft(group, order.sender, self._domain.contract, order.call_data)
        if group.kind is OrderKind.REDEEM:
            return await self._redeem(group, nonces, chain_time_s)
        if line is None:
            raise ValueError(f"{group.kind} needs a line")
        return await self._list(group, line)

    async def void(self, kind: OrderKind, partner_number: int | None, line: Line) -> bytes:
        """The call that uses up a sequence without any effect: an empty list.

        A partner's is always a reversal, for that is what the contract takes from suspended partners too.
        """
        kind = OrderKind.EXPIRE if kind is OrderKind.EXPIRE else OrderKind.REVERSE
        return await self._call(kind, partner_number, line, ZERO_HASH, b"")

    async def _list(self, group: Group, line: Line) -> Draft:
        leaves = [
            merkle.Leaf(merkle.operation_id(order.id), order.commitment, order.wallet, order.tokens, index)
            for index, order in enumerate(group.orders)
        ]
        root = merkle.root(leaves)
        packed = pack_list((order.wallet, order.tokens) for order in group.orders)
        call_data = await self._call(group.kind, group.partner_number, line, root, packed)
        return Draft(group, self.relayer, self._domain.contract, call_data, line.sequence, root)

    async def _call(self, kind: OrderKind, partner_number: int | None, line: Line, root: bytes, packed: bytes) -> bytes:
        if kind is OrderKind.EXPIRE:
            digest = self._domain.expire_digest(line.sequence, root, packed)
            leading: bytes | int = line.signer
        else:
            if partner_number is None:
                raise ValueError(f"{kind} needs a partner")
            digests: dict[OrderKind, Callable[[int, int, bytes, bytes], bytes]] = {
                OrderKind.ISSUE: self._domain.issue_digest,
                OrderKind.REVERSE: self._domain.reverse_digest,
            }
            digest = digests[kind](partner_number, line.sequence, root, packed)
            leading = partner_number
        (signature,) = await self._signer.sign([(line.signer, digest)])
        return encode_call(kind.value, leading, line.sequence, root, packed, signature)

    async def _redeem(self, group: Group, nonces: Mapping[bytes, int], chain_time_s: int) -> Draft:
        # The head may be old and may be ahead of this clock; the signature must outlive both.
        now_s = max(int(self._clock.now().timestamp()), chain_time_s)
        deadline = now_s + _REDEMPTION_LIFE_S
        redemptions = [
            Redemption(
                order.wallet,
                order.tokens,
                order.partner_number or 0,
                order.commitment,
                nonces[order.wallet] if order.nonce is None else order.nonce,
                deadline if order.deadline is None else order.deadline,
            )
            for order in group.orders
        ]
        managed = [
            (redemption.member, self._domain.redeem_digest(redemption))
            for order, redemption in zip(group.orders, redemptions, strict=True)
            if order.signature is None
        ]
        made = iter(await self._signer.sign(managed) if managed else ())
        signatures = [order.signature or next(made) for order in group.orders]
        call_data = encode_call("redeem", pack_redemptions(zip(redemptions, signatures, strict=True)))
        signed = tuple((redemption.nonce, redemption.deadline) for redemption in redemptions)
        return Draft(group, self.relayer, self._domain.contract, call_data, signed=signed)
