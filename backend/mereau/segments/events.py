"""The events that segments publish."""

from collections.abc import Iterable

from mereau.outbox.service import Event


def entered(segment_id: str, member_ids: Iterable[str]) -> list[Event]:
    """`segment.entered`, one for each member."""
    return _each("segment.entered", segment_id, member_ids)


def left(segment_id: str, member_ids: Iterable[str]) -> list[Event]:
    """`segment.left`, one for each member."""
    return _each("segment.left", segment_id, member_ids)


def filled(segment_id: str, member_count: int) -> Event:
    """`segment.filled`: the first refresh of a definition, one event for all whom it found.

    Nobody entered who was there before the definition was, and a million events would say no more.
    """
    return Event("segment.filled", segment_id, {"member_count": member_count})


def _each(word: str, segment_id: str, member_ids: Iterable[str]) -> list[Event]:
    return [Event(word, segment_id, {"segment_id": segment_id, "member_id": member_id}) for member_id in member_ids]
