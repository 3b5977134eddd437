"""Answers, decisions and the slow evaluator agree, whatever the warehouse holds (Rulebook §14).

A dozen marketplaces in which every rule fires lie in one warehouse; after some weeks each is harmed
at random, as by the storms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from answers.evaluator import RULES, Evaluator
from answers.read import Exported, exported
from properties import LONGER
from rules.marketplace import amended
from served import TEMPLATE
from slots_direct import DirectSlots
from storm.course import BEFORE, STORM, Course, Moment, Place, Start
from storm.files import write
from storm.mutations import of_rows
from storm.world import EPOCH, Tables, together, world

from vibes_pipeline.answers import items
from vibes_pipeline.answers.cycles import explain_product, explain_seller
from vibes_pipeline.answers.moment import Moment as Instant
from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger.as_of import Subject
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.steps import steps_of
from vibes_pipeline.warehouse.contract import CONTRACT, INSTANT

MARKETPLACES = 12
# More of them: `VIBES_LONG_TESTS=10`.
SEEDS = range(LONGER)
ALERT = next(m for m in STORM if m.slot is Slot.WEEKLY_ALERT)
# Before the harm, and a week after it.
INSTANTS = ("Mon 00:00", "Thu 12:00", "Sun+1 12:00")


@dataclass(frozen=True)
class Harmed:
    """A ledger with a past, and a warehouse harmed since."""

    course: Course
    tables: Tables
    warehouse: Path
    claims: list[dict[str, Any]]

    @property
    def settings(self) -> Settings:
        return Settings.from_environment(
            {"VIBES_HOME": str(self.course.home), "VIBES_WAREHOUSE": str(self.warehouse)}
        )

    @property
    def policy(self) -> Policy:
        return self.course.policy

    def told(self, at: datetime) -> dict[tuple[str, str], tuple[Any, ...]]:
        """What the answers say by item and rule: code, action, claim, cycle."""
        instant = Instant.of(self.course.ledger, self.settings, self.policy, at)
        return {
            (row["order_item_id"], row["rule"]): (
                *(row["code"], row["reference"], row["claim_id"], row["cycle"]),
            )
            for row in instant.answer(items.ANSWER, Subject()).iter_rows(named=True)
        }

    def evaluated(self, at: datetime) -> dict[tuple[str, str], tuple[Any, ...]]:
        """The same by the slow evaluator."""
        tables = {name: [*map(_readable, rows)] for name, rows in self._typed()}
        # What a claim stated when it was taken in.
        tables["claims"] = self.claims
        evaluator = Evaluator(tables, self.exported, self.policy, at)
        return {
            (item, rule): tuple(answer)
            for item in evaluator.known()
            for rule, answer in evaluator.answers(item).items()
        }

    @property
    def exported(self) -> Exported:
        return exported(self.course.ledger, self.policy, self.settings.lake)

    def decided(self, at: datetime) -> set[tuple[str, str]]:
        """The charges that the weekly alert would freeze, by item and rule."""
        period = self.policy.slot_calendar.period_of(Slot.WEEKLY_ALERT, at)
        slots = DirectSlots(self.course.ledger, self.settings, self.policy)
        work = slots.work(Slot.WEEKLY_ALERT, period, at)
        for step in steps_of(Slot.WEEKLY_ALERT):
            if step.asset == "ledger/frozen_cycle":
                break
            step.do(work)
        proposal = work.run.engine.read("decisions.proposal")
        return {
            (item, rule)
            for item, rule in proposal.select("order_item_id", "rule").iter_rows()
            if rule in RULES
        }

    def _typed(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        for name, rows in self.tables.items():
            instants = [n for n, type_ in CONTRACT[name].columns.items() if type_ == INSTANT]
            yield name, [{"instants": instants, **row} for row in rows]


def _readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of microseconds as instants; beyond Python's years the last one of them."""
    return {
        name: _at(value) if name in row["instants"] and value is not None else value
        for name, value in row.items()
        if name != "instants"
    }


