"""Writes one run of documents through the services: members, then sales, then returns."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from mereau.core.db import WriteSession
from mereau.core.errors import MereauError
from mereau.earning import service as earning
from mereau.earning.service import Candidate, RecordedReturn, ReturnDraft, SaleDraft, SaleLineDraft
from mereau.integrations.lines import Kind
from mereau.integrations.matching import OpenUnits
from mereau.integrations.report import ImportReport, UnmatchedReturn
from mereau.integrations.spool import Document, SpooledLine
from mereau.members import service as members
from mereau.members.service import MemberDraft


class Poster:
    """Posts chunks of an import. The same chunks in the same order end in the same state, however often."""

    def __init__(self, partner_id: str, currency: str, position: Callable[[str], int]) -> None:
        """`position` gives a document's place in the import order (see `DocumentSpool`)."""
        self._partner_id = partner_id
        self._currency = currency
        self._position = position
        self._report = ImportReport()

    async def post(self, session: WriteSession, chunk: Sequence[Document], now: datetime) -> ImportReport:
        """Post a chunk in the session's transaction; its report holds once that is committed.

        Sales come first: a return looks only at earlier ones, which may be of the same chunk.
        """
        self._report = ImportReport()
        of_member = [(document, self._member(document)) for document in chunk]
        names = {member for _, member in of_member if member}
        ids = await members.ensure_members(
            session, [MemberDraft(name, enrolled_by_partner_id=self._partner_id) for name in sorted(names)], now
        )
        owned = [(document, ids.get(member)) for document, member in of_member]
        returns = await self._unrecorded(session, [item for item in owned if item[0].kind is Kind.RETURN])
        # Sales are locked before accounts, here as in every return: nobody waits for us while we for them.
        await self._candidates(session, returns)
        await self._post_sales(session, [item for item in owned if item[0].kind is Kind.SALE], now)
        await self._post_returns(session, returns, now)
        return self._report

    def _member(self, document: Document) -> str:
        return next((line.member for line in document.lines if line.member), "")

    def _lines_of_member(self, document: Document) -> Iterable[SpooledLine]:
        """The lines that are the document's member's own or nobody's; another customer's are refused."""
        member = self._member(document)
        for line in document.lines:
            if line.member in {member, ""}:
                yield line
            else:
                reason = f"{document.reference} belongs to customer {member}, not {line.member}"
                self._report.refuse_line(line.line_number, reason)

    async def _post_sales(
        self, session: WriteSession, sales: Sequence[tuple[Document, str | None]], now: datetime
    ) -> None:
        report = self._report
        drafts = [self._sale(document, member_id) for document, member_id in sales]
        outcomes = await earning.record_sales(session, drafts, now) if drafts else []
        for (document, _), outcome in zip(sales, outcomes, strict=True):
            report.sales += 1
            if isinstance(outcome, MereauError):
                report.sales_refused += 1
                self._refuse(document, outcome)
            elif outcome.duplicate:
                report.sales_already_recorded += 1
            else:
                report.sales_recorded += 1
                report.tokens_credited += outcome.tokens

    def _sale(self, document: Document, member_id: str | None) -> SaleDraft:
        return SaleDraft(
            partner_id=self._partner_id,
            external_id=document.reference,
            member_id=member_id,
            occurred_at=document.occurred_at,
            currency=self._currency,
            lines=[
                SaleLineDraft(
                    sku=line.sku,
                    category=None,
                    quantity=line.quantity,
                    unit_price_micro=line.unit_price_micro,
                    amount_minor=line.amount_minor,
                    eligible=bool(line.member) and line.unit_price_micro > 0,
                )
                for line in self._lines_of_member(document)
            ],
        )

    async def _unrecorded(
        self, session: WriteSession, returns: Sequence[tuple[Document, str | None]]
    ) -> list[tuple[Document, str | None]]:
        """The returns that are not recorded: one that is, in part or in whole, is left as it is."""
        recorded = await earning.recorded_references(
            session, self._partner_id, [document.reference for document, _ in returns]
        )
        self._report.returns += len(recorded)
        self._report.returns_already_recorded += len(recorded)
        return [item for item in returns if item[0].reference not in recorded]

    async def _candidates(
        self, session: WriteSession, returns: Sequence[tuple[Document, str | None]]
    ) -> list[Candidate]:
        keys = [
            (member_id, line.sku, line.unit_price_micro)
            for document, member_id in returns
            if member_id is not None
            for line in document.lines
        ]
        return await earning.match_candidates(session, self._partner_id, keys) if keys else []

    async def _post_returns(
        self, session: WriteSession, returns: Sequence[tuple[Document, str | None]], now: datetime
    ) -> None:
        if not returns:
            return
        units = OpenUnits(await self._candidates(session, returns), self._position)
        # Asked again now that the candidates are locked: what another import recorded meanwhile is seen.
        returns = await self._unrecorded(session, returns)
        self._report.returns += len(returns)
        drafts = [
            (document, self._match(document, member_id, units) if member_id else []) for document, member_id in returns
        ]
        outcomes = await earning.record_returns(session, [draft for _, many in drafts for draft in many], now)
        self._count_returns(drafts, outcomes)

    def _match(self, document: Document, member_id: str, units: OpenUnits) -> list[ReturnDraft]:
        """One draft per sale that the document's units belong to; the rest is reported and reverses nothing."""
        by_sale: dict[str, list[tuple[int, int]]] = {}
        before = (document.occurred_at, document.position)
        for line in self._lines_of_member(document):
            if not line.member:
                continue
            matches, rest = units.take((member_id, line.sku, line.unit_price_micro), line.quantity, before)
            for match in matches:
                by_sale.setdefault(match.sale_id, []).append((match.line_number, match.quantity))
            if rest:
                unmatched = UnmatchedReturn(line.line_number, document.reference, line.sku, rest)
                self._report.note_unmatched(unmatched)
        return [
            ReturnDraft(sale_id, self._partner_id, document.reference, document.occurred_at, lines)
            for sale_id, lines in by_sale.items()
        ]

    def _count_returns(
        self,
        drafts: Sequence[tuple[Document, Sequence[ReturnDraft]]],
        outcomes: Sequence[RecordedReturn | MereauError],
    ) -> None:
        report, remaining = self._report, iter(outcomes)
        for document, many in drafts:
            mine = [next(remaining) for _ in many]
            refused = [outcome for outcome in mine if isinstance(outcome, MereauError)]
            done = [outcome for outcome in mine if isinstance(outcome, RecordedReturn)]
            report.tokens_due += sum(outcome.tokens_due for outcome in done)
            report.tokens_reversed += sum(outcome.tokens_reversed for outcome in done)
            if refused:
                report.returns_refused += 1
                self._refuse(document, refused[0])
            elif done:
                report.returns_recorded += 1
            else:
                report.returns_unmatched += 1

    def _refuse(self, document: Document, error: MereauError) -> None:
        reason = "; ".join([error.detail, *(f"{found.pointer} {found.detail}" for found in error.errors)])
        self._report.refuse_document(document.lines[0].line_number, f"{document.reference}: {reason}")
