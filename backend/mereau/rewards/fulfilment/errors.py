"""Why a delivery cannot go on."""

from mereau.core.errors import ConflictError


class HeldUpError(ConflictError):
    """Deliveries cannot take the step that was asked for; `errors` says which and why."""

    code, title = "held_up", "The deliveries cannot take this step"


class ProofDecidedError(ConflictError):
    """The proof was decided, or another one took its place."""

    code, title = "proof_decided", "The proof is already decided"


class ProofNotNeededError(ConflictError):
    """Nothing is put on these goods, their proof is approved, or they have left."""

    code, title = "proof_not_needed", "No proof is expected"
