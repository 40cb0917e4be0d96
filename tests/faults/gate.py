"""The way to the node: remembers what was broadcast, and kills or stops the sender on either side of a broadcast."""

import os
import signal
from collections.abc import Callable

import orjson

from faults.mortal import Moment
from fixtures.proxy import NodeLink, RelayServer, requests_of

SEND = "eth_sendRawTransaction"


class Gate(RelayServer):
    """`sent` is every raw transaction that came by, in order. `swallows`: the node never gets one."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.sent: list[bytes] = []
        self.swallows = False
        self._hit: Callable[[], None] | None = None
        self._moment: Moment = "before"

    def turn(self, target: str) -> None:
        """From now on another node answers."""
        self._link.close()
        self._link = NodeLink(target)

    def on_send(self, moment: Moment, pid: Callable[[], int], number: int = signal.SIGKILL) -> None:
        """Send the process a signal at the next broadcast, before the node has it or after; once."""

        def hit() -> None:
            self._hit = None
            os.kill(pid(), number)

        self._hit, self._moment = hit, moment

    @property
    def waiting(self) -> bool:
        """Whether the signal is still to be sent."""
        return self._hit is not None

    async def answer(self, content: bytes) -> tuple[int, bytes | None]:
        requests, batched = requests_of(content)
        raw = [bytes.fromhex(one["params"][0][2:]) for one in requests if one["method"] == SEND]
        self.sent += raw
        hit = self._hit if raw else None
        if hit is not None and self._moment == "before":
            hit()
            return 0, None
        if raw and self.swallows:
            return 200, orjson.dumps({"jsonrpc": "2.0", "id": requests[0]["id"], "result": "0x" + bytes(32).hex()})
        answers = await self.forward(requests)
        if hit is not None:
            hit()
            return 0, None
        ordered = [answers[one["id"]] for one in requests]
        return 200, orjson.dumps(ordered if batched else ordered[0])
