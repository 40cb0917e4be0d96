"""What a node can get wrong. A fault is never written: the mirror stands still, says so, and asks again."""

from mereau.core.errors import UnavailableError


class NodeFaultError(UnavailableError):
    """The node's answer contradicts itself, a proven hash or the stored chain; nothing of it may be used."""


class NodeBehindError(UnavailableError):
    """The node does not have, or no longer has, a block that it spoke of; a later answer may be whole."""


class OvertakenError(UnavailableError):
    """Another mirror moved the head meanwhile; this one's work is void and it must read again."""


class DriftError(UnavailableError):
    """Proven transfers do not fit the stored balances: these tables were changed by other hands."""
