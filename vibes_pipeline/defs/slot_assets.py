"""Which assets make up each slot, and which slot a run is of (Rulebook §2).

Here belong the names on which jobs, assets and the run's resource must agree. A slot is one
instant: its assets are made in one run, all of them. What only shows what was done may be made
again by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import dagster as dg

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import UsageError
from vibes_pipeline.slots.steps import ONLY_SHOWING, SETTLE, steps_of

# Dagster's tags for the partition of a run, or for the first and the last of several.
PARTITION_TAG = "dagster/partition"
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
# Our tags, which every run gets however it was started: its slot, its period, and its one
# instant in the policy's local time.
SLOT_TAG, PERIOD_TAG, AS_OF_TAG = "vibes/slot", "vibes/period", "vibes/as_of"

RAW_GATE = dg.AssetKey(["warehouse", "loads"])
HISTORY = dg.AssetKey(["ledger", "history"])
PAST = dg.AssetKey(["ledger", "past"])
# What every slot begins with (Rulebook §2).
CLAIMS_STEP = dg.AssetKey(SETTLE.asset.split("/"))


def asset_of(step: str) -> dg.AssetKey:
    """`stage/name` as Dagster names it."""
    return dg.AssetKey(step.split("/"))


def asset_key(relation: str) -> dg.AssetKey:
    """`stage.name` as Dagster names it."""
    return dg.AssetKey(relation.split("."))


# They only show what was done: a slot's run makes them, and they may be made again by themselves.
ONLY_SHOWN: Mapping[Slot, frozenset[dg.AssetKey]] = {
    Slot.WEEKLY_IMPLEMENTATION: frozenset({dg.AssetKey(["finance", "charges"])}),
    Slot.CLAIMS: frozenset({dg.AssetKey(["claims", "claims"])}),
}

OF_SLOT: Mapping[Slot, frozenset[dg.AssetKey]] = {
    slot: frozenset(asset_of(step.asset) for step in steps_of(slot))
    | ONLY_SHOWN.get(slot, frozenset())
    for slot in Slot
}

# These may be made again by themselves: they show what was done, or what would come of it.
SHOWING = ONLY_SHOWN[Slot.WEEKLY_IMPLEMENTATION] | {asset_of(step) for step in ONLY_SHOWING}

# What only delivers is of no slot: each with its job.
DELIVERING: Mapping[dg.AssetKey, str] = {
    dg.AssetKey(["notices", "outbox"]): "notice_delivery",
    dg.AssetKey(["reports", "operators_mail"]): "operators_mail",
}

# What `wanted_of` lets begin by itself: that, and the claims slot's steps.
BY_ITSELF = SHOWING | OF_SLOT[Slot.CLAIMS] | DELIVERING.keys()


class Wanted(NamedTuple):
    """The slot that a run is of, and its period; `claims` has none."""

    slot: Slot
    period: date | None


def wanted_of(run: dg.DagsterRun) -> Wanted | None:
    """The one slot that a run is of; None for one that only delivers.

    `UsageError` for a run of several slots or periods, or of a part of a slot.
    """
    keys = _made_by(run)
    slots = [slot for slot, its in OF_SLOT.items() if keys & (its - {CLAIMS_STEP})]
    if not slots:
        return Wanted(Slot.CLAIMS, None) if CLAIMS_STEP in keys else None
    if len(slots) > 1:
        raise UsageError(
            f"a run does one slot, and these assets are of {' and '.join(slots)}: start the jobs "
            f"{' and '.join(map(job_name, slots))}, one after the other"
        )
    (slot,) = slots
    # A claim is settled, and a mail about it goes out, whether or not the other follows at once.
    if slot is Slot.CLAIMS:
        return Wanted(slot, None)
    if not keys <= SHOWING and not OF_SLOT[slot] <= keys:
        raise UsageError(
            f"a slot is done as a whole, and this run is of {len(keys & OF_SLOT[slot])} of the "
            f"{len(OF_SLOT[slot])} assets of {slot}: start the job {job_name(slot)}, which does "
            "what is not done yet"
        )
    return Wanted(slot, _period(run, slot))


def job_name(slot: Slot) -> str:
    """The slot's job, as Dagster names it."""
    return slot.replace("-", "_")


def _made_by(run: dg.DagsterRun) -> set[dg.AssetKey]:
    """The assets of slots that the run makes or checks: all of its job's, unless it names some."""
    every = {key for its in OF_SLOT.values() for key in its}
    checked = {check.asset_key for check in run.asset_check_selection or ()}
    if run.step_keys_to_execute is not None:
        steps = set(run.step_keys_to_execute)
        return {key for key in every if key.to_python_identifier() in steps} | (checked & every)
    if run.entity_selection is not None:
        return {key for key in every if key in checked or key in (run.asset_selection or ())}
    return {key for slot, its in OF_SLOT.items() if job_name(slot) == run.job_name for key in its}


def _period(run: dg.DagsterRun, slot: Slot) -> date:
    """The one period that the run names."""
    first, last = (run.tags.get(tag, run.tags.get(PARTITION_TAG)) for tag in RANGE_TAGS)
    if first is None or first != last:
        raise UsageError(
            f"a run does one period of {slot}: start the job {job_name(slot)} with one partition"
        )
    return date.fromisoformat(first)
