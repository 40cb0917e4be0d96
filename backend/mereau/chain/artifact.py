"""The compiled contract as it was committed: no user needs a compiler."""

from functools import cache
from importlib.resources import files
from typing import Any

import orjson


@cache
def artifact() -> dict[str, Any]:
    """The build of LoyaltyToken; its keys are those of `contracts/build.py`."""
    path = files("mereau.chain") / "artifacts" / "LoyaltyToken.json"
    content: dict[str, Any] = orjson.loads(path.read_bytes())
    return content


@cache
def creation_code() -> bytes:
    """What a deployment runs, before the encoded constructor arguments."""
    return bytes.fromhex(artifact()["bytecode"].removeprefix("0x"))


def storage_slot(label: str) -> int:
    """The storage slot where the compiler put the state variable `label`."""
    for variable in artifact()["storageLayout"]["storage"]:
        if variable["label"] == label:
            return int(variable["slot"])
    raise LookupError(f"the contract has no state variable {label}")
