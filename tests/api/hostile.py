"""Bodies that nobody sends in good faith, made from one that is right: each must be refused, none may do anything."""

import copy
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

JSON = {"content-type": "application/json"}
MARK = "@@hostile@@"

# JSON texts in the place of an integer.
NO_INTEGERS = (
    "1.0", "1e3", "1E400", "-1e400", "0.1", "-0.0", "NaN", "Infinity", "-Infinity", '"1"', '" 100 "', '"1_000"',
    '"NaN"',
    '"0x10"', "true", "false", "[]", "[1]", "{}", '{"a":1}', "-1", "-9223372036854775809", str(2**53), str(2**63),
    str(2**64), str(2**256), "1" + "0" * 4_000, "9" * 5_000, "1" + "0" * 400 + ".0", "01", "+1", "1_000", "0x10",
    "\N{ARABIC-INDIC DIGIT ONE}",
)  # fmt: skip
# JSON texts in the place of a string, whatever it should say.
NO_STRINGS = (
    "1", "1.5", "true", "false", "[]", '["x"]', "{}", '{"x":1}', "NaN", '""', '" "', '"\\u0000"', '"a\\u0000b"',
    '"\\ud800"', '"\\udc00x"', '"\\ud800\\u0041"', '"\\n"', '"a\\u0007b"', '" x"', '"x "', '"x\\n"', '"\\u007f"',
    json.dumps("x" * 300), json.dumps("x" * 60_000), "'x'", "x", '"x', '"\\x41"', '"\t"',
)  # fmt: skip
NO_LISTS = ("1", '"x"', "true", "{}", "[null]", "[1]", '["\\u0000"]', "[[]]", '[""]', "[{}]")
NO_OBJECTS = ("1", '"x"', "true", "[]", "[{}]", '{"unknown":1}', '""', "{")
EXTRA_FIELDS = (
    "extra", "id", "tokens", "balance", "status_code", "created_at", "is_admin", "__proto__", "constructor", "$ref",
    "Currency", "external_id ", "", "\u202eexternal_id", "member.id", "a/b~c",
)  # fmt: skip


@dataclass(frozen=True)
class Hostile:
    """One request: what is wrong with it, its bytes and its headers."""

    name: str
    content: bytes
    headers: dict[str, str]


def text(name: str, content: str) -> Hostile:
    return Hostile(name, content.encode("utf-8", "surrogatepass"), JSON)


def encodings(right: str) -> Iterator[Hostile]:
    """The right body in the wrong bytes."""
    for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-8-sig"):
        if right.encode(codec) != right.encode():
            yield Hostile(codec, right.encode(codec), JSON)
    for name, junk in (
        ("latin-1", b"\xe9"), ("overlong", b"\xc0\x80"), ("surrogate", b"\xed\xa0\x80"), ("too high",
        b"\xf5\x80\x80\x80"),
        ("lone continuation", b"\x80"), ("cut short", b"\xe2\x82"), ("not utf-8", b"\xff\xfe"),
    ):  # fmt: skip
        yield Hostile(f"{name} in a key", right.replace('"', '"' + junk.decode("latin-1"), 1).encode("latin-1"), JSON)
        yield Hostile(f"{name} at the end", right.encode() + junk, JSON)
    yield Hostile("NUL behind", right.encode() + b"\0", JSON)
    yield Hostile("NUL before", b"\0" + right.encode(), JSON)


