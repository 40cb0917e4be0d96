"""A relay in front of a real node that changes answers on their way, as a lying or broken node would."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

Alteration = Callable[[str, list[Any], Any], Any]
"""(method, params, result) -> the result that the client shall see."""


class Refusal(Exception):  # noqa: N818 - the answer of a node, raised by an alteration
    """An error object in place of a result."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message}


class Proxy:
    """Serves on loopback. `alter` changes single results, `mangle` the whole body with its HTTP status."""

    def __init__(self, target: str) -> None:
        self.alter: Alteration | None = None
        self.mangle: Callable[[bytes], tuple[int, bytes]] | None = None
        self.methods: list[str] = []
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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request per connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        status, body = await self._answer(await reader.readexactly(int(lengths[0].split(b":")[1])))
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            % (status, len(body))
        )
        writer.write(body)
        await writer.drain()
        writer.close()

    async def _answer(self, content: bytes) -> tuple[int, bytes]:
        response = await self._http.post(self._target, content=content, headers={"content-type": "application/json"})
        requests, answers = orjson.loads(content), orjson.loads(response.content)
        single = isinstance(requests, dict)
        if single:
            requests, answers = [requests], [answers]
        by_id = {answer["id"]: answer for answer in answers}
        for request in requests:
            self._alter(request, by_id[request["id"]])
        body = orjson.dumps(answers[0] if single else answers)
        return (200, body) if self.mangle is None else self.mangle(body)

    def _alter(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        self.methods.append(request["method"])
        if self.alter is None or "result" not in answer:
            return
        try:
            answer["result"] = self.alter(request["method"], request["params"], answer["result"])
        except Refusal as refusal:
            del answer["result"]
            answer["error"] = refusal.error