def _at(micros: int) -> datetime:
    try:
        at = EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        at = datetime.min.replace(tzinfo=UTC) if micros < 0 else datetime.max.replace(tzinfo=UTC)
    return at


@pytest.fixture(scope="module")
def weeks_before(
    administration: sa.Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Place, Start, Policy]]:
    """The slots before the harm, over the good marketplaces."""
    folder = tmp_path_factory.mktemp("agreement")
    place = Place(administration, folder, TEMPLATE)
    lenient = amended(folder, ("warehouse.bad_row_limit_pct", "2016-01-02", "100"))
    warehouse = write(together(*_good()), folder / "good")
    with place.begun(place.empty(), lenient) as course:
        for moment in (*BEFORE, *STORM[: STORM.index(ALERT)]):
            course.run(moment, warehouse)
        assert all(o.is_done for o in course.record.outcomes), course.record.outcomes
        start = place.kept(course)
    yield place, start, lenient
    place.clear()


@pytest.fixture(scope="module", params=SEEDS)
def harmed(
    request: pytest.FixtureRequest, weeks_before: tuple[Place, Start, Policy]
) -> Iterator[Harmed]:
    place, start, policy = weeks_before
    good, random = _good(), Random(request.param)
    tables = together(*(of_rows(one, random).tables for one in good))
    warehouse = write(tables, place.folder / f"harmed-{request.param}")
    with place.begun(start, policy) as course:
        yield Harmed(course, tables, warehouse, together(*good)["claims"])


def _good() -> list[Tables]:
    return [world(f"m{place:02}-") for place in range(MARKETPLACES)]


def test_the_slow_evaluator_says_the_same_as_the_answers(harmed: Harmed) -> None:
    codes: Counter[str] = Counter()
    for at in (Moment(words, Slot.CLAIMS).at for words in (*INSTANTS, ALERT.words)):
        told, evaluated = harmed.told(at), harmed.evaluated(at)
        differing = {
            key: (told.get(key), evaluated.get(key))
            for key in told.keys() | evaluated.keys()
            if told.get(key) != evaluated.get(key)
        }
        assert not differing, at
        codes.update(code for code, *_ in told.values())
    assert codes.keys() >= {
        *("acted", "set_aside", "no_event", "in_time", "new_seller", "awaits_cycle", "held"),
    }


def test_what_awaits_a_cycle_is_what_its_alert_decides(harmed: Harmed) -> None:
    decided = harmed.decided(ALERT.at)  # settles the claims of that instant first, as every slot
    told = harmed.told(ALERT.at)
    cycle = harmed.policy.slot_calendar.period_of(Slot.WEEKLY_ALERT, ALERT.at)
    awaiting = {
        key for key, (code, _, _, of) in told.items() if code == "awaits_cycle" and of == cycle
    }
    assert awaiting
    assert decided == awaiting


def test_in_a_decided_cycle_exactly_what_was_regulated_is_acted(harmed: Harmed) -> None:
    instant = Instant.of(harmed.course.ledger, harmed.settings, harmed.policy, ALERT.at)
    mine = [
        (rule, row[name], explain)
        for table, name, rule, explain in (
            ("sellers", "seller_id", "order_regulation", explain_seller),
            ("products", "sku", "sales_regulation", explain_product),
        )
        for row in _good()[0][table]
    ]
    regulated = {
        (a["rule"], a["sku"] or a["seller_id"], a["cycle"]): a for a in harmed.exported.actions
    }
    codes = Counter[str]()
    for cycle in list(harmed.exported.cycles)[:2]:
        for rule, subject, explain in mine:
            answer = explain(instant, subject, cycle)
            action = regulated.get((rule, subject, cycle))
            assert (answer["code"] == "acted") is (action is not None), (subject, cycle)
            assert answer["code"] != "awaits_cycle", (subject, cycle)
            for fact in ("band", "daily_order_limit", "grounds", "occurrence"):
                if action is not None and fact in answer["facts"]:
                    assert answer["facts"][fact] == action[fact], (subject, cycle, fact)
            codes[answer["code"]] += 1
    assert codes.keys() >= {"acted", "exempt", "below_bands", "no_event"}
