"""JSON-RPC over HTTP, as plain as it is: one POST, typed errors, no object per log."""

from collections.abc import Sequence
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

import httpx
import orjson

from mereau.chain.errors import LimitExceededError, RpcError, RpcUnavailableError, rpc_error

Request = tuple[str, Sequence[Any]]
"""A method with its parameters; bytes stand for 0x-strings. Quantities are written by `quantity`."""

_BATCH_MAX: Final = 200
_KEEP_ALIVE_S: Final = 2.0
"""Below what servers grant idle connections (uvicorn: 5 s), so that none is closed under a request."""


def quantity(value: int) -> str:
    """An integer as JSON-RPC wants it: hex without leading zeros."""
    return hex(value)


def at_block(block_hash: bytes) -> dict[str, str]:
    """The block parameter that names one block for ever, whatever the head becomes (EIP-1898)."""
    return {"blockHash": "0x" + block_hash.hex()}


def shown(block: dict[str, Any] | None, name: str) -> dict[str, Any]:
    """A block that a whole node has; one that answers with nothing may have it in a moment."""
    if block is None:
        raise RpcUnavailableError(f"the node shows no {name}")
    return block


def hex_bytes(value: str) -> bytes:
    """Bytes of a 0x-string."""
    return bytes.fromhex(value[2:])


class RpcClient:
    """One node. Safe for concurrent use within one event loop.

    `timeout_s` bounds each HTTP exchange. Every failure to get a whole, well-formed answer raises
    RpcUnavailableError, after which the request may or may not have had its effect.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0, connections_max: int = 8) -> None:
        self.url = url
        self._ids = count(1)
        self._batch_max = _BATCH_MAX
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
            limits=httpx.Limits(max_connections=connections_max, keepalive_expiry=_KEEP_ALIVE_S),
            headers={"content-type": "application/json"},
            trust_env=False,
            verify=url.startswith("https"),  # Reading the system's certificates takes longer than a start should.
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the client is of no use afterwards."""
        await self._http.aclose()

    async def call(self, method: str, *params: Any) -> Any:
        """One request's result. Raises RpcError (typed) or RpcUnavailableError."""
        request_id = next(self._ids)
        answer = await self._exchange(_envelope(request_id, method, params))
        if not isinstance(answer, dict) or answer.get("id") != request_id:
            # A node that could not read the request answers without its id.
            if isinstance(answer, dict) and "error" in answer:
                raise rpc_error(answer["error"])
            raise RpcUnavailableError(f"{method}: the answer belongs to another request")
        return _result(method, answer)

    async def batch(self, requests: Sequence[Request]) -> list[Any]:
        """The results of many requests, in order; the first error among them is raised."""
        outcomes = await self.batch_outcomes(requests)
        for outcome in outcomes:
            if isinstance(outcome, RpcError):
                raise outcome
        return outcomes

    async def batch_outcomes(self, requests: Sequence[Request]) -> list[Any]:
        """As `batch`, with each failed request's RpcError in its place. A node that refuses so many gets fewer."""
        outcomes: list[Any] = []
        while len(outcomes) < len(requests):
            part = requests[len(outcomes) : len(outcomes) + self._batch_max]
            try:
                outcomes += await self._batch(part)
            except LimitExceededError:
                # A batch that is refused as a whole had no effect. Nodes' limits differ, and none tells its own.
                if len(part) == 1:
                    raise
                self._batch_max = len(part) // 2
            else:
                self._batch_max = min(_BATCH_MAX, self._batch_max + 1)
        return outcomes

    async def _batch(self, requests: Sequence[Request]) -> list[Any]:
        ids = [next(self._ids) for _ in requests]
        answers = await self._exchange(
            [_envelope(request_id, method, params) for request_id, (method, params) in zip(ids, requests, strict=True)]
        )
        if isinstance(answers, dict) and "error" in answers:
            raise rpc_error(answers["error"])
        if not isinstance(answers, list):
            raise RpcUnavailableError("a batch was answered by something else than a list")
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        return [_outcome(method, by_id.get(request_id)) for request_id, (method, _) in zip(ids, requests, strict=True)]

    async def _exchange(self, content: Any) -> Any:
        try:
            response = await self._http.post(self.url, content=orjson.dumps(content, default=_as_hex))
        except httpx.HTTPError as error:
            raise RpcUnavailableError(f"the node does not answer: {type(error).__name__} {error}") from error
        try:
            answer = orjson.loads(response.content)
        except orjson.JSONDecodeError as error:
            raise RpcUnavailableError(f"HTTP {response.status_code} without JSON from the node") from error
        if response.is_error and not _is_answer(answer):
            raise RpcUnavailableError(f"HTTP {response.status_code} from the node")
        return answer


def _is_answer(answer: Any) -> bool:
    """Whether a body that came with an HTTP error is JSON-RPC all the same, as some nodes send it."""
    return isinstance(answer, list) or (isinstance(answer, dict) and "jsonrpc" in answer)


def _envelope(request_id: int, method: str, params: Sequence[Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": list(params)}


def _as_hex(value: Any) -> str:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    raise TypeError(f"no JSON form for {type(value).__name__}")


def _result(method: str, answer: dict[str, Any]) -> Any:
    if answer.get("error") is not None:
        raise rpc_error(answer["error"])
    if "result" not in answer:
        raise RpcUnavailableError(f"{method}: an answer without result or error")
    return answer["result"]


def _outcome(method: str, answer: dict[str, Any] | None) -> Any:
    if answer is None:
        raise RpcUnavailableError(f"{method}: no answer in the batch")
    try:
        return _result(method, answer)
    except RpcError as error:
        return error
