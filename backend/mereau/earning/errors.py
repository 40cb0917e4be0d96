"""Refusals of earning: each has a stable code of its own."""

from mereau.core.errors import ConflictError


class NoActiveRuleError(ConflictError):
    """Sales cannot be valued before a rule is active; recording them would make them earn nothing for ever."""

    code, title = "no_active_rule", "No earning rule is active"


class RuleFrozenError(ConflictError):
    """A rule that was active once never changes; a new version of it may."""

    code, title = "rule_frozen", "The rule is frozen"


class RecordedOtherwiseError(ConflictError):
    """The business reference is taken by a document with other content."""

    code, title = "recorded_otherwise", "Recorded with other content"


class PriorityTakenError(ConflictError):
    """Two exclusive rules of one stacking group with one priority: nobody could tell which stands alone."""

    code, title = "priority_taken", "The priority is taken"
