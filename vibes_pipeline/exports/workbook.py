"""Finance's workbook: the postings, the sellers' statements and the totals, each on a sheet.

Sums are formulas, so that who opens it can follow them, and hold the view's own figure as their
cached value: a reader that computes nothing shows the same. Here belongs what stands on which
sheet; how a sheet is written and looks is in `sheets`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import MappingProxyType

import polars as pl
from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from vibes_pipeline.exports.rows import Counted, Progress, Rows
from vibes_pipeline.exports.sheet_rows import Formula
from vibes_pipeline.exports.sheets import (
    AMOUNT,
    COUNT,
    HEADER,
    in_order,
    open_workbook,
    write_sheet,
)
from vibes_pipeline.exports.tables import (
    Source,
    charge_totals,
    charges,
    seller_statement_lines,
    seller_statements,
)
from vibes_pipeline.ledger.feeds import RULES_WITH_A_COLUMN

# Between a table and its sums, so that the table's filters do not hide the sums.
BLANK_ROWS = 1


@dataclass(frozen=True)
class Sheet:
    """A sheet that holds rows, header in its first row."""

    worksheet: Worksheet
    columns: Sequence[str]
    height: int

    @classmethod
    def write(
        cls,
        workbook: Workbook,
        rows: Rows,
        title: str,
        *,
        rows_below: int = 0,
        formulas: Mapping[str, Formula] = MappingProxyType({}),
    ) -> Sheet:
        shown = in_order(rows)
        sheet = write_sheet(workbook, shown, title, rows_below=rows_below, formulas=formulas)
        return cls(sheet, tuple(shown.schema), sheet.rows_streamed)

    def cell(self, row: int, column: str) -> str:
        """The cell of a row counted from 0, below the header."""
        return str(xl_rowcol_to_cell(row + 1, self.columns.index(column)))

    def cells(self, column: str) -> str:
        """The range of a column with its sheet; at least one cell, for a range cannot be empty."""
        at, last = self.columns.index(column), max(self.height, 1)
        first_cell = xl_rowcol_to_cell(1, at, row_abs=True, col_abs=True)
        last_cell = xl_rowcol_to_cell(last, at, row_abs=True, col_abs=True)
        return f"{self.worksheet.get_name()}!{first_cell}:{last_cell}"


def write_charges(source: Source, file: Path, progress: Progress = lambda rows: None) -> int:
    """Write the workbook to a temporary file and rename it into place; give the postings' number.

    All sheets show one moment of the ledger. `progress` is told how many more postings are
    written. Raises `UsageError` for more postings than a sheet holds.
    """
    with open_workbook(file) as workbook:
        with source.at_one_moment() as now:
            postings = Counted(charges(now), progress)
            posted = Sheet.write(workbook, postings.rows, "Charges")
            totals = charge_totals(now).in_one()
            lines = seller_statement_lines(now).in_one()
            statements = with_every_rule(seller_statements(now).in_one(), lines)
        _write_statements(workbook, statements)
        _write_totals(workbook, totals, posted)
    return postings.so_far


def with_every_rule(statements: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """The statements with a column also for each rule that the view has none for.

    `lines` are the same statements by rule. The columns of the rules stand before `debits`.
    """
    later = lines.filter(~pl.col("rule").is_in(RULES_WITH_A_COLUMN))
    if later.is_empty():
        return statements
    key = ["statement_period", "seller_id", "currency"]
    debits = later.pivot("rule", index=key, values="debits", sort_columns=True)
    names = [name for name in debits.columns if name not in key]
    before = statements.columns[: statements.columns.index("debits")]
    return statements.join(debits, on=key, how="left", maintain_order="left").select(
        *before, pl.col(names).fill_null(Decimal(0)), pl.exclude(*before, *names)
    )


def _write_statements(workbook: Workbook, statements: pl.DataFrame) -> None:
    """Each seller's sums of the cells before; below, those of all."""
    columns = statements.columns
    rules = columns[columns.index(RULES_WITH_A_COLUMN[0]) : columns.index("debits")]
    first, last = (xl_col_to_name(columns.index(rule)) for rule in (rules[0], rules[-1]))
    formulas: dict[str, Formula] = {
        "debits": lambda row: pl.format(f"SUM({first}{{}}:{last}{{}})", row, row),
        "net": _net(columns),
    }
    _write_with_sums(
        *(workbook, statements, "Statements", formulas),
        amounts=(*rules, "debits", "reversals", "net"),
        counts=("postings",),
    )


def _write_totals(workbook: Workbook, totals: pl.DataFrame, posted: Sheet) -> None:
    """The sums by rule, counted from the sheet of postings; below, those of all."""
    key = ("statement_period", "rule", "currency")
    mine = ",".join(
        f"{posted.cells(column)},{xl_col_to_name(totals.columns.index(column))}{{}}"
        for column in key
    )
    formulas: dict[str, Formula] = {"net": _net(totals.columns)}
    for kind, sums in (("debit", "debits"), ("reversal", "reversals")):
        only = f'{mine},{posted.cells("kind")},"{kind}"'
        summed, counted = f"SUMIFS({posted.cells('amount')},{only})", f"COUNTIFS({only})"
        formulas[sums] = partial(_in_each_row, summed, len(key))
        formulas[f"{kind}_postings"] = partial(_in_each_row, counted, len(key))
    _write_with_sums(
        *(workbook, totals, "Totals", formulas),
        amounts=("debits", "reversals", "net"),
        counts=("debit_postings", "reversal_postings"),
    )


def _in_each_row(formula: str, times: int, row: pl.Expr) -> pl.Expr:
    """A formula with the row's number in its places."""
    return pl.format(formula, *([row] * times))


def _net(columns: Sequence[str]) -> Formula:
    debits, reversals = (xl_col_to_name(columns.index(c)) for c in ("debits", "reversals"))
    return partial(_in_each_row, f"{debits}{{}}+{reversals}{{}}", 2)


def _write_with_sums(
    workbook: Workbook,
    frame: pl.DataFrame,
    title: str,
    formulas: Mapping[str, Formula],
    *,
    amounts: Sequence[str],
    counts: Sequence[str],
) -> None:
    """A sheet of a frame, and the sum of each currency below its table."""
    currencies = sorted(set(frame["currency"]))
    sheet = Sheet.write(
        *(workbook, Rows.of(frame), title),
        rows_below=BLANK_ROWS + len(currencies),
        formulas=formulas,
    )
    label = workbook.add_format(HEADER)
    formats = {
        **dict.fromkeys(amounts, workbook.add_format({"num_format": AMOUNT, **HEADER})),
        **dict.fromkeys(counts, workbook.add_format({"num_format": COUNT, **HEADER})),
    }
    for nth, currency in enumerate(currencies):
        row = frame.height + BLANK_ROWS + nth
        mine = frame.filter(pl.col("currency") == currency)
        # The row of sums is shaded from the first column to the last.
        texts = dict.fromkeys(sheet.columns, "")
        for column, text in {**texts, sheet.columns[0]: "total", "currency": currency}.items():
            sheet.worksheet.write_string(sheet.cell(row, column), text, label)
        for column, style in formats.items():
            summed = (
                f"=SUMIFS({sheet.cells(column)},{sheet.cells('currency')},"
                f"{sheet.cell(row, 'currency')})"
            )
            value = float(sum(mine[column], Decimal(0)))
            sheet.worksheet.write_formula(sheet.cell(row, column), summed, style, value)
