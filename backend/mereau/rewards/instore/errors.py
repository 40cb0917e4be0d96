"""Why staff cannot redeem with a code."""

from mereau.core.errors import NotFoundError


class UnknownCodeError(NotFoundError):
    """The code is wrong, used or over; the three are one answer."""

    code, title = "unknown_code", "No such code"
