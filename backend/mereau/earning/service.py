"""The public face of earning: rules, sales and returns."""

from mereau.earning.domain import RuleSpec, parse_spec
from mereau.earning.returns.service import (
    ReturnOutcome,
    match_candidates,
    record_returns,
    recorded_references,
)
from mereau.earning.rules.service import (
    activate_rule,
    change_rule,
    create_rule,
    deactivate_rule,
    list_rules,
    sale_rules,
)
from mereau.earning.sales.service import SaleOutcome, record_sales
from mereau.sales.domain import RecordedSale, SaleDraft, SaleLineDraft
from mereau.sales.queries import ReturnView, SaleView, sale_view
from mereau.sales.returns.domain import RecordedReturn, ReturnDraft
from mereau.sales.returns.repository import Candidate

__all__ = [
    "Candidate",
    "RecordedReturn",
    "RecordedSale",
    "ReturnDraft",
    "ReturnOutcome",
    "ReturnView",
    "RuleSpec",
    "SaleDraft",
    "SaleLineDraft",
    "SaleOutcome",
    "SaleView",
    "activate_rule",
    "change_rule",
    "create_rule",
    "deactivate_rule",
    "list_rules",
    "match_candidates",
    "parse_spec",
    "record_returns",
    "record_sales",
    "recorded_references",
    "sale_rules",
    "sale_view",
]
