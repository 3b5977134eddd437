"""How checks and errors name rows on one line: the first rows as plain text, and how many more."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vibes_pipeline.rules import CHARGES

SHOWN = 10
CHARACTERS_SHOWN = 40

# The columns that name an action's source rows, the most exact first, with a word for each.
SOURCES = {"order_item_id": "item", "order_number": "order", "sku": "SKU", "seller_id": "seller"}


def listed(ids: Sequence[str | None], count: int | None = None) -> str:
    """The first ids, plain: `S-1, S-2 and 12 more`; `count` is how many there are in all."""
    return first([shown(i) for i in ids[:SHOWN]], len(ids) if count is None else count)


def counted(count: int, one: str, several: str | None = None) -> str:
    """`1 slot`, `0 slots`, `1,234 slots`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def some_of(count: int, whole: int, several: str) -> str:
    """`2 of 75 sellers`: how a check about some of many begins."""
    return f"{count:,} of {whole:,} {several}"


def first(texts: Sequence[str], count: int) -> str:
    """The first of so many texts on one line, and how many more there are."""
    given = texts[:SHOWN]
    more = count - len(given)
    return ", ".join(given) + (f" and {more} more" if more > 0 else "")


def shown(row_id: str | None) -> str:
    """An id as plain, short text for a person; `null` or `(empty)` if there is no id."""
    if row_id is None:
        return "null"
    return plain(row_id)[:CHARACTERS_SHOWN] or "(empty)"


def named(action: Mapping[str, Any]) -> str:
    """An action by its reference and the rows of the warehouse that it comes from.

    `NG-ABCDEFGH of returns_charge: item I-1, order O-1, SKU K-1, seller S-1`; a column that is
    null is left out, but for a charge it is shown as `null`.
    """
    sources = [
        f"{word} {shown(action[column])}"
        for column, word in SOURCES.items()
        if action[column] is not None or action["rule"] in CHARGES
    ]
    return f"{action['reference']} of {action['rule']}: {', '.join(sources)}"


def plain(text: object) -> str:
    """The text without characters that make a table, a link or markup: an id may hold any text."""
    return re.sub(r"[|<>\[\]()`*\\\x00-\x1f\x7f]", " ", str(text))
