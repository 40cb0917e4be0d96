"""The public face of earning: rules, sales and returns."""

from mereau.earning.domain import RuleSpec, parse_spec
from mereau.earning.returns.service import (
    ReturnOutcome,
    match_candidates,
    record_returns,
    recorded_references,
)
from mereau.earning.rules.service import (
    ActiveRule,
    activate_rule,
    active_rule,
    change_rule,
    create_rule,
    list_rules,
)
from mereau.earning.sales.service import SaleOutcome, record_sales
from mereau.sales.domain import RecordedSale, SaleDraft, SaleLineDraft
from mereau.sales.queries import ReturnView, SaleView, sale_view
from mereau.sales.returns.domain import RecordedReturn, ReturnDraft
from mereau.sales.returns.repository import Candidate

__all__ = [
    "ActiveRule",
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
    "active_rule",
    "change_rule",
    "create_rule",
    "list_rules",
    "match_candidates",
    "parse_spec",
    "record_returns",
    "record_sales",
    "recorded_references",
    "sale_view",
]
