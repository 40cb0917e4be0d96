"""A real chain process and what tests say to it: starting, killing, signing, asking."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils import to_checksum_address

CHAIN_ID = 20826
GWEI = 10**9
START_LIMIT_S = 120
STRANGER = "0x" + "5a" * 20

_PROGRAM = """
import pathlib, sys
from mereau.chain.embedded import serve
serve(pathlib.Path(sys.argv[1]), port=int(sys.argv[2]), chain_id=int(sys.argv[3]),
      funded=[a for a in sys.argv[4].split(",") if a], development=sys.argv[5] == "1")
"""


class RpcError(Exception):
    """The error object that the node answered with."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: str | None = error.get("data")


def account(number: int) -> LocalAccount:
    """The account of a small private key: known to everybody, for tests only."""
    return Account.from_key((number + 1_000).to_bytes(32, "big"))


@dataclass
class Client:
    """JSON-RPC over one HTTP connection pool."""

    url: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __call__(self, method: str, *parameters: Any) -> Any:
        answer = self.post(self.request(method, *parameters)).json()
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    def request(self, method: str, *parameters: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": list(parameters)}

    def post(self, payload: Any) -> httpx.Response:
        return self.http.post(self.url, json=payload)

    def post_raw(self, body: bytes, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(self.url, content=body, headers={"content-type": "application/json", **named})

    def nonce(self, sender: LocalAccount, block: str = "latest") -> int:
        return int(self("eth_getTransactionCount", sender.address, block), 16)

    def send(self, sender: LocalAccount, **fields: Any) -> str:
        """Sign with the sender's next nonce, send, and answer the hash."""
        fields.setdefault("nonce", self.nonce(sender))
        answer: str = self("eth_sendRawTransaction", sign(sender, **fields))
        return answer

    def mine(self, sender: LocalAccount, **fields: Any) -> dict[str, Any]:
        """As `send`, and answer the receipt."""
        receipt: dict[str, Any] = self("eth_getTransactionReceipt", self.send(sender, **fields))
        return receipt

    def deploy(self, sender: LocalAccount, code: bytes) -> str:
        receipt = self.mine(sender, to=None, data=code, gas=10_000_000)
        assert receipt["status"] == "0x1"
        address: str = receipt["contractAddress"]
        return address


def sign(sender: LocalAccount, **fields: Any) -> str:
    """A signed type 2 transaction as hex; `fields` replace the defaults, None removes one."""
    transaction: dict[str, Any] = {
        "chainId": CHAIN_ID,
        "nonce": 0,
        "gas": 200_000,
        "maxFeePerGas": 10 * GWEI,
        "maxPriorityFeePerGas": GWEI,
        "to": STRANGER,
        "value": 0,
        "data": b"",
        "type": 2,
        **fields,
    }
    given = {key: value for key, value in transaction.items() if value is not None}
    if "to" in given:
        given["to"] = to_checksum_address(given["to"])
    return sender.sign_transaction(given).raw_transaction.to_0x_hex()


class Node:
    """A chain process in a data directory; port 0 takes a free port that the ready line names."""

    def __init__(
        self,
        data_dir: Path,
        *,
        funded: Sequence[str],
        chain_id: int = CHAIN_ID,
        development: bool = True,
    ) -> None:
        self.data_dir = data_dir
        self._arguments = [str(data_dir), "0", str(chain_id), ",".join(funded), str(int(development))]
        self._process: subprocess.Popen[str] | None = None
        self.output = ""

    @property
    def process(self) -> "subprocess.Popen[str]":
        assert self._process is not None
        return self._process

    def launch(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *self._arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "NO_COLOR": "1"},
        )
        return self._process

    def start(self) -> Client:
        """Launch and wait for the ready line."""
        process = self.launch()
        assert process.stdout is not None
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            line = process.stdout.readline()
            self.output += line
            if "chain_ready" in line:
                url = next(word for word in line.split() if word.startswith("url=")).removeprefix("url=")
                return Client(url.strip())
            if not line and process.poll() is not None:
                break
        message = f"the node did not start:\n{self.output}"
        raise RuntimeError(message)

    def failure(self) -> str:
        """Launch a node that must not start, and answer what it said."""
        output, _ = self.launch().communicate(timeout=START_LIMIT_S)
        assert self.process.returncode != 0
        return output

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self._reap()

    def stop(self) -> int:
        """SIGTERM; answers the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        code = self.process.wait(timeout=START_LIMIT_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def memory_mib(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def dumps(payload: Any) -> bytes:
    return json.dumps(payload).encode()
