"""How long partitions are kept (Rulebook §17), and removing the old ones that no claim can need."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from vibes_pipeline.calendar import TIMED_SLOTS, Slot, day_start, monday_of
from vibes_pipeline.errors import LedgerError
from vibes_pipeline.files import put_into_place
from vibes_pipeline.lake import MARKER
from vibes_pipeline.ledger.claims import cycles_that_no_claim_needs
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.policy import Policy
from vibes_pipeline.slots.catch_up import missing_slots

FOLDER = re.compile(rf"\.?(\d{{4}}-\d\d-\d\d)(?:{re.escape(MARKER)})?")


@dataclass(frozen=True)
class OldPartitions:
    """What may be removed: folders of slots' periods, all before `kept_since`.

    `needed` are the cycles that are as old but stay: a claim may still need their partitions, or
    the ledger has not decided them.
    """

    folders: Sequence[tuple[Slot, date, Path]]
    needed: Sequence[date]
    weeks: int
    kept_since: date

    @property
    def files(self) -> list[Path]:
        """Every file in the folders."""
        return [f for _, _, folder in self.folders for f in folder.rglob("*") if f.is_file()]


def old_partitions(lake: Path, ledger: Ledger, policy: Policy, now: datetime) -> OldPartitions:
    """The partitions that are older than the policy keeps them and that no claim can need (§17).

    `LedgerError` while the ledger is not used, or a weekly slot is missing: that slot, and claims
    about its actions, may need partitions of any age.
    """
    if ledger.opened_at() is None:
        raise LedgerError(
            f"the ledger of {ledger.country} is not used yet: which partitions claims may need is "
            "not known, and none is removed; is VIBES_POSTGRES_URL right?"
        )
    for due in missing_slots(ledger, policy, now):
        if due.slot.is_weekly:
            raise LedgerError(
                f"no partition is removed while {due.slot} of {due.period}, which was due "
                f"{due.due_at:%Y-%m-%d %H:%M}, is missing: run it first (`vibes run {due.slot}`)"
            )
    today = policy.local_date(now)
    weeks = policy.lake.lake_retention_weeks.on(today)
    since = monday_of(today) - timedelta(weeks=weeks)
    free = cycles_that_no_claim_needs(ledger, changed_since=day_start(since, policy.time_zone))
    old = [found for found in _periods(lake / policy.country) if found[1] < since]
    folders = [found for found in old if found[0] is not Slot.WEEKLY_ALERT or found[1] in free]
    needed = [period for slot, period, folder in old if (slot, period, folder) not in folders]
    return OldPartitions(folders, needed, weeks, since)


def remove(old: OldPartitions, today: date) -> None:
    """Remove each folder in one step; for a cycle a marker file keeps the day of removal."""
    for slot, period, folder in old.folders:
        if slot is Slot.WEEKLY_ALERT:
            with put_into_place(folder.with_name(f"{period}{MARKER}")) as temporary:
                temporary.write_text(f"{today.isoformat()}\n", encoding="ascii")
        # Nobody reads a hidden folder. A removal that was interrupted has left this name.
        hidden = folder.with_name(f".{period}{MARKER}")
        if folder != hidden:
            folder.rename(hidden)
        shutil.rmtree(hidden)


def _periods(lake: Path) -> Iterator[tuple[Slot, date, Path]]:
    """Every folder of a slot's period, also those that an interrupted removal has left."""
    for slot in TIMED_SLOTS:
        for folder in sorted((lake / slot).glob("*")):
            if folder.is_dir() and (named := FOLDER.fullmatch(folder.name)):
                yield slot, date.fromisoformat(named[1]), folder
