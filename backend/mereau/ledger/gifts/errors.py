"""Why a member cannot give tokens away."""

from mereau.core.errors import ConflictError


class TransfersClosedError(ConflictError):
    """The contract was deployed with transfers off, for ever."""

    code, title = "transfers_closed", "Tokens stay with their member"

    def __init__(self) -> None:
        super().__init__(
            "Les jetons de ce programme ne se donnent pas : le contrat ne permet aucun transfert entre membres, et"
            " cela ne peut plus changer. / Tokens of this programme cannot be given: its contract allows no transfer"
            " between members, and this can no longer change."
        )


class GiftsUnsupportedError(ConflictError):
    """The contract lets holders transfer by transactions of their own; nobody carries them here."""

    code, title = "gifts_unsupported", "Gifts are not carried"

    def __init__(self) -> None:
        super().__init__(
            "Le contrat permet les transferts, mais Mereau n'en transmet aucun : les dates et l'origine des jetons s'y"
            " perdraient. / The contract allows transfers, but Mereau carries none: the tokens' dates and origin"
            " would be lost."
        )
