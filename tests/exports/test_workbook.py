"""Finance's workbook: what a spreadsheet shows, what it computes, and that both tie to the ledger."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from ledger import made

from vibes_pipeline.exports.tables import Source, read_table
from vibes_pipeline.exports.workbook import write_charges
from vibes_pipeline.ledger.ledger import Ledger

SHEETS = ["Charges", "Statements", "Totals"]
HOSTILE = '=HYPERLINK("http://evil.example","open")'


@pytest.fixture(scope="module")
def source(module_ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Two weeks of postings, one of them a reversal."""
    ledger = module_ledger
    made.freeze_cycle(ledger, made.a_handful(), names={"S-1": HOSTILE, "S-2": "Kettle & Co"})
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.reverse(ledger, made.charge("S-1", "I1"), made.IMPLEMENT_AT + timedelta(days=3))
    given = made.terms(made.NEXT_CYCLE)
    late = made.charge("S-2", "I7", rule="late_fulfilment_charge", amount="0.10", given=given)
    made.freeze_cycle(ledger, [late], cycle=made.NEXT_CYCLE)
    made.accept(ledger, made.ALERT_AT + made.WEEK)
    made.implement_cycle(ledger, made.NEXT_CYCLE)
    return Source(ledger, tmp_path_factory.mktemp("lake"), made.LAGOS)


@pytest.fixture(scope="module")
def book(source: Source) -> Path:
    assert write_charges(source, source.lake / "charges.xlsx") == 5
    return source.lake / "charges.xlsx"


