"""The way to PostgreSQL: loses the answer to one commit, so that nobody on this side knows what became of it."""

import asyncio
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

_SOCKET: Final = ".s.PGSQL.5432"
_COMMIT: Final = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""A simple query (PostgreSQL documentation, 53.7) as psycopg ends a transaction."""
_CHUNK: Final = 2**16


class Wire:
    """Relays a unix socket. `cut` chooses the commit, by words of its transaction; `done` tells that it happened."""

    def __init__(self, url: str) -> None:
        self.done = asyncio.Event()
        self._folder = Path(tempfile.mkdtemp(prefix="wire-"))
        self._host = parse_qs(urlsplit(url).query)["host"][0]
        self.url = url.replace(self._host, str(self._folder))
        self._words: bytes | None = None
        self._arrives = True
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self._folder / _SOCKET)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)
        shutil.rmtree(self._folder)

    def cut(self, words: bytes, *, arrives: bool) -> None:
        """Break the connection at the next commit after `words`: with the commit done, or never `arrived`."""
        self._words, self._arrives = words, arrives

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        there_reader, there_writer = await asyncio.open_unix_connection(f"{self._host}/{_SOCKET}")
        answers = asyncio.create_task(_copy(there_reader, writer))
        try:
            await self._requests(reader, there_writer, answers)
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
            writer.close()
            there_writer.close()
            self._relays.discard(task)

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: asyncio.Task[None]
    ) -> None:
        spoken = b""
        with suppress(ConnectionError):
            while chunk := await reader.read(_CHUNK):
                spoken += chunk
                if chunk.endswith(_COMMIT):
                    if self._words is not None and self._words in spoken:
                        return await self._break(chunk, writer, answers)
                    spoken = b""
                writer.write(chunk)
                await writer.drain()
        return None

    async def _break(self, chunk: bytes, writer: asyncio.StreamWriter, answers: asyncio.Task[None]) -> None:
        self._words = None
        answers.cancel()
        if self._arrives:
            writer.write(chunk)
            await writer.drain()
            # The server reads what came before the end, commits, and only then finds nobody to tell.
            writer.write_eof()
        self.done.set()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.close()
