"""Finance's workbook: the postings, the sellers' statements and the totals, each on a sheet.

Sums are formulas, so that who opens it can follow them, and hold the view's own figure as their
cached value: a reader that computes nothing shows the same. Here belongs what stands on which
sheet; how a sheet is written and looks is in `sheets`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import polars as pl
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

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
    """A sheet that holds a frame, header in its first row, and the styles for what is added."""

    worksheet: Worksheet
    frame: pl.DataFrame
    styles: Mapping[str, Format]

    @classmethod
    def write(cls, workbook: Workbook, frame: pl.DataFrame, title: str, *, has_sums: bool) -> Sheet:
        styles = {
            "amount": workbook.add_format({"num_format": AMOUNT, "valign": "top"}),
            "count": workbook.add_format({"num_format": COUNT, "valign": "top"}),
            "label": workbook.add_format(HEADER),
            "total amount": workbook.add_format({"num_format": AMOUNT, **HEADER}),
            "total count": workbook.add_format({"num_format": COUNT, **HEADER}),
        }
        shown = in_order(frame)
        below = BLANK_ROWS + frame["currency"].n_unique() if has_sums else 0
        return cls(write_sheet(workbook, shown, title, rows_below=below), shown, styles)

    def cell(self, row: int, column: str) -> str:
        """The cell of a row counted from 0, below the header."""
        return str(xl_rowcol_to_cell(row + 1, self.frame.columns.index(column)))

    def cells(self, column: str) -> str:
        """The range of a column with its sheet; at least one cell, for a range cannot be empty."""
        at, last = self.frame.columns.index(column), max(self.frame.height, 1)
        first_cell = xl_rowcol_to_cell(1, at, row_abs=True, col_abs=True)
        last_cell = xl_rowcol_to_cell(last, at, row_abs=True, col_abs=True)
        return f"{self.worksheet.get_name()}!{first_cell}:{last_cell}"

    def put(self, row: int, column: str, formula: str, value: Decimal | int, style: str) -> None:
        """A formula with what it comes to."""
        cell = self.cell(row, column)
        self.worksheet.write_formula(cell, f"={formula}", self.styles[style], float(value))

    def label(self, row: int, column: str, text: str) -> None:
        self.worksheet.write_string(self.cell(row, column), text, self.styles["label"])


def write_charges(source: Source, file: Path) -> int:
    """Write the workbook to a temporary file and rename it into place; give the postings' number.

    All sheets show one moment of the ledger. Raises `UsageError` for more postings than a sheet
    holds.
    """
    with source.at_one_moment() as now:
        postings, totals = charges(now), charge_totals(now)
        statements = with_every_rule(seller_statements(now), seller_statement_lines(now))
    with open_workbook(file) as workbook:
        posted = Sheet.write(workbook, postings, "Charges", has_sums=False)
        _add_statement_formulas(Sheet.write(workbook, statements, "Statements", has_sums=True))
        _add_total_formulas(Sheet.write(workbook, totals, "Totals", has_sums=True), posted)
    return postings.height


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


def _add_statement_formulas(statements: Sheet) -> None:
    """Each seller's sums of the cells before; below, those of all."""
    columns = statements.frame.columns
    rules = columns[columns.index(RULES_WITH_A_COLUMN[0]) : columns.index("debits")]
    for row, values in enumerate(statements.frame.iter_rows(named=True)):
        by_rule = f"{statements.cell(row, rules[0])}:{statements.cell(row, rules[-1])}"
        statements.put(row, "debits", f"SUM({by_rule})", values["debits"], "amount")
        _add_net(statements, row, values["net"])
    _add_sums(statements, (*rules, "debits", "reversals", "net"), ("postings",))


def _add_total_formulas(totals: Sheet, posted: Sheet) -> None:
    """The sums by rule, counted from the sheet of postings; below, those of all."""
    for row, values in enumerate(totals.frame.iter_rows(named=True)):
        mine = ",".join(
            f"{posted.cells(column)},{totals.cell(row, column)}"
            for column in ("statement_period", "rule", "currency")
        )
        for kind, sums in (("debit", "debits"), ("reversal", "reversals")):
            number = f"{kind}_postings"
            only = f'{mine},{posted.cells("kind")},"{kind}"'
            summed = f"SUMIFS({posted.cells('amount')},{only})"
            totals.put(row, sums, summed, values[sums], "amount")
            totals.put(row, number, f"COUNTIFS({only})", values[number], "count")
        _add_net(totals, row, values["net"])
    _add_sums(totals, ("debits", "reversals", "net"), ("debit_postings", "reversal_postings"))


def _add_net(sheet: Sheet, row: int, value: Decimal) -> None:
    net = f"{sheet.cell(row, 'debits')}+{sheet.cell(row, 'reversals')}"
    sheet.put(row, "net", net, value, "amount")


def _add_sums(sheet: Sheet, amounts: Sequence[str], counts: Sequence[str]) -> None:
    """The sum of each currency, below the table."""
    for nth, currency in enumerate(sorted(set(sheet.frame["currency"]))):
        row = sheet.frame.height + BLANK_ROWS + nth
        mine = sheet.frame.filter(pl.col("currency") == currency)
        # The row of sums is shaded from the first column to the last.
        for column in sheet.frame.columns:
            sheet.label(row, column, "")
        sheet.label(row, sheet.frame.columns[0], "total")
        sheet.label(row, "currency", currency)
        for column in (*amounts, *counts):
            summed = (
                f"SUMIFS({sheet.cells(column)},{sheet.cells('currency')},"
                f"{sheet.cell(row, 'currency')})"
            )
            style = "total count" if column in counts else "total amount"
            sheet.put(row, column, summed, sum(mine[column], Decimal(0)), style)
