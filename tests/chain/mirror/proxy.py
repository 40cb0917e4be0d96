"""A relay in front of a real node that changes answers on their way, as a lying or broken node would."""

from collections.abc import Callable
from typing import Any

import orjson

from fixtures.proxy import RelayServer, requests_of

Alteration = Callable[[str, list[Any], Any], Any]
"""(method, params, result) -> the result that the client shall see."""


class Refusal(Exception):  # noqa: N818 - the answer of a node, raised by an alteration
    """An error object in place of a result."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message}


class Proxy(RelayServer):
    """`alter` changes single results, `mangle` the whole body with its HTTP status."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.alter: Alteration | None = None
        self.mangle: Callable[[bytes], tuple[int, bytes]] | None = None

    async def answer(self, content: bytes) -> tuple[int, bytes | None]:
        requests, batched = requests_of(content)
        by_id = await self.forward(requests)
        answers = [self._altered(request, by_id[request["id"]]) for request in requests]
        body = orjson.dumps(answers if batched else answers[0])
        return (200, body) if self.mangle is None else self.mangle(body)

    def _altered(self, request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        self.methods.append(request["method"])
        if self.alter is None or "result" not in answer:
            return answer
        envelope = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            return {**envelope, "result": self.alter(request["method"], request["params"], answer["result"])}
        except Refusal as refusal:
            return {**envelope, "error": refusal.error}
