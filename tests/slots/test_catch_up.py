"""What was due and is not done, told from the ledger's slots and the calendar alone (Rulebook §2).

The weeks are those of the example there: the alert of 2026-11-09 is due on Wednesday, the 18th, its
implementation on Saturday, the 21st.
"""

from __future__ import annotations

from datetime import date

import pytest
from ledger import made
from ledger.made import local
from rules.marketplace import NIGERIA

from vibes_pipeline.calendar import DueSlot, Slot
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.slots.catch_up import missing_slots, to_run_next

CALENDAR = NIGERIA.slot_calendar
ALERT, SATURDAY = Slot.WEEKLY_ALERT, Slot.WEEKLY_IMPLEMENTATION
MORNING, NIGHT = Slot.LATE_ALERT, Slot.LATE_CANCELLATION
BEFORE, CYCLE, NEXT = "2026-11-02", "2026-11-09", "2026-11-16"


def missing(ledger: Ledger, now: str) -> list[tuple[Slot, str]]:
    return [(due.slot, str(due.period)) for due in missing_slots(ledger, NIGERIA, local(now))]


def test_a_ledger_that_was_never_used_misses_nothing(ledger: Ledger) -> None:
    assert missing(ledger, "2026-11-21 12:00") == []


@pytest.mark.parametrize(
    ("opened", "now", "expected"),
    [
        pytest.param(
            "2026-11-18 06:30",
            "2026-11-18 06:59",
            [],
            id="not even the day's late alert, which was due before it",
        ),
        pytest.param(
            "2026-11-18 06:30",
            "2026-11-18 07:00",
            [(ALERT, CYCLE)],
            id="a slot is due at its very time",
        ),
        pytest.param(
            "2026-11-18 07:00",
            "2026-11-18 07:00",
            [(ALERT, CYCLE)],
            id="the ledger's first moment counts",
        ),
        pytest.param(
            "2026-11-18 07:01",
            "2026-11-21 08:00",
            [(MORNING, "2026-11-21")],
            id="no alert that was due before the ledger was",
        ),
        pytest.param(
            "2026-11-18 07:01",
            "2026-11-21 09:00",
            [(MORNING, "2026-11-21"), (SATURDAY, CYCLE)],
            id="but the Saturday after it",
        ),
    ],
)
def test_nothing_is_missed_from_before_the_ledger_s_first_slot(
    ledger: Ledger, opened: str, now: str, expected: list[tuple[Slot, str]]
) -> None:
    made.open_ledger(ledger, opened)
    assert missing(ledger, now) == expected


def test_all_that_is_finished_is_not_missing(ledger: Ledger) -> None:
    made.open_ledger(ledger, "2026-11-18 05:00")
    for slot, period in ((ALERT, CYCLE), (SATURDAY, CYCLE), (MORNING, "2026-11-21")):
        made.finish_slot(ledger, slot, period)
    assert missing(ledger, "2026-11-21 12:00") == []


def test_a_slot_whose_mail_was_not_handled_is_missing(ledger: Ledger) -> None:
    made.open_ledger(ledger, "2026-11-18 06:30")
    made.begin_slot(ledger, ALERT, CYCLE)
    assert missing(ledger, "2026-11-18 22:00") == [(ALERT, CYCLE)]


def test_the_first_slot_of_all_is_missing_too_if_its_mail_was_not_handled(ledger: Ledger) -> None:
    # It opened the ledger itself, some seconds after it was due.
    made.open_ledger(ledger, "2026-11-18 07:00:20")
    made.begin_slot(ledger, ALERT, CYCLE)
    assert missing(ledger, "2026-11-18 07:30") == [(ALERT, CYCLE)]


