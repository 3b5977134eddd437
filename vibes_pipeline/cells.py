"""Cells of tables that people open in a spreadsheet: no text may become a formula there."""

from __future__ import annotations

import re

# What spreadsheets take for the beginning of a formula.
FORMULA_STARTS = r"^[=+\-@\t\r\n]"


def harmless_text(text: str) -> str:
    """The text as a cell: what would be a formula begins with an apostrophe, which is hidden."""
    return f"'{text}" if re.match(FORMULA_STARTS, text) else text
