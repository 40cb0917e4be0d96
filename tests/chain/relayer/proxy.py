"""A relay in front of a real node that loses, spoils or holds back what passes through it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from fixtures.proxy import RelayServer, requests_of


@dataclass(frozen=True)
class Fault:
    """What happens to one request.

    `forward`: whether the node gets it. `error` or `result` replaces the node's answer; `body` replaces the
    whole HTTP body; `hang_up` closes the connection without any answer.
    """

    forward: bool = True
    error: dict[str, Any] | None = None
    result: Any = None
    body: bytes | None = None
    status: int = 200
    hang_up: bool = False


Rule = Callable[[str, list[Any]], Fault | None]
_PASS = Fault()


def let_pass(method: str, params: list[Any]) -> Fault | None:
    """The rule of a node that works."""
    return None


class FaultProxy(RelayServer):
    """`rule` is asked for every request and None lets it pass; `sent` is every raw transaction that came by."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.rule: Rule = let_pass
        self.sent: list[bytes] = []

    def fail_once(self, method: str, fault: Fault) -> None:
        """Spoil the next request of this method, and only that one."""

        def rule(name: str, params: list[Any]) -> Fault | None:
            if name != method:
                return None
            self.rule = let_pass
            return fault

        self.rule = rule

    def fail_always(self, method: str, fault: Fault) -> None:
        self.rule = lambda name, _: fault if name == method else None

    async def answer(self, content: bytes) -> tuple[int, bytes | None]:
        requests, batched = requests_of(content)
        faults = [self._fault(request) for request in requests]
        answers = await self.forward(
            [request for request, fault in zip(requests, faults, strict=True) if fault.forward]
        )
        replies = [self._reply(request, fault, answers) for request, fault in zip(requests, faults, strict=True)]
        if any(fault.hang_up for fault in faults):
            return 0, None
        status = max(fault.status for fault in faults)
        body = next((fault.body for fault in faults if fault.body is not None), None)
        whole = orjson.dumps(replies if batched else replies[0])
        return status, whole if body is None else body

    def _fault(self, request: dict[str, Any]) -> Fault:
        self.methods.append(request["method"])
        if request["method"] == "eth_sendRawTransaction":
            self.sent.append(bytes.fromhex(request["params"][0][2:]))
        return self.rule(request["method"], request["params"]) or _PASS

    @staticmethod
    def _reply(request: dict[str, Any], fault: Fault, answers: dict[int, dict[str, Any]]) -> dict[str, Any]:
        envelope = {"jsonrpc": "2.0", "id": request["id"]}
        if fault.error is not None:
            return {**envelope, "error": fault.error}
        if fault.result is not None:
            return {**envelope, "result": fault.result}
        return answers.get(request["id"], {**envelope, "result": None})
