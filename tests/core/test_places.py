"""The data directory's names are fixed, its secrets are read or missed loudly, and lists are cut into pages."""

import stat
from pathlib import Path

import pytest

from mereau.core.errors import ConfigurationError, InvalidInputError
from mereau.core.layout import Layout, read_voucher_secret, write_private
from mereau.core.pagination import LIMIT_DEFAULT, LIMIT_MAX, Page, PageQuery, cut_page, decode_cursor, encode_cursor

NAMES = {
    "postgres": "postgres",
    "chain": "chain",
    "logs": "logs",
    "keystore": "keystore.json",
    "keystore_password": "keystore.password",
    "funded": "funded.json",
    "programme": "programme.json",
    "operator_key": "operator.key",
    "voucher_secret": "voucher.secret",
    "run_file": "run.json",
    "lock_file": "lock",
    "demo_mark": ".mereau-demo",
}


@pytest.mark.parametrize(("attribute", "name"), list(NAMES.items()))
def test_names_of_released_installations_stay(tmp_path: Path, attribute: str, name: str) -> None:
    """Backups and running installations know them."""
    assert getattr(Layout(tmp_path), attribute) == tmp_path / name


def test_each_part_has_a_log_of_its_own(tmp_path: Path) -> None:
    assert Layout(tmp_path).log("api") == tmp_path / "logs" / "api.log"


def test_the_voucher_secret_is_read_as_it_was_written(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_private(layout.voucher_secret, bytes(range(32)).hex())
    assert read_voucher_secret(layout) == bytes(range(32))
    assert stat.S_IMODE(layout.voucher_secret.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [None, "not hexadecimal", "abc", "\N{SNOWMAN}"])
def test_a_voucher_secret_that_cannot_be_read_is_never_redrawn(tmp_path: Path, content: str | None) -> None:
    layout = Layout(tmp_path)
    if content is not None:
        layout.voucher_secret.write_text(content)
    with pytest.raises(ConfigurationError, match="Restore it from its backup") as refusal:
        read_voucher_secret(layout)
    assert str(layout.voucher_secret) in refusal.value.detail
    assert content is None or content not in refusal.value.detail


@pytest.mark.parametrize(
    ("count", "limit", "shown", "after"),
    [(0, 3, 0, None), (1, 3, 1, None), (3, 3, 3, None), (4, 3, 3, "3"), (2, 1, 1, "1")],
)
def test_a_page_says_whether_there_is_more(count: int, limit: int, shown: int, after: str | None) -> None:
    page = cut_page(list(range(1, count + 1)), limit, lambda row: row)
    assert page == Page(list(range(1, shown + 1)), after)


def test_limits_of_pages() -> None:
    assert (PageQuery().limit, LIMIT_DEFAULT, LIMIT_MAX) == (20, 20, 100)


@pytest.mark.parametrize(("after", "number"), [("0", 0), ("7", 7), (str(2**63 - 1), 2**63 - 1)])
def test_cursors_of_numbered_lists(after: str, number: int) -> None:
    assert PageQuery(1, decode_cursor(encode_cursor(after))).after_number() == number


@pytest.mark.parametrize("cursor", ["MQ=", "MQ==", "MR", " MQ", "MQ\n", "MQ.", "+w", "/w"])
def test_one_row_has_one_cursor(cursor: str) -> None:
    """Other spellings of the same bytes are nobody's."""
    assert decode_cursor("MQ") == "1"
    with pytest.raises(InvalidInputError, match="not one of this list"):
        decode_cursor(cursor)
