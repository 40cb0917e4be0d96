"""Files as they come: plain or packed, torn, empty, or with broken lines among sound ones."""

import gzip
from pathlib import Path

import pytest

from factories.imports import FRANCE, HEADER, Row, csv_text
from mereau.integrations.errors import RefusedLineError, UnreadableFileError
from mereau.integrations.lines import ImportLine
from mereau.integrations.online_retail import OnlineRetail
from mereau.integrations.reading import RecordReader, split_record

ROWS: list[Row] = [
    ("1", "A", 1, "2011-01-01 08:00:00", "1.00", "7"),
    ("2", "B", 2, "2011-01-01 09:00:00", "2.00", ""),
]


def read(path: Path) -> list[tuple[int, ImportLine | RefusedLineError]]:
    return list(RecordReader(path, OnlineRetail()))


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_plain_and_packed_files_say_the_same(tmp_path: Path, newline: str, packed: bool, mark: str) -> None:
    content = (mark + csv_text(ROWS, newline=newline)).encode()
    found = read(written(tmp_path, gzip.compress(content) if packed else content))
    assert [(number, line.document) for number, line in found if isinstance(line, ImportLine)] == [(2, "1"), (3, "2")]


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    rows = [dict(zip(HEADER, line.split(","), strict=True)) for line in csv_text(ROWS).splitlines()]
    turned = "\n".join(",".join(row[name] for name in sorted(HEADER)) for row in rows)
    assert [line for _, line in read(written(tmp_path, turned))] == [
        line for _, line in read(written(tmp_path, csv_text(ROWS)))
    ]


def test_broken_lines_are_refused_by_number_and_spoil_no_other(tmp_path: Path) -> None:
    good = "1,A,X,1,2011-01-01 08:00:00,1.00,7,France"
    broken = {
        3: '1,A,"unclosed,1,2011-01-01 08:00:00,1.00,7,France',
        4: "1,A,X,1",
        5: good + ",more",
        7: "1,A,X,many,2011-01-01 08:00:00,1.00,7,France",
        9: '1,"A"A,X,1,2011-01-01 08:00:00,1.00,7,France',
    }
    lines = [csv_text([]).strip(), *(broken.get(number, good) for number in range(2, 11))]
    found = read(written(tmp_path, "\n".join(lines)))
    assert [number for number, _ in found] == list(range(2, 11))
    assert {number: line.detail for number, line in found if isinstance(line, RefusedLineError)}.keys() == broken.keys()
    reasons = [line.detail for _, line in found if isinstance(line, RefusedLineError)]
    assert [reason.split(":")[0] for reason in reasons] == [
        "not a CSV record", "4 fields instead of 8", "9 fields instead of 8", "Quantity is not a whole number",
        "not a CSV record",
    ]  # fmt: skip


def test_bytes_that_are_not_utf8_matter_only_where_they_are_used(tmp_path: Path) -> None:
    header = csv_text([]).encode()
    price_of_a_pound = b"1,A,\xa3 SIGN,1,2011-01-01 08:00:00,1.00,7,France\n"
    strange_code = b"1,\xa3,X,1,2011-01-01 08:00:00,1.00,7,France\n"
    found = [line for _, line in read(written(tmp_path, header + price_of_a_pound + strange_code))]
    assert [isinstance(line, ImportLine) for line in found] == [True, False]


def test_empty_lines_are_passed_over(tmp_path: Path) -> None:
    content = csv_text(ROWS).replace("\n", "\n\n", 1) + "\r\n\n"
    assert [number for number, _ in read(written(tmp_path, content))] == [3, 4]


def test_quotes_are_understood() -> None:
    assert split_record('a,"b ""c"", d",e\r\n') == ["a", 'b "c", d', "e"]
    with pytest.raises(RefusedLineError):
        split_record('a,"b\n')


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"a,b,c\n1,2,3\n", b"\x00\x01\x02", b'"InvoiceNo', b"\x1f\x8b", b"\x1f\x8bnot gzip at all"],
    ids=repr,
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UnreadableFileError):
        read(written(tmp_path, content))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="UnitPrice, CustomerID"):
        read(written(tmp_path, csv_text(ROWS).replace("UnitPrice,CustomerID", "Price,Customer")))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UnreadableFileError, match="cannot be read"):
            read(path)


def test_a_torn_packed_file_is_refused(tmp_path: Path) -> None:
    packed = FRANCE.read_bytes()
    for cut in (20, len(packed) // 2, len(packed) - 5):
        with pytest.raises(UnreadableFileError):
            read(written(tmp_path, packed[:cut]))


def test_progress_is_told_in_bytes_of_the_file() -> None:
    reader = RecordReader(FRANCE, OnlineRetail())
    assert (reader.bytes_done, reader.bytes_total) == (0, 0)
    seen = [reader.bytes_done for _ in reader]
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= reader.bytes_total == FRANCE.stat().st_size


def test_the_extract_is_whole_and_packed_without_a_date() -> None:
    packed = FRANCE.read_bytes()
    assert packed[4:8] == bytes(4), "gzip keeps no time, so that the file can be made again byte by byte"
    assert len(read(FRANCE)) == 8_557
    assert "CC BY 4.0" in (FRANCE.parent / "NOTICE").read_text()
