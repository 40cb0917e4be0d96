"""Puts the lines of a file of any size into the order of its documents, in little memory.

Lines go to an unnamed temporary file, which a killed process leaves nothing of; memory holds one small
record per document. A file whose documents are contiguous is read back front to back.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Final, NamedTuple, Self

import orjson

from mereau.integrations.lines import ImportLine, Kind

_SEGMENT_LINES_MAX: Final = 2_000


class SpooledLine(NamedTuple):
    """A line of a document and where the file has it."""

    line_number: int
    member: str
    sku: str
    quantity: int
    unit_price_micro: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Document:
    """A sale or a return with its lines in the order of the file.

    `position` is its place in the import order: by time of its first line, then by first line.
    """

    position: int
    reference: str
    kind: Kind
    occurred_at: datetime
    lines: Sequence[SpooledLine]


@dataclass(slots=True)
class _Place:
    kind: Kind
    occurred_at: str
    position: int = 0
    segments: list[tuple[int, int]] = field(default_factory=list)


class DocumentSpool:
    """Collects lines, then gives documents. A document's time and kind are those of its first line."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__
        self._places: dict[str, _Place] = {}
        self._open = ""
        self._buffer: list[tuple[object, ...]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._places)

    def add(self, line_number: int, line: ImportLine) -> None:
        if line.document != self._open or len(self._buffer) >= _SEGMENT_LINES_MAX:
            self._flush()
            self._open = line.document
            if line.document not in self._places:
                self._places[line.document] = _Place(line.kind, line.occurred_at)
        self._buffer.append((line_number, *line[3:]))

    def seal(self) -> None:
        """End the collecting and settle the order; call once, before the documents are asked for."""
        self._flush()
        # The sort is stable: documents of one instant keep the order of their first lines.
        for position, place in enumerate(sorted(self._places.values(), key=lambda place: place.occurred_at)):
            place.position = position

    def position(self, reference: str) -> int:
        """A document's place in the import order; -1 for one that this file does not hold."""
        place = self._places.get(reference)
        return -1 if place is None else place.position

    def chunks(self, documents_max: int, lines_max: int) -> Iterator[list[Document]]:
        """Runs of documents in import order; a run ends at either limit, the same in every pass."""
        chunk: list[Document] = []
        line_count = 0
        for reference, place in sorted(self._places.items(), key=lambda item: item[1].position):
            document = self._read(reference, place)
            chunk.append(document)
            line_count += len(document.lines)
            if len(chunk) >= documents_max or line_count >= lines_max:
                yield chunk
                chunk, line_count = [], 0
        if chunk:
            yield chunk

    def _flush(self) -> None:
        if self._buffer:
            segment = orjson.dumps(self._buffer)
            self._places[self._open].segments.append((self._file.tell(), len(segment)))
            self._file.write(segment)
            self._buffer.clear()

    def _read(self, reference: str, place: _Place) -> Document:
        lines: list[SpooledLine] = []
        for offset, length in place.segments:
            self._file.seek(offset)
            lines += [SpooledLine(*row) for row in orjson.loads(self._file.read(length))]
        return Document(place.position, reference, place.kind, datetime.fromisoformat(place.occurred_at), lines)