def cells(file: Path, sheet: str, *, formulas: bool = False) -> list[dict[str, Any]]:
    """The rows below the header, as a reader shows them that computes nothing; or as formulas."""
    loaded = openpyxl.load_workbook(file, data_only=not formulas)
    header, *rows = loaded[sheet].iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def in_cells(frame: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """A frame's rows as a workbook holds them: no zones, no decimals."""
    for row in frame.with_columns(pl.col(pl.Datetime).dt.replace_time_zone(None)).to_dicts():
        yield {
            name: float(value)
            if isinstance(value, Decimal)
            else datetime.combine(value, datetime.min.time())
            if name in ("statement_period", "cycle")
            else value
            for name, value in row.items()
        }


def test_the_sheets_show_the_views_row_by_row(book: Path, source: Source) -> None:
    assert openpyxl.load_workbook(book).sheetnames == SHEETS
    for sheet, view in zip(SHEETS, ("charges", "seller_statements", "charge_totals"), strict=True):
        expected = list(in_cells(read_table(view, source)))
        assert cells(book, sheet)[: len(expected)] == expected


def test_the_statements_have_a_column_of_a_rule_added_later(ledger: Ledger, tmp_path: Path) -> None:
    later = made.charge_of_a_later_rule("S-2", "I3")
    made.freeze_cycle(ledger, [made.charge("S-1", "I1"), made.charge("S-2", "I2"), later])
    made.accept(ledger)
    made.implement_cycle(ledger)
    made.implement_charge(ledger, later)
    write_charges(Source(ledger, tmp_path, made.LAGOS), tmp_path / "c.xlsx")
    *table, _, total = cells(tmp_path / "c.xlsx", "Statements")
    shown = [
        (s["returns_charge"], s["rejection_charge"], s["debits"], s["net"]) for s in (*table, total)
    ]
    assert shown == [(3000, 0, 3000, 3000), (3000, 40, 3040, 3040), (6000, 40, 6040, 6040)]
    first = cells(tmp_path / "c.xlsx", "Statements", formulas=True)[0]
    assert first["debits"] == "=SUM(E2:J2)"


@pytest.mark.parametrize(
    ("sheet", "computed"),
    [
        ("Statements", ["debits", "net"]),
        ("Totals", ["debits", "reversals", "net", "debit_postings", "reversal_postings"]),
    ],
)
def test_sums_are_formulas(book: Path, source: Source, sheet: str, computed: list[str]) -> None:
    rows = cells(book, sheet, formulas=True)
    *table, blank, total = rows
    for row in (*table, total):
        assert all(str(row[column]).startswith("=") for column in computed)
    assert set(blank.values()) == {None}
    assert (total["statement_period"], total["currency"]) == ("total", "NGN")


def test_the_last_line_is_the_sum_of_all_postings(book: Path, source: Source) -> None:
    posted = sum(read_table("charges", source)["amount"], Decimal(0))
    for sheet in ("Statements", "Totals"):
        assert Decimal(str(cells(book, sheet)[-1]["net"])) == posted == Decimal("51234.60")


def test_a_spreadsheet_computes_the_views_own_figures(
    book: Path, source: Source, tmp_path: Path
) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice (soffice) is not on the PATH: its recalculation is not tried")
    # Saved again without any cached value, so that what is shown was computed there.
    bare = tmp_path / "bare.xlsx"
    openpyxl.load_workbook(book).save(bare)
    assert cells(bare, "Totals")[0]["net"] is None
    subprocess.run(
        [
            *(office, f"-env:UserInstallation={(tmp_path / 'office').as_uri()}", "--headless"),
            *("--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,,,,-1"),
            *("--outdir", tmp_path / "csv", bare),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    for sheet in ("Statements", "Totals"):
        with (tmp_path / "csv" / f"bare-{sheet}.csv").open(newline="") as file:
            computed = list(csv.DictReader(file))
        shown = cells(book, sheet)
        assert len(computed) == len(shown)
        for line, row in zip(computed, shown, strict=True):
            for column, value in row.items():
                if isinstance(value, float | int):
                    assert Decimal(line[column]) == Decimal(str(value)), (sheet, column)


def test_a_shop_whose_name_is_a_formula_is_text(book: Path) -> None:
    for sheet in ("Charges", "Statements"):
        for row in openpyxl.load_workbook(book)[sheet].iter_rows():
            for cell in row:
                if cell.value == HOSTILE:
                    assert cell.data_type == "s"
                    assert cell.hyperlink is None
        assert HOSTILE in {row["shop_name"] for row in cells(book, sheet)}


@pytest.mark.parametrize("sheet", SHEETS)
def test_every_sheet_keeps_its_header_in_sight_and_can_be_filtered(book: Path, sheet: str) -> None:
    opened = openpyxl.load_workbook(book)[sheet]
    assert opened.freeze_panes == "A2"
    (table,) = opened.tables.values()
    assert table.autoFilter is not None
    period = next(c for c in opened[1] if c.value == "statement_period")
    assert opened.cell(2, period.column).number_format == "yyyy-mm-dd"
    assert opened.column_dimensions[period.column_letter].width > 10


@pytest.mark.parametrize("sheet", SHEETS)
def test_every_column_has_room_for_what_stands_in_it(book: Path, sheet: str) -> None:
    opened = openpyxl.load_workbook(book, data_only=True)[sheet]
    for at, column in enumerate(opened.columns, 1):
        # Neighbours of one width are stored as one.
        width = next(d.width for d in opened.column_dimensions.values() if d.min <= at <= d.max)
        assert max(len(shown(cell)) for cell in column) < width, column[0].value


def shown(cell: Any) -> str:
    """A cell as its format shows it."""
    match cell.value:
        case datetime() if "hh" in cell.number_format:
            return "2026-11-21 09:00"
        case datetime():
            return "2026-11-21"
        case float() | int() if "0.00" in cell.number_format:
            return f"{cell.value:,.2f}"
        case value:
            return str(value or "")


@pytest.mark.parametrize("sheet", SHEETS)
def test_a_sheet_is_printed_landscape_as_wide_as_the_page_with_its_header_and_no_ids(
    book: Path, sheet: str
) -> None:
    opened = openpyxl.load_workbook(book)[sheet]
    assert opened.page_setup.orientation == "landscape"
    assert opened.sheet_properties.pageSetUpPr.fitToPage
    assert (opened.page_setup.fitToWidth or 1, opened.page_setup.fitToHeight) == (1, 0)
    assert opened.print_title_rows == "$1:$1"
    header = [cell.value for cell in opened[1]]
    ids = [name for name in header if name in ("posting_id", "action_id")]
    assert header[len(header) - len(ids) :] == ids
    last = opened.cell(opened.max_row, len(header) - len(ids)).coordinate
    assert opened.print_area.replace("$", "").endswith(f"!A1:{last}")


def test_the_pages_say_whose_time_it_is(book: Path) -> None:
    footer = openpyxl.load_workbook(book)["Charges"].oddFooter
    assert footer.center.text == "times are those of Africa/Lagos"


def test_one_statement_period_can_be_asked_for(source: Source, tmp_path: Path) -> None:
    week = made.CYCLE + made.WEEK
    only = Source(source.ledger, source.lake, made.LAGOS, statement_period=week)
    assert write_charges(only, tmp_path / "w.xlsx") == 3
    assert cells(tmp_path / "w.xlsx", "Totals")[-1]["net"] == 54234.5
    assert len(cells(tmp_path / "w.xlsx", "Charges")) == 3


def test_a_ledger_without_postings_makes_empty_sheets(ledger: Ledger, tmp_path: Path) -> None:
    assert write_charges(Source(ledger, tmp_path, made.LAGOS), tmp_path / "none.xlsx") == 0
    assert openpyxl.load_workbook(tmp_path / "none.xlsx").sheetnames == SHEETS
