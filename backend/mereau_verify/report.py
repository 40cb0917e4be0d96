"""Findings: which rule, where, what was expected and found; told in French or English, or as JSON."""

from dataclasses import asdict, dataclass, field
from typing import Final

RULES: Final = {
    "format": ("Le fichier n'est pas écrit dans sa forme canonique", "The file is not in its canonical form"),
    "digest": ("L'empreinte ne correspond pas au contenu", "A digest does not match the content"),
    "identity": ("Ce n'est pas la chaîne annoncée", "This is not the chain that the trail names"),
    "bytecode": ("Le code déployé n'est pas celui de Mereau", "The deployed code is not Mereau's"),
    "sequence": ("Une séquence a un trou ou un doublon", "A sequence has a gap or a double"),
    "completeness": ("Une opération manque ou est de trop", "An operation is missing or in excess"),
    "root": ("La racine ne découle pas des opérations", "The root does not follow from the operations"),
    "transfer": ("L'opération ne correspond pas à son transfert", "An operation does not match its Transfer"),
    "record": ("L'écriture ne correspond pas à son engagement", "A record does not match its commitment"),
    "redemption": ("L'échange ne correspond pas à la chaîne", "A redemption does not match the chain"),
    "balance": ("Un solde ne découle pas des transferts", "A balance does not follow from the Transfers"),
    "proof": ("La preuve d'état ne tient pas", "A state proof does not hold"),
    "ledger": ("Le registre de l'opérateur se contredit", "The operator's ledger contradicts itself"),
    "supply": ("L'identité de l'émission ne tient pas", "The supply identity does not hold"),
}
"""Every rule with its French and English wording."""

FINDINGS_MAX: Final = 1000
"""Findings kept; a trail with more than that is wrong enough."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction. `rule` is a key of RULES."""

    rule: str
    place: str
    expected: str
    found: str


@dataclass(slots=True)
class Report:
    """What a verification saw. `figures` hold what was checked, so that an empty report is no good news."""

    findings: list[Finding] = field(default_factory=list)
    figures: dict[str, int | str] = field(default_factory=dict)
    suppressed: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(self, rule: str, place: str, expected: object, found: object) -> None:
        """Note a finding; `rule` must be known."""
        if rule not in RULES:
            message = f"unknown rule {rule}"
            raise KeyError(message)
        if len(self.findings) >= FINDINGS_MAX:
            self.suppressed += 1
        else:
            self.findings.append(Finding(rule, place, str(expected), str(found)))

    def to_dict(self) -> dict[str, object]:
        return {
            "ok": self.ok,
            "findings": [asdict(finding) for finding in self.findings],
            "suppressed": self.suppressed,
            "figures": self.figures,
        }


LABELS: Final = {
    "chain_id": ("Chaîne", "Chain"),
    "contract": ("Contrat", "Contract"),
    "head_block": ("Bloc de contrôle", "Block checked"),
    "batches": ("Lots d'ordres", "Batches"),
    "operations": ("Opérations", "Operations"),
    "transfers": ("Transferts", "Transfers"),
    "wallets": ("Portefeuilles prouvés", "Wallets proven"),
    "issued": ("Jetons émis", "Tokens issued"),
    "reversed": ("Jetons repris", "Tokens reversed"),
    "redeemed": ("Jetons échangés", "Tokens redeemed"),
    "expired": ("Jetons expirés", "Tokens expired"),
    "supply": ("Jetons en circulation", "Token supply"),
}


def plain(text: object) -> str:
    """Text as a terminal may show it: whoever wrote it can neither move the cursor nor forge a line."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))


def as_text(report: Report, language: str) -> str:
    """The report for people: figures first, then each finding, then the verdict."""
    column = 0 if language == "fr" else 1
    lines = [
        f"  {label[column]:<24}{plain(report.figures[key])}" for key, label in LABELS.items() if key in report.figures
    ]
    expected, found = (("attendu", "trouvé"), ("expected", "found"))[column]
    for finding in report.findings:
        lines.append(f"✗ [{finding.rule}] {RULES[finding.rule][column]}: {plain(finding.place)}")
        lines.append(f"    {expected}: {plain(finding.expected)}\n    {found}: {plain(finding.found)}")
    if report.suppressed:
        more = ("autres constats", "more findings")[column]
        lines.append(f"  … {report.suppressed} {more}")
    verdict = (
        ("Tout concorde: la piste découle de la chaîne.", "All holds: the trail follows from the chain."),
        ("La piste ne concorde pas avec la chaîne.", "The trail does not follow from the chain."),
    )[not report.ok][column]
    return "\n".join([*lines, f"{'✓' if report.ok else '✗'} {verdict}"])
