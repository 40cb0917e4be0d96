"""Refusals of claims: each has a stable code of its own."""

from mereau.core.errors import InvalidInputError


class ReceiptNotValidError(InvalidInputError):
    """No such receipt, another amount or day, claimed before, returned, too old: one answer for all."""

    code, title = "receipt_not_valid", "The receipt cannot be claimed"
