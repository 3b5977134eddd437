"""All lines of a long notice as one CSV file, for a seller's spreadsheet (Rulebook §10).

Its cells hold seller's text, which is hostile: none may become a formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime

from vibes_pipeline.cells import harmless_text
from vibes_pipeline.notices.content import Notice, Programme
from vibes_pipeline.notices.sections import Line

HEADER = (
    *("reference", "rule", "product", "sku", "order_number", "order_item_id"),
    *("amount", "currency", "at", "details"),
)
# Spreadsheets take a file without it for one of another encoding than UTF-8.
BYTE_ORDER_MARK = "\ufeff"


def file_name(notice: Notice) -> str:
    """Of the notice's kind and period alone, so that nothing of a seller's is in it."""
    return f"vibes-{notice.kind.replace('_', '-')}-{notice.period}.csv"


def table(lines: Iterable[Line], programme: Programme) -> bytes:
    """A row per action, with a header."""
    text = io.StringIO()
    text.write(BYTE_ORDER_MARK)
    rows = csv.writer(text)
    rows.writerow(HEADER)
    rows.writerows(map(harmless_text, _row(line, programme)) for line in lines)
    return text.getvalue().encode()


def _row(line: Line, programme: Programme) -> list[str]:
    action = line.action
    return [
        action.reference,
        programme.rules[action.rule].title,
        action.product_name or "",
        action.sku or "",
        action.order_number or "",
        action.order_item_id or "",
        "" if action.amount is None else str(action.amount),
        action.currency if action.amount is not None else "",
        _local(action.event_at),
        "; ".join(f"{label}: {value}" for label, value in line.facts),
    ]


def _local(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else ""
