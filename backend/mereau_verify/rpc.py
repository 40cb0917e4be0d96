"""A small JSON-RPC client: any node will do, none is believed further than its answers can be checked."""

from collections.abc import Sequence
from typing import Any

import httpx


class NodeError(Exception):
    """The node cannot be reached, or refuses what the verification needs."""


class NodeRefusalError(NodeError):
    """The node answers, but not with what was asked: too wide a range, an unknown method, pruned state."""


class Node:
    """One JSON-RPC endpoint over HTTP."""

    def __init__(self, url: str, *, timeout_s: float = 60) -> None:
        self.url = url
        self._client = httpx.Client(timeout=timeout_s)

    def call(self, method: str, *params: object) -> Any:
        """The result of one call; NodeError where none comes, NodeRefusalError where an error comes."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        try:
            response = self._client.post(self.url, json=body)
            answer = self._body(response)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            raise NodeError(f"{self.url} does not answer {method}: {error}") from error
        if not isinstance(answer, dict) or "result" not in answer:
            detail = answer.get("error") if isinstance(answer, dict) else answer
            raise NodeRefusalError(f"{self.url} refuses {method}: {detail}")
        return answer["result"]

    @staticmethod
    def _body(response: httpx.Response) -> Any:
        """The JSON of an answer; some nodes refuse a call with an HTTP error that carries the JSON-RPC error."""
        if response.is_client_error:
            try:
                answer = response.json()
            except (ValueError, RecursionError):
                answer = None
            if isinstance(answer, dict) and answer.get("error"):
                return answer
        return response.raise_for_status().json()

    def logs(self, address: str, first: int, last: int) -> list[dict[str, Any]]:
        """All logs of a contract in [first, last], by ranges that halve where the node refuses one."""
        try:
            query = {"address": address, "fromBlock": hex(first), "toBlock": hex(last)}
            return self._checked_logs(self.call("eth_getLogs", query), address, first, last)
        except NodeRefusalError:
            if first >= last:
                raise
            middle = (first + last) // 2
            return self.logs(address, first, middle) + self.logs(address, middle + 1, last)

    def _checked_logs(self, answer: object, address: str, first: int, last: int) -> list[dict[str, Any]]:
        """The logs, if they are what was asked for; NodeError else."""
        try:
            logs: list[dict[str, Any]] = list(answer) if isinstance(answer, list) else [{}]
            asked = {log["address"].lower() for log in logs} <= {address.lower()} and all(
                first <= int(log["blockNumber"], 16) <= last for log in logs
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise NodeError(f"{self.url} answers eth_getLogs with something else") from error
        if not asked:
            raise NodeError(f"{self.url} answers eth_getLogs with logs that were not asked for")
        return logs

    def proof(self, address: str, slots: Sequence[bytes], block: int) -> dict[str, Any]:
        """`eth_getProof` (EIP-1186) of storage slots at a block."""
        answer = self.call("eth_getProof", address, ["0x" + slot.hex() for slot in slots], hex(block))
        if not isinstance(answer, dict):
            raise NodeError(f"{self.url} answers eth_getProof with something else")
        return answer

    def close(self) -> None:
        self._client.close()
