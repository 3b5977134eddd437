"""Whether a slot may be begun, told from the ledger and the calendar alone (Rulebook §2).

The weeks are those of the example there: the alert of 2026-11-09 is due on Wednesday, the 18th, its
implementation on Saturday, the 21st.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import pytest
from ledger import made
from ledger.made import local
from rules.marketplace import NIGERIA

from vibes_pipeline.calendar import DueSlot, Slot
from vibes_pipeline.errors import LedgerError, UsageError, VibesError
from vibes_pipeline.ledger import claims
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.proposals import record_policy, record_proposed
from vibes_pipeline.slots.order import period_to_begin
from vibes_pipeline.slots.replay import still_to_replay

CALENDAR = NIGERIA.slot_calendar
ALERT, SATURDAY = Slot.WEEKLY_ALERT, Slot.WEEKLY_IMPLEMENTATION
MORNING, NIGHT, CLAIMS = Slot.LATE_ALERT, Slot.LATE_CANCELLATION, Slot.CLAIMS
BEFORE, CYCLE, NEXT = "2026-11-02", "2026-11-09", "2026-11-16"
WAITS = (
    "{} waits for weekly-implementation of 2026-11-02, which was due 2026-11-14 09:00 and is "
    "missing: weekly slots are run oldest first; `vibes run weekly-implementation` runs that one"
)


@dataclass(frozen=True)
class Asked:
    """A slot asked for at a local time, with or without its period, and the answer."""

    why: str
    now: str
    slot: Slot
    named: str | None
    answer: str


# Live since Wednesday the 11th, 06:30; it ran that day's weekly alert and was then off.
AFTER_AN_OUTAGE = [
    Asked("a later alert", "2026-11-25 08:00", ALERT, CYCLE, WAITS.format(f"{ALERT} of {CYCLE}")),
    Asked("the latest", "2026-11-25 08:00", ALERT, NEXT, WAITS.format(f"{ALERT} of {NEXT}")),
    Asked(
        "a later implementation",
        *("2026-11-25 08:00", SATURDAY, CYCLE),
        WAITS.format(f"{SATURDAY} of {CYCLE}"),
    ),
    Asked("the oldest", "2026-11-25 08:00", SATURDAY, BEFORE, BEFORE),
    Asked("none named", "2026-11-25 08:00", SATURDAY, None, BEFORE),
    Asked("none named of the other kind", "2026-11-25 08:00", ALERT, None, WAITS.format(ALERT)),
    Asked("one that is done", "2026-11-25 08:00", ALERT, BEFORE, BEFORE),
    Asked("the day's late alert", "2026-11-25 08:00", MORNING, None, "2026-11-25"),
    Asked("the night's cancellation", "2026-11-25 23:00", NIGHT, None, "2026-11-25"),
    Asked("claims", "2026-11-25 08:00", CLAIMS, None, "2026-11-25"),
    Asked(
        "a day that is over",
        *("2026-11-25 08:00", MORNING, "2026-11-24"),
        "the late-alert of 2026-11-24 is over since 2026-11-24 23:00: a missed day is skipped, not "
        "replayed; what is overdue still is in the next late alert",
    ),
    Asked(
        "one that is not due",
        *("2026-11-14 08:59", SATURDAY, BEFORE),
        "weekly-implementation of 2026-11-02 is due 2026-11-14 09:00; it is 2026-11-14 08:59",
    ),
    Asked(
        "before the ledger's newest event",
        *("2026-11-11 06:59", CLAIMS, None),
        "it is 2026-11-11 06:59:00, and the ledger of NG has an event of 2026-11-11 07:00:00 "
        "already: time goes forward; name a time no earlier, or try again once the clock has "
        "passed it",
    ),
    Asked("at the newest event", "2026-11-11 07:00", ALERT, None, BEFORE),
]


@pytest.mark.parametrize("asked", AFTER_AN_OUTAGE, ids=lambda asked: asked.why)
def test_of_weekly_slots_only_the_oldest_missing_may_be_begun_and_no_other_waits_for_it(
    ledger: Ledger, asked: Asked
) -> None:
    made.open_ledger(ledger, "2026-11-11 06:30")
    made.finish_slot(ledger, ALERT, BEFORE)
    assert answer(ledger, asked.slot, asked.now, asked.named) == asked.answer


def test_each_weekly_slot_may_be_begun_once_the_one_before_it_is_finished(ledger: Ledger) -> None:
    made.open_ledger(ledger, "2026-11-11 06:30")
    for slot, period in ((ALERT, BEFORE), (SATURDAY, BEFORE), (ALERT, CYCLE), (SATURDAY, CYCLE)):
        assert answer(ledger, slot, "2026-11-21 09:00") == period
        due_at = made.begin_slot(ledger, slot, period)
        assert answer(ledger, slot, "2026-11-21 09:00") == period, "its mail was not handled"
        ledger.record_finished(slot, date.fromisoformat(period), due_at)
    # All is done: run again it is the latest.
    assert answer(ledger, ALERT, "2026-11-21 09:00") == CYCLE


def test_an_alert_that_a_later_cycle_has_outrun_is_refused(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE, now=local("2026-11-25 07:00"))
    assert answer(ledger, ALERT, "2026-11-25 08:00", CYCLE, is_simulated=True) == (
        "cycle 2026-11-09 comes before 2026-11-16, which is frozen already: cycles are decided in "
        "order; replay history on an empty ledger (another VIBES_HOME or database)"
    )


@pytest.mark.parametrize("slot", Slot)
@pytest.mark.parametrize("is_simulated", [True, False])
def test_no_slot_is_begun_on_a_ledger_of_the_other_mode(
    ledger: Ledger, slot: Slot, is_simulated: bool
) -> None:
    made.open_ledger(ledger, "2026-11-11 06:30", is_simulated=not is_simulated)
    told = answer(ledger, slot, "2026-11-25 08:00", is_simulated=is_simulated)
    assert told.startswith(f"the ledger of NG is {'live' if is_simulated else 'simulated'}: ")


@pytest.mark.parametrize("slot", Slot)
def test_a_ledger_that_was_never_used_takes_the_latest_slot(ledger: Ledger, slot: Slot) -> None:
    now = "2026-11-25 23:30" if slot is NIGHT else "2026-11-25 08:00"
    assert answer(ledger, slot, now) == str(CALENDAR.period_of(slot, local(now)))


NEWEST = local("2026-11-25 12:00")


@pytest.mark.parametrize("what", ["an action", "a claim", "a decision", "a slot", "its opening"])
def test_whatever_happened_last_no_slot_is_begun_before_it(ledger: Ledger, what: str) -> None:
    made.open_ledger(
        ledger, f"{NEWEST:%Y-%m-%d %H:%M}" if what == "its opening" else "2026-11-18 06:00"
    )
    assert what == "its opening" or answer(ledger, CLAIMS, "2026-11-25 11:59") == "2026-11-25"
    with ledger.writing(is_simulated=False, now=NEWEST) as connection:
        match what:
            case "an action":
                record_policy(connection, made.terms(), "the text of the made policy", NEWEST)
                record_proposed(
                    connection, made.proposal([made.charge("S-1", "I1")]), NEWEST, cause="decided"
                )
            case "a claim":
                made.claim(connection, "C-1", "S-1", NEWEST)
            case "a decision":
                made.claim(connection, "C-1", "S-1", local("2026-11-18 07:00"))
                claims.record_decision(
                    connection, "NG", "C-1", "upheld", NEWEST, NEWEST, is_matched=True
                )
            case "a slot":
                ledger.record_effects(connection, MORNING, NEWEST.date(), NEWEST, NEWEST)
    assert "has an event of 2026-11-25 12:00:00 already" in answer(
        ledger, CLAIMS, "2026-11-25 11:59"
    )
    assert answer(ledger, CLAIMS, "2026-11-25 12:00") == "2026-11-25"


def test_another_country_s_events_are_not_this_one_s(ledger: Ledger) -> None:
    kenya = Ledger(ledger.engine, "KE")
    made.open_ledger(kenya, "2026-12-01 00:00")
    assert (kenya.newest_event_at(), ledger.newest_event_at()) == (local("2026-12-01 00:00"), None)


def answer(
    ledger: Ledger, slot: Slot, now: str, named: str | None = None, *, is_simulated: bool = False
) -> str:
    """The period for which the slot may be begun, or the line that refuses it."""
    period = date.fromisoformat(named) if named else None
    at = local(now)
    try:
        begun = period_to_begin(ledger, NIGERIA, slot, period, now=at, is_simulated=is_simulated)
    except (LedgerError, UsageError) as refused:
        return str(refused)
    return str(begun)


# --- what of a replay is still to be run ----------------------------------------------------------

FROM, UNTIL = "2026-11-11 00:00", "2026-11-21 09:00"
WEEKLY = (ALERT, SATURDAY)


def span(*slots: Slot, start: str = FROM, claimed: tuple[str, ...] = ()) -> list[DueSlot]:
    """What a replay of these slots, and of claims at those moments, would run."""
    settled = [DueSlot(local(moment), CLAIMS, local(moment).date()) for moment in claimed]
    due = [*settled, *CALENDAR.due_between(local(start), local(UNTIL), slots)]
    return sorted(due, key=at)


def at(due: DueSlot) -> datetime:
    return due.due_at


def test_a_replay_over_an_empty_ledger_runs_every_slot(ledger: Ledger) -> None:
    due = span(*WEEKLY, MORNING, NIGHT, claimed=("2026-11-12 10:00",))
    assert still_to_replay(ledger, NIGERIA, due) == due


def test_what_a_replay_that_was_broken_off_has_done_is_not_run_again(ledger: Ledger) -> None:
    made.open_ledger(ledger, "2026-11-11 07:00", is_simulated=True)
    made.finish_slot(ledger, ALERT, BEFORE, is_simulated=True)
    made.begin_slot(ledger, SATURDAY, BEFORE, is_simulated=True)
    due = span(*WEEKLY, claimed=("2026-11-12 10:00", "2026-11-14 09:00", "2026-11-16 10:00"))
    todo = still_to_replay(ledger, NIGERIA, due)
    assert [(d.slot, f"{at(d):%m-%d %H:%M}") for d in todo] == [
        (CLAIMS, "11-14 09:00"),
        (SATURDAY, "11-14 09:00"),
        (CLAIMS, "11-16 10:00"),
        (ALERT, "11-18 07:00"),
        (SATURDAY, "11-21 09:00"),
    ]


def test_a_replay_run_again_has_nothing_to_do(ledger: Ledger) -> None:
    for due in span(*WEEKLY):
        made.finish_slot(ledger, due.slot, str(due.period), is_simulated=True)
    assert still_to_replay(ledger, NIGERIA, span(*WEEKLY, claimed=("2026-11-12 10:00",))) == []


@pytest.mark.parametrize(
    ("due", "begins"),
    [
        pytest.param(span(MORNING, NIGHT), None, id="the daily slots alone"),
        pytest.param(span(), None, id="nothing"),
        pytest.param(span(ALERT, start="2026-11-15 00:00"), None, id="one alert alone"),
        pytest.param(
            span(ALERT),
            "weekly-alert of 2026-11-09 waits for weekly-implementation of 2026-11-02, which was",
            id="the alerts without their implementations",
        ),
        pytest.param(
            span(SATURDAY),
            "weekly-implementation of 2026-11-09 waits for weekly-alert of 2026-11-09, which was",
            id="the implementations without their alerts",
        ),
    ],
)
def test_a_replay_that_leaves_a_weekly_slot_out_before_another_is_refused(
    ledger: Ledger, due: list[DueSlot], begins: str | None
) -> None:
    if begins is None:
        assert still_to_replay(ledger, NIGERIA, due) == due
        return
    with pytest.raises(UsageError) as refused:
        still_to_replay(ledger, NIGERIA, due)
    assert str(refused.value).startswith(begins)


@pytest.mark.parametrize(
    ("opened", "is_simulated", "due", "begins"),
    [
        pytest.param(
            *("2026-11-10 00:00", False, span(*WEEKLY)),
            "the ledger of NG is live: a simulated slot would back-date its notices; ",
            id="over a live ledger",
        ),
        pytest.param(
            *("2026-11-17 00:00", True, span(MORNING)),
            "it is 2026-11-11 06:00:00, and the ledger of NG has an event of 2026-11-17 00:00:00 ",
            id="of days before what it has seen",
        ),
        pytest.param(
            *("2026-11-10 00:00", True, span(*WEEKLY, start="2026-11-15 00:00")),
            "weekly-alert of 2026-11-09 waits for weekly-alert of 2026-11-02, which was due ",
            id="that leaves weeks out",
        ),
    ],
)
def test_a_replay_that_cannot_be_run_to_its_end_is_refused_before_it_begins(
    ledger: Ledger, opened: str, is_simulated: bool, due: list[DueSlot], begins: str
) -> None:
    made.open_ledger(ledger, opened, is_simulated=is_simulated)
    with pytest.raises(VibesError) as refused:
        still_to_replay(ledger, NIGERIA, due)
    assert str(refused.value).startswith(begins)
