"""A relay in front of a real node that loses, spoils or holds back what passes through it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
import orjson


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


class FaultProxy:
    """Serves on loopback; `rule` is asked for every request and None lets it pass."""

    def __init__(self, target: str) -> None:
        self.rule: Rule = let_pass
        self.methods: list[str] = []
        self.sent: list[bytes] = []
        self._target = target
        self._http = httpx.AsyncClient(timeout=30, trust_env=False)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._http.aclose()

    @property
    def url(self) -> str:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            status, body = await self._answer(await reader.readexactly(int(lengths[0].split(b":")[1])))
            if body is not None:
                writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (status, len(body)))
                writer.write(body)
                await writer.drain()
        writer.close()

    async def _answer(self, content: bytes) -> tuple[int, bytes | None]:
        payload = orjson.loads(content)
        requests = payload if isinstance(payload, list) else [payload]
        faults = [self._fault(request) for request in requests]
        answers = await self._forward(
            [request for request, fault in zip(requests, faults, strict=True) if fault.forward]
        )
        replies = [self._reply(request, fault, answers) for request, fault in zip(requests, faults, strict=True)]
        if any(fault.hang_up for fault in faults):
            return 0, None
        status = max(fault.status for fault in faults)
        body = next((fault.body for fault in faults if fault.body is not None), None)
        whole = orjson.dumps(replies if isinstance(payload, list) else replies[0])
        return status, whole if body is None else body

    def _fault(self, request: dict[str, Any]) -> Fault:
        self.methods.append(request["method"])
        if request["method"] == "eth_sendRawTransaction":
            self.sent.append(bytes.fromhex(request["params"][0][2:]))
        return self.rule(request["method"], request["params"]) or _PASS

    async def _forward(self, requests: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
        if not requests:
            return {}
        response = await self._http.post(
            self._target, content=orjson.dumps(requests), headers={"content-type": "application/json"}
        )
        return {answer["id"]: answer for answer in response.json()}

    @staticmethod
    def _reply(request: dict[str, Any], fault: Fault, answers: dict[int, dict[str, Any]]) -> dict[str, Any]:
        envelope = {"jsonrpc": "2.0", "id": request["id"]}
        if fault.error is not None:
            return {**envelope, "error": fault.error}
        if fault.result is not None:
            return {**envelope, "result": fault.result}
        return answers.get(request["id"], {**envelope, "result": None})
