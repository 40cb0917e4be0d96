"""Records of a CSV file, plain or gzip, one physical line each: a broken line spoils no other."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Final

from mereau.integrations.errors import RefusedLineError, UnreadableFileError
from mereau.integrations.lines import ImportLine, SalesMapping

_GZIP_MAGIC: Final = b"\x1f\x8b"


@contextmanager
def open_text(raw: BinaryIO) -> Iterator[io.TextIOWrapper]:
    """The text of a plain or gzip file. Bytes that are not UTF-8 survive as surrogates for a mapping to judge."""
    magic = raw.read(len(_GZIP_MAGIC))
    raw.seek(0)
    binary = gzip.GzipFile(fileobj=raw) if magic == _GZIP_MAGIC else raw
    with io.TextIOWrapper(
        io.BufferedReader(binary) if isinstance(binary, gzip.GzipFile) else binary,
        encoding="utf-8",
        errors="surrogateescape",
        newline="\n",
    ) as text:
        yield text


def split_record(line: str) -> Sequence[str]:
    """The fields of one physical line (RFC 4180); RefusedLineError where its quotes do not match."""
    line = line.rstrip("\r\n")
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise RefusedLineError(f"not a CSV record: {error}") from None


class RecordReader:
    """Iterates over (line number, line or refusal) of a file; the header is line 1.

    UnreadableFileError where the file is missing, is not what its first bytes say, ends early, or lacks a
    column of the mapping.
    """

    def __init__(self, path: Path, mapping: SalesMapping) -> None:
        self._path = path
        self._mapping = mapping
        self._raw: BinaryIO | None = None
        self.bytes_total = 0

    @property
    def bytes_done(self) -> int:
        """How much of the file, as it lies on disk, is read."""
        return 0 if self._raw is None else self._raw.tell()

    def __iter__(self) -> Iterator[tuple[int, ImportLine | RefusedLineError]]:
        try:
            self.bytes_total = self._path.stat().st_size
            with self._path.open("rb") as self._raw, open_text(self._raw) as text:
                yield from self._lines(text)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableFileError(f"{self._path} cannot be read: {error}") from error

    def _lines(self, text: io.TextIOWrapper) -> Iterator[tuple[int, ImportLine | RefusedLineError]]:
        try:
            header = [name.strip() for name in split_record(text.readline().removeprefix("\ufeff"))]
        except RefusedLineError as error:
            raise UnreadableFileError(f"The header of {self._path} is {error.detail}.") from None
        missing = [name for name in self._mapping.columns if name not in header]
        if missing:
            raise UnreadableFileError(f"{self._path} has no column {', '.join(missing)}.")
        pick = itemgetter(*(header.index(name) for name in self._mapping.columns))
        for number, line in enumerate(text, 2):
            if line in {"\n", "\r\n"}:
                continue
            try:
                yield number, self._mapping.parse(pick(_fields(line, len(header))))
            except RefusedLineError as error:
                yield number, error


def _fields(line: str, width: int) -> Sequence[str]:
    fields = split_record(line)
    if len(fields) != width:
        raise RefusedLineError(f"{len(fields)} fields instead of {width}")
    return fields