def shapes(right: str) -> Iterator[Hostile]:
    """Texts that are no JSON object, or more than one."""
    for content in (
        "", " ", "\n\n", "null", "true", "1", "1.5", '"text"', "[]", f"[{right}]", "{", "}", "{]",
        right[:-1], right[1:],
        right + right, right + "]", right + ",", right[:-1] + ",}", "{,}", '{"a"}', '{"a":}', "{a:1}", "{'a':1}",
        "{1:1}",
        f"/* comment */{right}", f"{right}// comment", f"{right} garbage", f"\u00a0{right}", f"\ufeff{right}",
        "undefined",
        "NaN", "-Infinity", '{"a":NaN}', '{"a":1e999}', "%7B%7D", "a=1&b=2", "<a/>", "--- {}", '{"a":"\n"}',
        '{"a":"\x01"}',
        "True", "None", "nan", "inf", ".5", "1.", "1e", "--1", "0x1", "1__0", '"\\u12"', '"\\ud8"', "[1,]", "[,1]",
        "[1 2]",
        '{"a":1 "b":2}', '{"a"=1}', '{"a":1;}', '{"a":tru}', '{"a":nul}', '{"a":"b}', '{"a:1}', "\x0c{}", "{}\x0b",
        "\u2028{}",
        '{"a":\'b\'}', "\x1b[0m{}", ")]}',\n{}", "{}\r\nHost: x", "[[[]]", "}{", "]", ":", ",", '"', "\\",
        '{"\\ud800":1}', '{"\\u0000":1}', "{}", '{"":{}}', "9" * 5_000, '"' + "x" * 60_000 + '"',
    ):  # fmt: skip
        yield text(f"shape {content[:20]!r}", content)
    for depth in (33, 100, 5_000, 30_000):
        yield text(f"{depth} arrays", "[" * depth + "]" * depth)
        yield text(f"{depth} arrays, open", "[" * depth)
        yield text(f"{depth} objects", '{"a":' * min(depth, 10_000) + "1" + "}" * min(depth, 10_000))
    yield text("over-long space", right + " " * (2 * 1024 * 1024 + 1))
    yield text("over-long string", '{"a":"' + "x" * (2 * 1024 * 1024) + '"}')


def media(right: str) -> Iterator[Hostile]:
    """The right bytes under a wrong label."""
    content = right.encode()
    for label in (
        "", "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
        "application/xml", "application/json; charset=utf-16", "application/json; charset=latin-1",
        "application/jsonx",
        "application/problem+json", "application/json, text/plain", "json", "*/*",
    ):  # fmt: skip
        yield Hostile(f"labelled {label!r}", content, {"content-type": label})
    yield Hostile("without a label", content, {})
    for encoding in ("gzip", "deflate", "br", "identity, gzip"):
        yield Hostile(f"encoded {encoding}", gzip.compress(content), JSON | {"content-encoding": encoding})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place in a body, with what stands there."""
    if path:
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def replaced(body: Any, path: tuple[Any, ...], raw: str) -> str:
    """The body's text with a raw text in one place."""
    changed = copy.deepcopy(body)
    target = changed
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = MARK
    return json.dumps(changed).replace(json.dumps(MARK), raw)


def wrong_values(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("1", "0", '"true"', "null", "[]", "1.0")
    if isinstance(value, int):
        return NO_INTEGERS
    if isinstance(value, str):
        return NO_STRINGS
    if isinstance(value, list):
        return tuple(raw for raw in NO_LISTS if raw != "[1]" or not value or not isinstance(value[0], int))
    return NO_OBJECTS


def fields(body: dict[str, Any]) -> Iterator[Hostile]:
    """Each place with what must not stand there, each key twice, and keys that nobody asked for."""
    for path, value in places(body):
        for raw in wrong_values(value):
            yield text(f"{path} = {raw[:20]}", replaced(body, path, raw))
        if isinstance(path[-1], str):
            pair = f"{json.dumps(path[-1])}: {json.dumps(value)}"
            for second in (pair, pair.replace(path[-1], f"\\u{ord(path[-1][0]):04x}{path[-1][1:]}", 1)):
                yield text(f"{path} twice", json.dumps(body).replace(pair, f"{pair}, {second}", 1))
    for path, value in [((), body), *places(body)]:
        if isinstance(value, dict):
            for name in EXTRA_FIELDS:
                if name not in value:
                    changed = copy.deepcopy(body)
                    target = changed
                    for key in path:
                        target = target[key]
                    target[name] = 1
                    yield text(f"{path} with {name!r}", json.dumps(changed))


def corpus(body: dict[str, Any]) -> list[Hostile]:
    """At least 170 hostile requests for a route that takes `body`."""
    right = json.dumps(body)
    return [*encodings(right), *shapes(right), *media(right), *fields(body)]