def test_over_two_saturdays_every_weekly_slot_is_missing_in_its_order(ledger: Ledger) -> None:
    made.open_ledger(ledger, "2026-11-11 06:30")
    made.finish_slot(ledger, ALERT, BEFORE)
    assert missing(ledger, "2026-11-22 05:30") == [
        (SATURDAY, BEFORE),
        (ALERT, CYCLE),
        (SATURDAY, CYCLE),
        (NIGHT, "2026-11-21"),
    ]
    assert missing(ledger, "2026-11-25 07:00") == [
        (SATURDAY, BEFORE),
        (ALERT, CYCLE),
        (SATURDAY, CYCLE),
        (MORNING, "2026-11-25"),
        (ALERT, NEXT),
    ]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-20 05:59", [(NIGHT, "2026-11-19")]),
        ("2026-11-20 06:00", [(MORNING, "2026-11-20")]),
        ("2026-11-20 22:59", [(MORNING, "2026-11-20")]),
        ("2026-11-20 23:00", [(NIGHT, "2026-11-20")]),
        ("2026-11-20 23:59", [(NIGHT, "2026-11-20")]),
        ("2026-11-21 00:00", [(NIGHT, "2026-11-20")]),
    ],
)
def test_of_the_days_that_were_missed_only_the_slot_that_is_not_over_is_missing(
    ledger: Ledger, now: str, expected: list[tuple[Slot, str]]
) -> None:
    made.open_ledger(ledger, "2026-11-18 08:00")
    made.finish_slot(ledger, ALERT, CYCLE)
    assert missing(ledger, now) == expected


def test_a_late_slot_that_is_over_is_not_missing_even_if_its_mail_was_not_handled(
    ledger: Ledger,
) -> None:
    made.open_ledger(ledger, "2026-11-18 08:00")
    made.begin_slot(ledger, MORNING, "2026-11-19")
    assert missing(ledger, "2026-11-19 22:59") == [(MORNING, "2026-11-19")]
    assert missing(ledger, "2026-11-19 23:30") == [(NIGHT, "2026-11-19")]


def test_another_country_s_slots_are_not_this_one_s(ledger: Ledger) -> None:
    made.open_ledger(Ledger(ledger.engine, "KE"), "2026-11-11 06:30")
    made.open_ledger(ledger, "2026-11-18 06:30")
    assert missing(ledger, "2026-11-18 07:00") == [(ALERT, CYCLE)]


def test_an_alert_that_a_later_cycle_has_outrun_is_not_waited_for(ledger: Ledger) -> None:
    # Cycles are decided in order: it can never be decided, and nothing would ever run again.
    made.freeze_cycle(
        ledger, [], cycle=made.CYCLE - made.WEEK, now=local("2026-11-11 07:00"), is_simulated=False
    )
    made.freeze_cycle(
        ledger, [], cycle=made.NEXT_CYCLE, now=local("2026-11-25 07:00"), is_simulated=False
    )
    assert missing(ledger, "2026-11-25 07:00") == [
        (ALERT, BEFORE),
        (SATURDAY, BEFORE),
        (SATURDAY, CYCLE),
        (MORNING, "2026-11-25"),
        (ALERT, NEXT),
    ]


def due(slot: Slot, period: str) -> DueSlot:
    day = date.fromisoformat(period)
    return DueSlot(CALENDAR.due_at(slot, day), slot, day)


@pytest.mark.parametrize(
    ("missed", "next_ones"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param(
            [due(SATURDAY, BEFORE), due(ALERT, CYCLE), due(SATURDAY, CYCLE)],
            [due(SATURDAY, BEFORE)],
            id="the oldest weekly slot alone",
        ),
        pytest.param(
            [due(MORNING, "2026-11-18"), due(ALERT, CYCLE)],
            [due(ALERT, CYCLE), due(MORNING, "2026-11-18")],
            id="a late slot waits for no weekly one",
        ),
    ],
)
def test_weekly_slots_run_one_by_one(missed: list[DueSlot], next_ones: list[DueSlot]) -> None:
    assert to_run_next(missed) == next_ones
