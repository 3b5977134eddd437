"""What every write shares: taking turns, live or simulated, the record of slots (Rulebook §2)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from ledger import made
from patience import PATIENCE_SECONDS

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import LedgerError
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
from vibes_pipeline.ledger.proposals import FrozenCycle

IS_SIMULATED = (
    "the ledger of NG is simulated: it takes only slots with a time of their own (--at); use "
    "another VIBES_HOME or database for a live one"
)
IS_LIVE = (
    "the ledger of NG is live: a simulated slot would back-date its notices; use another "
    "VIBES_HOME or database to try things out"
)


def writing(ledger: Ledger, *, is_simulated: bool = True) -> AbstractContextManager[sa.Connection]:
    return ledger.writing(is_simulated=is_simulated, now=made.ALERT_AT)


# --- live or simulated --------------------------------------------------------------------------


def test_a_ledger_is_neither_live_nor_simulated_before_its_first_slot(ledger: Ledger) -> None:
    assert ledger.mode() is LedgerMode.EMPTY
    ledger.require_mode(is_simulated=True)
    ledger.require_mode(is_simulated=False)


@pytest.mark.parametrize(("first", "message"), [(True, IS_SIMULATED), (False, IS_LIVE)])
def test_a_ledger_stays_what_its_first_slot_made_it(
    ledger: Ledger, first: bool, message: str
) -> None:
    with writing(ledger, is_simulated=first):
        pass
    assert ledger.mode() is (LedgerMode.SIMULATED if first else LedgerMode.LIVE)
    ledger.require_mode(is_simulated=first)
    with pytest.raises(LedgerError) as refusal:
        ledger.require_mode(is_simulated=not first)
    assert str(refusal.value) == message
    with pytest.raises(LedgerError) as refusal, writing(ledger, is_simulated=not first):
        pass
    assert str(refusal.value) == message


LONG_AGO = datetime(2024, 11, 20, 7, tzinfo=made.LAGOS)


def test_a_simulated_slot_changes_nothing_on_a_live_ledger(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful(), now=LONG_AGO, is_simulated=False)
    before = made.counts(ledger)
    with pytest.raises(LedgerError, match="is live"):
        made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE)
    with pytest.raises(LedgerError, match="is live"):
        made.implement_cycle(ledger)
    assert made.counts(ledger) == before


def test_a_live_slot_changes_nothing_on_a_simulated_ledger(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, made.a_handful())
    before = made.counts(ledger)
    with pytest.raises(LedgerError, match="is simulated"):
        made.freeze_cycle(ledger, [], cycle=made.NEXT_CYCLE, is_simulated=False)
    with pytest.raises(LedgerError, match="is simulated"):
        made.implement_cycle(ledger, is_simulated=False)
    assert made.counts(ledger) == before


def test_a_first_slot_that_fails_decides_nothing(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError), writing(ledger, is_simulated=True):
        raise RuntimeError
    assert ledger.mode() is LedgerMode.EMPTY


def test_countries_have_ledgers_of_their_own(ledger: Ledger) -> None:
    kenya = Ledger(ledger.engine, "KE")
    made.freeze_cycle(ledger, made.a_handful())
    with writing(kenya, is_simulated=False):
        pass
    assert (ledger.mode(), kenya.mode()) == (LedgerMode.SIMULATED, LedgerMode.LIVE)
    assert made.effected_at(kenya, Slot.WEEKLY_ALERT, made.CYCLE) is None


# --- taking turns -------------------------------------------------------------------------------


def test_two_that_freeze_one_cycle_at_once_freeze_it_once(ledger: Ledger) -> None:
    together = threading.Barrier(2)

    def freeze(items: int) -> FrozenCycle:
        together.wait(timeout=PATIENCE_SECONDS)
        actions = [made.charge("S-1", f"I{n}") for n in range(items)]
        return made.freeze_cycle(ledger, actions, seen_event=0)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(freeze, (3, 5))
    assert one == other
    assert len(made.rows(ledger, schema.cycles.c.cycle)) == 1
    assert len(made.states(ledger)) == one.actions


def test_two_that_implement_one_cycle_at_once_post_each_charge_once(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, [made.charge("S-1", f"I{n}") for n in range(20)])
    made.accept(ledger)
    together = threading.Barrier(2)

    def implement(_: int) -> int:
        together.wait(timeout=PATIENCE_SECONDS)
        return made.implement_cycle(ledger).by_rule["returns_charge"]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(implement, range(2))) == [20, 20]
    assert len(made.rows(ledger, schema.postings.c.posting_id)) == 20


def test_a_second_writer_waits_until_the_first_is_done(ledger: Ledger) -> None:
    with writing(ledger):
        second, is_in = _enter_in_another_thread(ledger)
        assert not is_in.wait(0.3)
    assert is_in.wait(PATIENCE_SECONDS)
    second.join()


def test_a_writer_of_another_country_does_not_wait(ledger: Ledger) -> None:
    with writing(ledger):
        second, is_in = _enter_in_another_thread(Ledger(ledger.engine, "KE"))
        assert is_in.wait(PATIENCE_SECONDS)
        second.join()


def _enter_in_another_thread(ledger: Ledger) -> tuple[threading.Thread, threading.Event]:
    is_in = threading.Event()

    def enter() -> None:
        with writing(ledger):
            is_in.set()

    thread = threading.Thread(target=enter)
    thread.start()
    return thread, is_in


# --- reading ------------------------------------------------------------------------------------


def test_what_is_read_together_belongs_to_one_moment(ledger: Ledger) -> None:
    count = sa.select(sa.func.count()).select_from(schema.actions)
    with ledger.reading() as connection:
        assert connection.execute(count).scalar() == 0
        made.freeze_cycle(ledger, made.a_handful(), seen_event=0)
        assert connection.execute(count).scalar() == 0
    with ledger.reading() as connection:
        assert connection.execute(count).scalar() == len(made.a_handful())


def test_a_reader_cannot_write(ledger: Ledger) -> None:
    with (
        pytest.raises(sa.exc.InternalError, match="read-only transaction"),
        ledger.reading() as connection,
    ):
        connection.execute(
            schema.ledgers.insert().values(country="NG", is_simulated=True, opened_at=made.ALERT_AT)
        )


# --- slots --------------------------------------------------------------------------------------


def test_a_slot_is_done_once_its_effects_are_recorded(ledger: Ledger) -> None:
    assert made.effected_at(ledger, Slot.WEEKLY_ALERT, made.CYCLE) is None
    made.freeze_cycle(ledger, [], now=made.ALERT_AT + timedelta(hours=2))
    assert made.effected_at(ledger, Slot.WEEKLY_ALERT, made.CYCLE) == made.ALERT_AT + timedelta(
        hours=2
    )
    assert made.effected_at(ledger, Slot.WEEKLY_IMPLEMENTATION, made.CYCLE) is None
    assert made.effected_at(ledger, Slot.WEEKLY_ALERT, made.NEXT_CYCLE) is None


def test_a_slots_mail_is_handled_when_it_first_was(ledger: Ledger) -> None:
    made.freeze_cycle(ledger, [])
    assert not ledger.is_finished(Slot.WEEKLY_ALERT, made.CYCLE)
    for minutes in (5, 90):
        at = made.ALERT_AT + timedelta(minutes=minutes)
        ledger.record_finished(Slot.WEEKLY_ALERT, made.CYCLE, at)
    assert ledger.is_finished(Slot.WEEKLY_ALERT, made.CYCLE)
    c = schema.slots.c
    assert made.rows(ledger, c.slot, c.due_at, c.finished_at, c.outcome) == [
        ("weekly-alert", made.ALERT_AT, made.ALERT_AT + timedelta(minutes=5), "done")
    ]


def test_a_ledger_is_opened_at_the_instant_of_its_first_slot(ledger: Ledger) -> None:
    assert ledger.opened_at() is None
    for now in (made.ALERT_AT, made.ALERT_AT - timedelta(days=1)):
        with ledger.writing(is_simulated=True, now=now):
            pass
    assert ledger.opened_at() == made.ALERT_AT
