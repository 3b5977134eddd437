"""How long partitions are kept (Rulebook §17): what goes, what a claim may need, what is said then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from rules.marketplace import amended
from slots.claims.cases import Desk, new_desk
from slots.whole_slots import returned

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import LedgerError, UsageError, VibesError
from vibes_pipeline.exports.tables import Source, read_table
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.slots.old_partitions import OldPartitions, old_partitions, remove

WEEK = timedelta(weeks=1)
SALES = "sales_regulation"


@pytest.fixture(scope="module")
def desk(administration: sa.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Four cycles, and partitions kept for a week: in the second a product is regulated.

    It was returned in the first week, so the first cycle has charges alone; the others have nothing.
    """
    policy = amended(
        tmp_path_factory.mktemp("policy"), ("lake.lake_retention_weeks", "2016-02-01", "1")
    )
    with new_desk(administration) as made:
        made.policy = policy
        made.seller("S-1")
        for number in range(2):
            made.item("S-1", f"I-{number}", returned("Tue 10:00"))
        made.late_alert("Mon+1 06:00")
        for week in range(4):
            made.alert(week)
            made.implement(week)
        yield made


def cycle(desk: Desk, week: int) -> date:
    return desk.market.monday + week * WEEK


def folder(desk: Desk, week: int, slot: Slot = Slot.WEEKLY_ALERT) -> Path:
    return desk.home / "lake" / "NG" / slot / cycle(desk, week).isoformat()


def newest(desk: Desk) -> datetime:
    at = desk.ledger.newest_event_at()
    assert at is not None
    return at


def old(desk: Desk) -> OldPartitions:
    return old_partitions(desk.home / "lake", desk.ledger, desk.policy, newest(desk))


def found(partitions: OldPartitions) -> set[tuple[Slot, date]]:
    return {(slot, period) for slot, period, _ in partitions.folders}


def test_old_partitions_go_but_for_those_of_a_cycle_whose_sales_regulation_stands(
    desk: Desk,
) -> None:
    assert desk.regulations(SALES) == {1: ("implemented", 1)}
    first = old(desk)
    assert first.kept_since == cycle(desk, 3), "it is the week after the fourth observed one"
    assert first.needed == [cycle(desk, 1)]
    weekly = {
        *((Slot.WEEKLY_ALERT, cycle(desk, week)) for week in (0, 2)),
        *((Slot.WEEKLY_IMPLEMENTATION, cycle(desk, week)) for week in (0, 1, 2)),
    }
    late = (Slot.LATE_ALERT, cycle(desk, 1))
    assert found(first) == {*weekly, late}
    assert first.files

    # One that a removal cut short has left, half gone.
    left = folder(desk, 0).with_name(f".{cycle(desk, 0)}.pruned")
    (left / "metrics").mkdir(parents=True)
    removed_on = cycle(desk, 4)
    ledger_before = desk.contents()
    remove(old(desk), removed_on)
    assert [folder(desk, week).exists() for week in range(4)] == [False, True, False, True]
    assert not folder(desk, 1, Slot.WEEKLY_IMPLEMENTATION).exists()
    assert not left.exists()
    assert found(old(desk)) == set(), "run again it finds nothing"
    assert desk.contents() == ledger_before

    # What asks for one that is gone is told so, in one line.
    gone = (
        f"the partitions of cycle {cycle(desk, 0)} were removed on {removed_on} (`vibes prune "
        "--lake`); only a backup of the lake has them"
    )
    run = desk.begin(Slot.WEEKLY_ALERT, newest(desk), cycle(desk, 0))
    with pytest.raises(VibesError) as refused:
        run.require_decided("warehouse.order_items")
    assert str(refused.value) == gone
    source = Source(desk.ledger, desk.home / "lake", desk.policy.time_zone, cycle(desk, 0))
    for table in ("seller_week", "quarantine"):
        with pytest.raises(UsageError) as refused_export:
            read_table(table, source)
        assert str(refused_export.value) == gone

    # The claim for which they were kept is settled from them; then nothing needs them.
    for number in range(2):
        desk.upheld(f"C-{number}", "S-1", "Mon+5 12:00", order_number=f"O-I-{number}")
    desk.settle("Mon+5 12:00")
    assert desk.regulations(SALES) == {1: ("reversed", 1)}
    assert (Slot.WEEKLY_ALERT, cycle(desk, 1)) in found(
        old_partitions(desk.home / "lake", desk.ledger, desk.policy, desk.market.at("Sat+4 12:00"))
    )


def test_nothing_goes_while_a_weekly_slot_is_missing(desk: Desk) -> None:
    later = desk.policy.slot_calendar.due_at(Slot.WEEKLY_ALERT, cycle(desk, 4))
    with pytest.raises(LedgerError) as refused:
        old_partitions(desk.home / "lake", desk.ledger, desk.policy, later)
    assert str(refused.value) == (
        f"no partition is removed while weekly-alert of {cycle(desk, 4)}, which was due "
        f"{later:%Y-%m-%d %H:%M}, is missing: run it first (`vibes run weekly-alert`)"
    )


def test_nothing_goes_by_a_ledger_that_knows_nothing(desk: Desk, ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="the ledger of NG is not used yet: which partitions"):
        old_partitions(desk.home / "lake", ledger, desk.policy, newest(desk))
