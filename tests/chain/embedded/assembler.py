"""A tiny assembler, so that tests need no compiler: mnemonics, numbers to push, `label:` and `@label`."""

from eth.vm import opcode_values

_OPCODES: dict[str, int] = {
    name: value for name, value in vars(opcode_values).items() if isinstance(value, int) and name.isupper()
}
_OPCODES["INVALID"] = 0xFE


def assemble(source: str) -> bytes:
    """Code of the words in `source`. A number pushes itself; `@name` pushes the place of `name:`."""
    words = source.split()
    places: dict[str, int] = {}
    position = 0
    for word in words:
        if word.endswith(":"):
            places[word[:-1]] = position
            position += 1
        else:
            position += len(_encode(word, places, missing_ok=True))
    return b"".join(_encode(word, places) for word in words)


def _encode(word: str, places: dict[str, int], *, missing_ok: bool = False) -> bytes:
    if word.endswith(":"):
        return bytes((_OPCODES["JUMPDEST"],))
    if word.startswith("@"):
        place = places.get(word[1:], 0) if missing_ok else places[word[1:]]
        return bytes((_OPCODES["PUSH2"],)) + place.to_bytes(2, "big")
    if word[0].isdigit():
        value = int(word, 0)
        size = max((value.bit_length() + 7) // 8, 1)
        return bytes((_OPCODES["PUSH1"] + size - 1,)) + value.to_bytes(size, "big")
    return bytes((_OPCODES[word],))


def creation(runtime: bytes) -> bytes:
    """Init code that installs `runtime`, which stands right behind it."""
    size = 0
    while True:
        header = assemble(f"{len(runtime)} DUP1 {size} 0 CODECOPY 0 RETURN")
        if len(header) == size:
            return header + runtime
        size = len(header)


# For every word w of its calldata: slot[w] += 1, and a log with three topics (7, w, slot[w]) and w as data.
COUNTER = assemble("""
    0
    loop: DUP1 CALLDATASIZE GT ISZERO @end JUMPI
    DUP1 CALLDATALOAD
    DUP1 SLOAD 1 ADD
    DUP1 DUP3 SSTORE
    DUP2 0 MSTORE
    DUP2 7 32 0 LOG3
    POP
    32 ADD @loop JUMP
    end: STOP
""")

# Reverts with its calldata.
REVERTER = assemble("CALLDATASIZE 0 0 CALLDATACOPY CALLDATASIZE 0 REVERT")

# Answers number, timestamp, base fee, caller, and the hash of the block before.
CONTEXT = assemble("""
    NUMBER 0 MSTORE TIMESTAMP 32 MSTORE BASEFEE 64 MSTORE CALLER 96 MSTORE
    1 NUMBER SUB BLOCKHASH 128 MSTORE 160 0 RETURN
""")

# Burns whatever gas it gets: no limit pays for that much memory.
BURNER = assemble("1 0xffffffffff MSTORE")

# Writes its first word to slot 0, so zero clears it and earns a refund.
SETTER = assemble("0 CALLDATALOAD 0 SSTORE STOP")


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in values)
