"""What can befall a write: its process dies before or after the commit, or the database fails it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session


class Crashed(BaseException):
    """The process is dead; nothing in it may catch this."""


def _die(session: Session) -> None:
    raise Crashed


def _lose_connection(session: Session) -> None:
    """The server ends this very backend."""
    session.connection().exec_driver_sql("select pg_terminate_backend(pg_backend_pid())")


def _fail_serialisation(session: Session) -> None:
    session.connection().exec_driver_sql("do $$ begin raise serialization_failure; end $$")


def _lose_answer(session: Session) -> None:
    """The commit stands, and whoever made it will not hear of it."""
    raise OperationalError("commit", None, psycopg.OperationalError("server closed the connection unexpectedly"))


_Stroke = Callable[[Session], None]
BEFORE: dict[str, _Stroke] = {
    "crash before": _die,
    "backend ends before": _lose_connection,
    "serialisation failure": _fail_serialisation,
}
AFTER: dict[str, _Stroke] = {"crash after": _die, "commit unknown after": _lose_answer}
BREAKS = (*BEFORE, *AFTER)


class Breaker:
    """Strikes the next write of a name (`core.db.transaction`), once armed. Listens on every session."""

    def __init__(self) -> None:
        self._armed: tuple[str, str] | None = None

    def arm(self, write: str, stroke: str) -> None:
        self._armed = (write, stroke)

    def disarm(self) -> bool:
        """Whether the write came and was struck."""
        struck, self._armed = self._armed is None, None
        return struck

    @contextmanager
    def listening(self) -> Iterator[None]:
        event.listen(Session, "before_commit", self._before)
        event.listen(Session, "after_commit", self._after)
        try:
            yield
        finally:
            event.remove(Session, "before_commit", self._before)
            event.remove(Session, "after_commit", self._after)

    def _before(self, session: Session) -> None:
        self._strike(session, BEFORE)

    def _after(self, session: Session) -> None:
        self._strike(session, AFTER)

    def _strike(self, session: Session, strokes: dict[str, _Stroke]) -> None:
        if self._armed is None or session.in_nested_transaction():
            return
        write, stroke = self._armed
        if stroke in strokes and session.info.get("name") == write:
            self._armed = None
            strokes[stroke](session)
