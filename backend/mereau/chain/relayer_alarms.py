"""What an operator must see before the relayer stands still: fees beyond the cap, and gas money running out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from mereau.chain.alarms import set_alarm
from mereau.chain.fees import GWEI, FeePolicy, Market
from mereau.chain.lease import Lease

_LOG: Final = structlog.get_logger()
FEE_CAP: Final = "fee_cap"
FUNDS: Final = "relayer_funds"
_ETHER: Final = 10**18
# Raised below the least, lowered again only well above it: a balance on the edge would else ring all day.
_RELIEF: Final = 2


@dataclass(frozen=True, slots=True)
class FundsPolicy:
    """`batches_min`: alarm when the relayer's balance pays for fewer full transactions than this at current fees."""

    batches_min: int = 10


def fee_alarm(market: Market, policy: FeePolicy) -> str | None:
    """The words of the alarm while the market stands above the cap."""
    if not market.exceeds(policy):
        return None
    return (
        f"gas costs {_gwei(market.price_wei)} gwei, the cap is {_gwei(policy.fee_max_wei)}: new orders wait, and "
        "what was sent waits at the cap"
    )


def funds_alarm(balance_wei: int, batch_cost_wei: int, policy: FundsPolicy, *, standing: bool) -> str | None:
    """The words of the alarm while the balance is short; `standing` asks for more before it is lowered."""
    least = policy.batches_min * (_RELIEF if standing else 1)
    if balance_wei >= least * batch_cost_wei:
        return None
    return (
        f"the relayer holds {balance_wei / _ETHER:.6f} of the chain's coin, enough for "
        f"{balance_wei // batch_cost_wei} full batches at current fees; send it more"
    )


def _gwei(wei: int) -> str:
    return f"{wei / GWEI:,.9f}".rstrip("0").rstrip(".")


class Alarms:
    """Writes an alarm when it begins and when it ends. What stood before this process began is written once more."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._written: dict[str, bool] = {}

    def stands(self, name: str) -> bool:
        """Whether this process raised it and did not lower it yet."""
        return self._written.get(name, False)

    async def set(self, name: str, detail: str | None, now: datetime) -> None:
        """Let the alarm stand with `detail`, or end with None. Raises LeaseLostError."""
        stands = detail is not None
        if self._written.get(name) == stands:
            return
        async with self._lease.writing("alarm") as session:
            await set_alarm(session, name, detail, now)
        if stands:
            _LOG.error("alarm_raised", name=name, detail=detail)
        elif self.stands(name):
            _LOG.info("alarm_lowered", name=name)
        self._written[name] = stands
