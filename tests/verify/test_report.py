"""The report in French, in English and as JSON: complete, and safe to print."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mereau_verify
from mereau_verify.report import FINDINGS_MAX, LABELS, RULES, Report, as_text, plain

VERDICTS = {
    ("fr", True): "✓ Tout concorde: la piste découle de la chaîne.",
    ("fr", False): "✗ La piste ne concorde pas avec la chaîne.",
    ("en", True): "✓ All holds: the trail follows from the chain.",
    ("en", False): "✗ The trail does not follow from the chain.",
}


def sample(rule: str = "root") -> Report:
    report = Report(figures={"supply": 364, "contract": "0xc0"})
    report.add(rule, "line 3", 7, None)
    return report


def test_every_rule_that_a_check_names_is_worded() -> None:
    """And every worded rule is named by a check."""
    sources = Path(mereau_verify.__file__).parent.glob("*.py")
    named = {rule for path in sources for rule in re.findall(r'\.add\(\s*"(\w+)"', path.read_text())}
    assert named == set(RULES)


@pytest.mark.parametrize("texts", [*RULES.values(), *LABELS.values()])
def test_every_text_is_in_both_languages(texts: tuple[str, str]) -> None:
    assert len(texts) == 2
    assert all(text and text == text.strip() for text in texts)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("language", "words"), [("fr", ("attendu", "trouvé")), ("en", ("expected", "found"))])
def test_a_finding_is_told_whole(rule: str, language: str, words: tuple[str, str]) -> None:
    text = as_text(sample(rule), language).splitlines()
    wording = RULES[rule][language == "en"]
    assert text[-4:] == [
        f"✗ [{rule}] {wording}: line 3", f"    {words[0]}: 7", f"    {words[1]}: None", VERDICTS[language, False],
    ]  # fmt: skip


@pytest.mark.parametrize("language", ["fr", "en"])
def test_figures_come_labelled_and_in_order(language: str) -> None:
    report = Report(figures={name: number for number, name in enumerate(reversed(LABELS))})
    lines = as_text(report, language).splitlines()
    assert lines[-1] == VERDICTS[language, True]
    assert [line.strip().rsplit(maxsplit=1) for line in lines[:-1]] == [
        [label[language == "en"], str(len(LABELS) - 1 - place)] for place, label in enumerate(LABELS.values())
    ]


def test_figures_that_are_not_there_are_not_told() -> None:
    assert as_text(Report(), "en") == VERDICTS["en", True]


@pytest.mark.parametrize(("language", "words"), [("fr", "autres constats"), ("en", "more findings")])
def test_too_many_findings_are_counted(language: str, words: str) -> None:
    report = Report()
    for number in range(FINDINGS_MAX + 3):
        report.add("format", f"line {number}", "x", "y")
    assert (len(report.findings), report.suppressed, report.ok) == (FINDINGS_MAX, 3, False)
    assert as_text(report, language).splitlines()[-2] == f"  … 3 {words}"
    assert report.to_dict()["suppressed"] == 3


def test_an_unknown_rule_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError, match="unknown rule taste"):
        Report().add("taste", "line 1", 1, 2)


def test_the_report_is_json() -> None:
    assert json.loads(json.dumps(sample().to_dict())) == {
        "ok": False, "suppressed": 0, "figures": {"supply": 364, "contract": "0xc0"},
        "findings": [{"rule": "root", "place": "line 3", "expected": "7", "found": "None"}],
    }  # fmt: skip


def test_a_forger_cannot_write_the_verdict() -> None:
    """Texts of the trail and the node may hold anything: line ends, terminal codes, half characters."""
    report = Report(figures={"contract": "0x\x1b[2J"})
    hostile = f"x\n\x1b[2J\r{VERDICTS['en', True]}\ud800\u202e"
    report.add("record", hostile, hostile, hostile)
    text = as_text(report, "en")
    assert [line for line in text.splitlines() if line.startswith("✓")] == []
    assert not set("\x1b\r\u202e\ud800") & set(text)
    assert text.encode().count(b"\\x1b[2J") == 4


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=40))
def test_plain_text_prints_on_one_line(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert text.isprintable() is (shown == text)
