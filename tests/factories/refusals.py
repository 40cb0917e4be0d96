"""What a service objects to."""

from collections.abc import Awaitable

from mereau.core.errors import MereauError


async def refused(act: Awaitable[object]) -> list[tuple[str, str]]:
    """(pointer, code) of each finding of a refusal; empty where the act went through."""
    try:
        await act
    except MereauError as refusal:
        return [(found.pointer, found.code) for found in refusal.errors]
    return []
