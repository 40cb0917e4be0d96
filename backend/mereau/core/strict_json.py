"""Reads JSON (RFC 8259) so that nothing is guessed: what two readers could understand differently is refused.

Refused are other encodings than UTF-8, byte order marks, repeated keys, NaN and Infinity, NUL, lone
surrogates, numbers of absurd length and deep nesting. Numbers with a fraction or an exponent stay floats,
which no field of the API takes, so that `1.0` and `1e3` fail with the pointer of their field.
"""

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Final, NoReturn

from mereau.core.errors import FieldError, MalformedError

DEPTH_MAX: Final = 32
_STEPS: Final = {"[": 1, "{": 1, "]": -1, "}": -1}
_BRACKET: Final = re.compile(r"[\[\]{}]")
# The closing quote is optional and the repetition possessive: an unterminated string is passed over once.
_STRING: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


class _Repeated(dict[str, object]):
    """An object in which `key` stood twice; found again by a walk, which knows where it is."""

    key = ""


def parse(raw: bytes) -> object:
    """The value of a JSON text. Raises MalformedError, with a JSON pointer where the place is known."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"The body is not UTF-8: byte {error.start} is wrong.") from None
    if not text.strip():
        raise MalformedError("The body is empty; a JSON object is expected.")
    _check_depth(text)
    repeated: list[_Repeated] = []
    value = _decode(text, repeated)
    if repeated:
        _refuse_repeated(value)
    # Only an escape can smuggle in what UTF-8 or a JSON string itself forbids.
    if "\\u" in text:
        _check_strings(value)
    return value


def escape_pointer(token: str) -> str:
    """One reference token of a JSON pointer (RFC 6901, section 3)."""
    return token.replace("~", "~0").replace("/", "~1")


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= DEPTH_MAX:
        return
    brackets = _BRACKET.findall(_STRING.sub("", text))
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > DEPTH_MAX:
        raise MalformedError(f"The body is nested deeper than {DEPTH_MAX} levels.")


def _decode(text: str, repeated: list[_Repeated]) -> object:
    def build(pairs: list[tuple[str, object]]) -> dict[str, object]:
        built = dict(pairs)
        if len(built) == len(pairs):
            return built
        marked = _Repeated(built)
        keys = [key for key, _ in pairs]
        marked.key = next(key for index, key in enumerate(keys) if key in keys[:index])
        repeated.append(marked)
        return marked

    decoder = json.JSONDecoder(object_pairs_hook=build, parse_constant=_refuse_constant)
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedError(f"The body is not JSON: {error.msg} at character {error.pos}.") from None
    except ValueError:
        raise MalformedError("The body holds a number with too many digits.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"The body is not JSON: {name} is not a number of JSON.")


def _refuse_repeated(value: object) -> NoReturn:
    errors = [
        FieldError(f"{pointer}/{escape_pointer(found.key)}", "repeated_key", "This key stands more than once.")
        for pointer, found in _walk(value)
        if isinstance(found, _Repeated)
    ]
    raise MalformedError("An object of the body repeats a key.", errors=errors)


def _check_strings(value: object) -> None:
    for pointer, found in _walk(value):
        texts = found.keys() if isinstance(found, dict) else (found,)
        for text in texts:
            if isinstance(text, str) and not _is_sound(text):
                raise MalformedError(
                    "A string of the body holds NUL or half of a surrogate pair.",
                    errors=[FieldError(pointer, "unsound_string", "NUL or a lone surrogate.")],
                )


def _is_sound(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _walk(value: object, pointer: str = "") -> Iterator[tuple[str, object]]:
    """Every value with its pointer, parents first; no deeper than DEPTH_MAX, which was checked before."""
    yield pointer, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, f"{pointer}/{escape_pointer(key)}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, f"{pointer}/{index}")
