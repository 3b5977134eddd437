"""Answers, decisions and the slow evaluator agree, whatever the warehouse holds (Rulebook §14).

A dozen marketplaces in which every rule fires lie in one warehouse; after some weeks each is harmed
at random, as by the storms.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from answers.evaluator import RULES
from answers.evaluator_cycles import OfCycles
from answers.read import Exported, exported
from polars.testing import assert_frame_equal
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
from vibes_pipeline.slots.standings import CHARGES, DUE_ITEMS, PRODUCTS, STANDINGS, PartWeek
from vibes_pipeline.slots.steps import steps_of
from vibes_pipeline.warehouse.contract import CONTRACT, INSTANT

MARKETPLACES = 12
# Counts of a product, with what the slow evaluator calls them.
RATES = {
    "rejected_items": "rejected",
    "rejection_base_items": "rejection_base",
    "rejecting_customers": "rejecting",
    "returned_items": "returned",
    "return_base_items": "return_base",
    "returning_customers": "returning",
}
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
        evaluator = self.evaluator(self.tables, at)
        return {
            (item, rule): tuple(answer)
            for item in evaluator.known()
            for rule, answer in evaluator.answers(item).items()
        }

    def evaluator(self, tables: Tables, at: datetime) -> OfCycles:
        """The slow evaluator of a warehouse, at an instant."""
        readable = {name: [*map(_readable, rows)] for name, rows in _typed(tables)}
        # What a claim stated when it was taken in.
        readable["claims"] = self.claims
        return OfCycles(readable, self.exported, self.policy, at)

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


def _typed(tables: Tables) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for name, rows in tables.items():
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


def test_of_sellers_and_products_the_slow_evaluator_says_the_same_too(harmed: Harmed) -> None:
    """Of a decided cycle by what it was decided on, of the next by the warehouse as it stands."""
    instant = Instant.of(harmed.course.ledger, harmed.settings, harmed.policy, ALERT.at)
    decided = min(harmed.exported.cycles)
    good = harmed.evaluator(together(*_good()), harmed.exported.cycles[decided])
    now = harmed.evaluator(harmed.tables, ALERT.at)
    undecided = harmed.policy.slot_calendar.period_of(Slot.WEEKLY_ALERT, ALERT.at)
    actions = {
        (a["rule"], a["sku"] or a["seller_id"]): a
        for a in harmed.exported.actions
        if a["cycle"] == decided
    }
    codes = Counter[str]()
    asked = [
        *((s["seller_id"], explain_seller, OfCycles.seller) for s in _good()[0]["sellers"]),
        *((p["sku"], explain_product, OfCycles.product) for p in _good()[0]["products"]),
    ]
    for subject, explain, evaluate in asked:
        for cycle, evaluator in ((decided, good), (undecided, now)):
            answer, code = explain(instant, subject, cycle), evaluate(evaluator, subject, cycle)
            action = actions.get((answer["rule"], subject)) if cycle == decided else None
            if action is None:
                assert answer["code"] == code, (subject, cycle)
            else:
                assert (answer["code"], code) == ("acted", "awaits_cycle"), subject
                facts = {"band", "daily_order_limit", "grounds", "occurrence"} & answer[
                    "facts"
                ].keys()
                assert {f: answer["facts"][f] for f in facts} == {f: action[f] for f in facts}
            codes[answer["code"]] += 1
    assert codes.keys() >= {"acted", "below_bands", "no_event", "awaits_cycle"}


def test_standings_are_what_counting_gives(harmed: Harmed) -> None:
    at = Moment("Thu 12:00", Slot.CLAIMS).at.astimezone(harmed.policy.time_zone)
    part = PartWeek.before(at, harmed.policy, harmed.settings)
    found = part.standings(harmed.course.ledger)
    counted = harmed.evaluator(harmed.tables, at)
    monday = part.run.period
    charges, due = defaultdict(dict), defaultdict(set)
    for row in found[CHARGES].rows(named=True):
        charges[row["seller_id"]][row["rule"]] = row["charges"]
    for row in found[DUE_ITEMS].rows(named=True):
        due[row["seller_id"]].add(row["order_item_id"])
    rows = found[STANDINGS].rows(named=True)
    assert len(rows) > MARKETPLACES
    for row in rows:
        seller = row["seller_id"]
        record = counted.record(seller, part.run.week.start, at)
        assert (row["shipped_items"], row["shipped_orders"], row["cancelled_items"]) == (
            record.shipped,
            record.orders,
            record.cancelled,
        ), seller
        assert (row["band"], row["daily_order_limit"], row["pending_to_shipped_limit"]) == (
            record.band,
            record.daily_limit,
            record.pending_limit,
        ), seller
        assert charges[seller] == counted.charges(seller, monday), seller
        assert due[seller] == counted.due(seller, at + timedelta(hours=24)), seller
    products = found[PRODUCTS].rows(named=True)
    for row in products:
        rates = counted.rates(row["sku"], monday)
        assert {name: row[name] for name in RATES} == {
            name: getattr(rates, mine) for name, mine in RATES.items()
        }, row["sku"]
    assert charges
    assert products
    # Asked for alone, the records are the same, and so is a seller.
    records = part.standings(harmed.course.ledger, [STANDINGS])[STANDINGS]
    assert_frame_equal(records, found[STANDINGS], check_row_order=False)
    (busy, *_) = sorted(charges, key=lambda seller: -len(charges[seller]))
    alone = part.standings(harmed.course.ledger, seller=busy)
    for relation, rows in alone.items():
        mine, theirs = (f.filter(pl.col("seller_id") == busy) for f in (rows, found[relation]))
        assert_frame_equal(mine, theirs, check_row_order=False)
