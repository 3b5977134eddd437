"""How checks and errors name rows on one line: the first of them, plain, and how many more."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vibes_pipeline.rules import CHARGES

SHOWN = 10
CHARACTERS_SHOWN = 40

# What an action's source rows are named by, the closest first.
SOURCES = {"order_item_id": "item", "order_number": "order", "sku": "SKU", "seller_id": "seller"}


def listed(ids: Sequence[str | None], count: int | None = None) -> str:
    """The first ids, plain: `S-1, S-2 and 12 more`; `count` is how many there are in all."""
    return first([shown(i) for i in ids[:SHOWN]], len(ids) if count is None else count)


def counted(count: int, one: str, several: str | None = None) -> str:
    """`1 slot`, `0 slots`, `1,234 slots`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def some_of(count: int, whole: int, several: str) -> str:
    """`2 of 75 sellers`, which a check that is about some of many says first."""
    return f"{count:,} of {whole:,} {several}"


def first(texts: Sequence[str], count: int) -> str:
    """The first of so many texts on one line, and how many more there are."""
    given = texts[:SHOWN]
    more = count - len(given)
    return ", ".join(given) + (f" and {more} more" if more > 0 else "")


def shown(row_id: str | None) -> str:
    """An id as a person may be shown it: plain, not too long, and told where there is nothing."""
    if row_id is None:
        return "null"
    return plain(row_id)[:CHARACTERS_SHOWN] or "(empty)"


def named(action: Mapping[str, Any]) -> str:
    """An action by its reference and the rows of the warehouse that it comes from.

    `NG-ABCDEFGH of returns_charge: item I-1, order O-1, SKU K-1, seller S-1`; what the action
    does not name is left out, but of a charge told as null.
    """
    sources = [
        f"{word} {shown(action[column])}"
        for column, word in SOURCES.items()
        if action[column] is not None or action["rule"] in CHARGES
    ]
    return f"{action['reference']} of {action['rule']}: {', '.join(sources)}"


def plain(text: object) -> str:
    """Ids may be anybody's text: nothing in it may make a table, a link or markup."""
    return re.sub(r"[|<>\[\]()`*\\\x00-\x1f\x7f]", " ", str(text))
