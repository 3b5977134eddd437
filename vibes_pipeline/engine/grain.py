"""What one row of a relation is, as its SQL file states it, and whether the rows keep to it.

A file's header states the grain in one line after the description: `-- grain: order_item_id`
(unique and never null), `-- grain: claim_id, seller_id?` (the seller may be null),
`-- grain: one row`, or `-- grain: every stored row` where copies of stored rows are kept and
nothing is unique.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

MARK = "-- grain:"
ONE_ROW, EVERY_STORED_ROW = "one row", "every stored row"


@dataclass(frozen=True)
class Grain:
    """The columns that together identify a row; the columns in `nullable` may be null."""

    columns: tuple[str, ...] = ()
    nullable: frozenset[str] = frozenset()
    is_one_row: bool = False

    def __str__(self) -> str:
        if self.is_one_row:
            return ONE_ROW
        return ", ".join(self.columns) or EVERY_STORED_ROW

    @property
    def can_be_broken(self) -> bool:
        """False for copies of stored rows: they are kept as they are, so nothing is unique."""
        return self.is_one_row or bool(self.columns)

    def broken(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """The grain's columns of the rows at fault: rows whose key is repeated or null."""
        if self.is_one_row:
            count = rows.select(pl.len()).collect().item()
            return pl.DataFrame({"rows": [count] if count != 1 else []})
        if not self.can_be_broken:
            return pl.DataFrame()
        needed = [c for c in self.columns if c not in self.nullable]
        lacks = pl.any_horizontal(pl.lit(value=False), *(pl.col(c).is_null() for c in needed))
        key = (
            pl.struct(self.columns).hash()
            if len(self.columns) > 1
            else pl.col(*self.columns).hash()
        )
        # Keys whose hashes all differ are all different: that is nearly always so, and cheap to
        # see with 8 bytes a row, where the ids of a large relation would not fit into memory.
        seen = rows.select(key=key, lacks=lacks).collect(engine="streaming")
        has_nulls, hashes = seen["lacks"].any(), seen["key"].sort()
        repeated = hashes.filter(hashes == hashes.shift(1)).unique()
        if repeated.is_empty() and not has_nulls:
            return pl.DataFrame(schema=dict.fromkeys(self.columns))
        keys = rows.select(self.columns).filter(key.is_in(repeated.implode()) | lacks).collect()
        return keys.filter(keys.is_duplicated() | keys.select(lacks).to_series())


def read_grain(sql: str) -> Grain | None:
    """The grain that a file's header states, None where it states none."""
    for line in sql.splitlines():
        if line.startswith(MARK):
            return _parse(line.removeprefix(MARK).strip())
        if not line.startswith("--"):
            break
    return None


def _parse(text: str) -> Grain:
    if text == ONE_ROW:
        return Grain(is_one_row=True)
    if text == EVERY_STORED_ROW:
        return Grain()
    columns = [column.strip() for column in text.split(",")]
    return Grain(
        columns=tuple(c.removesuffix("?") for c in columns),
        nullable=frozenset(c.removesuffix("?") for c in columns if c.endswith("?")),
    )
