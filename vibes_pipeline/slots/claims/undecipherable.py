"""Claims and account decisions that cannot be read: recorded, and mailed to operators (§11).

Such a value is not applied, and it stops nothing. Operators are mailed once about each value; the
claims step's check and the week's report show it until it is corrected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger import undecipherable as recorded
from vibes_pipeline.ledger.ledger import OPERATORS_LOCK, Ledger
from vibes_pipeline.ledger.undecipherable import Undecipherable
from vibes_pipeline.notices.cleaning import clean
from vibes_pipeline.notices.operators import SomeNotReached, write_to_operators
from vibes_pipeline.slots.run import SlotRun

# A person reads the mail whole: a longer list goes into SQL.
VALUES_TOLD = 40
WHAT = {"claims": "claim", "account_decisions": "account decision"}
WAY_OUT = (
    "Correct them in the order warehouse: a claim's decision is upheld or rejected, an account's "
    "is delist or keep; decided_at is when it was made, for a claim not before raised_at; an "
    "account's seller must be known. What is corrected is applied by itself, within minutes.\n"
    "You are told of each once. Until it is corrected, the check nothing_is_undecipherable of the "
    "claims step and the week's report show it."
)


def found(rows: pl.DataFrame) -> list[Undecipherable]:
    """The rows of `claims.undecipherable`, their text made plain and short."""

    def plain(text: str | None) -> Any:
        return None if text is None else clean(text)

    return [
        Undecipherable(**{name: plain(text) for name, text in row.items()})
        for row in rows.sort("table_name", "row_id", "content_hash").iter_rows(named=True)
    ]


def has_changed(ledger: Ledger, present: Sequence[Undecipherable]) -> bool:
    """Whether a value has appeared or was corrected since a slot last looked."""
    return {value.content_hash for value in present} != recorded.standing(ledger)


def in_words(value: Undecipherable) -> str:
    """One line: the row, its seller, its faults, and what is written there."""
    row = f"{WHAT[value.table_name]} {value.row_id or 'without an id'}"
    return (
        f"{row} (seller {value.seller_id or 'not stated'}): {value.faults}; "
        f"written: {value.written or 'nothing'}"
    )


def record_and_tell(run: SlotRun, ledger: Ledger, present: Sequence[Undecipherable]) -> str | None:
    """Record what has changed; mail operators about the values they were not told of.

    Returns why not all operators could be mailed, None if all were. Values that no operator was
    told of wait for the next slot.
    """
    if has_changed(ledger, present):
        recorded.record_seen(ledger, present, is_simulated=run.is_simulated, now=run.now)
    if not present or not run.settings.operators or not recorded.untold(ledger):
        return None
    # If two slots run at the same time, only one of them writes.
    with ledger.holding(OPERATORS_LOCK):
        untold = recorded.untold(ledger)
        if not untold:
            return None
        failure = None
        try:
            _write(run, untold)
        except SomeNotReached as error:
            failure = str(error)
        except MailError as error:
            return str(error)
        recorded.record_told(ledger, untold, is_simulated=run.is_simulated, now=run.now)
    return failure


def _write(run: SlotRun, values: Sequence[Undecipherable]) -> None:
    count = f"{len(values)} value{'s' if len(values) > 1 else ''}"
    lines = [f"- {in_words(value)}" for value in values[:VALUES_TOLD]]
    if len(values) > VALUES_TOLD:
        lines.append(f"- and {len(values) - VALUES_TOLD} more, see ledger.undecipherable_states")
    write_to_operators(
        run.settings,
        f"VIBES {run.policy.country}: {count} undecipherable in claims and account decisions",
        "What is written here cannot be read, so it is not applied:\n\n"
        + "\n".join(lines)
        + f"\n\n{WAY_OUT}",
        at=run.now,
        is_simulated=run.is_simulated,
    )
