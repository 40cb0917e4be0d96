"""Pages can be read, and do nothing else."""

import base64
import hashlib
import re

from mereau.core.pages import answer_html, page, table

HOSTILE = "<script>alert('x')</script>&\""


def test_texts_are_escaped() -> None:
    document = page("fr", HOSTILE, table(HOSTILE, [HOSTILE], [[HOSTILE], [None], [5]]))
    assert "<script" not in document
    assert document.count("&lt;script&gt;") == 5
    assert '<td class="number">5</td>' in document
    assert "<td></td>" in document
    assert document.startswith('<!doctype html>\n<html lang="fr">')


def test_the_policy_lets_in_our_style_alone() -> None:
    response = answer_html(page("en", "Title", ""), status=404)
    policy = response.headers["content-security-policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", bytes(response.body).decode(), flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert response.status_code == 404
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


def test_wide_tables_stay_on_the_paper_and_on_the_screen() -> None:
    """Ids are words without an end: unbroken they push the last columns off the sheet."""
    (style,) = re.findall(r"<style>(.*?)</style>", page("en", "Title", ""), flags=re.DOTALL)
    screen, _, paper = style.partition("@media print")
    assert "td{overflow-wrap:anywhere}" in screen
    assert "main{overflow-x:auto}" in screen
    assert "table{min-width:0}" in paper
