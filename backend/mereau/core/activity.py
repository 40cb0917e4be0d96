"""Which process is at work where several may stand by, and the advisory locks that decide it."""

import os
import socket
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

MIRROR_LOCK: Final = 0x6D69726F  # "miro"
JOBS_LOCK: Final = 0x6D6A6F62  # "mjob"
LEASES_LOCK: Final = 0x6D6572  # "mer"; the second key of the lock is the lease's name, hashed

PARTS: Final = ("relayer", "mirror", "jobs")

_HOST_CHARS_MAX: Final = 40  # PostgreSQL keeps 63 bytes of a name
# How pg_locks shows advisory locks: one key of 64 bits in two halves (objsubid 1), or two keys (objsubid 2).
_HOLDERS: Final = text("""
    select wanted.part, holder.application_name as process
    from (values ('relayer', cast(:leases as bigint), hashtext('relayer')::oid::bigint, 2),
                 ('mirror', 0, :mirror, 1), ('jobs', 0, :jobs, 1)) as wanted (part, high, low, keys)
    join pg_locks as lock on lock.locktype = 'advisory' and lock.granted and lock.objsubid = wanted.keys
        and lock.classid::bigint = wanted.high and lock.objid::bigint = wanted.low
        and lock.database = (select oid from pg_database where datname = current_database())
    join pg_stat_activity as holder on holder.pid = lock.pid
""")


def introduce(part: str) -> None:
    """Name this process to PostgreSQL, as PART HOST:PID, on every connection that it opens from now on."""
    os.environ["PGAPPNAME"] = f"{part} {socket.gethostname()[:_HOST_CHARS_MAX]}:{os.getpid()}"


async def active_parts(session: AsyncSession) -> dict[str, str | None]:
    """For each part that may stand by, HOST:PID of the process that is at work; None where none is."""
    rows = await session.execute(_HOLDERS, {"leases": LEASES_LOCK, "mirror": MIRROR_LOCK, "jobs": JOBS_LOCK})
    holders = {row.part: row.process.rpartition(" ")[2] for row in rows}
    return {part: holders.get(part) for part in PARTS}
