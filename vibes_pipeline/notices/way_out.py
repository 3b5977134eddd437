"""How many items would have left a seller or a product free: the way out that mails show (§10).

Here belongs the arithmetic alone, exact: rates are compared by their counts. What a rate brings is
decided in SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from vibes_pipeline.notices.content import OrderBand


def most_cancelled(items: int, bands: Sequence[OrderBand]) -> int | None:
    """The most cancelled ones of so many items whose rate lies in a band without limit.

    None when every rate of so many items brings a limit.
    """
    free = (_most_in(band, items) for band in bands if band.is_free)
    return max((most for most in free if most is not None), default=None)


def most_within(base: int, over_pct: Decimal | str) -> int:
    """The most items of a base whose rate is not over a threshold in percent."""
    return int(Decimal(over_pct) * base // 100)


def _most_in(band: OrderBand, items: int) -> int | None:
    """The most cancelled items whose rate the band holds; None when it holds none."""
    most = items
    if band.up_to_pct is not None:
        most = min(items, most_within(items, band.up_to_pct))
        if not band.includes_upper and 100 * most == band.up_to_pct * items:
            most -= 1
    lowest = band.over_pct * items
    is_held = 100 * most >= lowest if band.includes_lower else 100 * most > lowest
    return most if most >= 0 and is_held else None
