"""Loads that say nothing about sellers change no charge: the next good load makes it all up (§2, §6).

Three weeks pass in which each weekly slot finds some load: the full one, one that lacks rows, an
empty one, one with rows twice. In the second week the good warehouse itself is corrected. Then the
good load is back for two weeks. What is compared, item by item and rule by rule, is what finance has
in the end, with what it has if every slot had found the good load of its time.

- Of an item that the correction leaves alone the two are equal: nothing more is posted, nothing is
  lost. That is exact here, for what the rulebook itself gives up lies outside these weeks: an event
  that comes to light more than 28 days after its week (§6), evidence that is missing at the fourth
  implementation that looks for it (§2); regulations are of their cycle and are not compared.
- Of an item that is corrected a charge may differ only by when it was seen: it is posted only if the
  good warehouse held its event both when its alert was decided and when it was implemented, for what
  is corrected later is undone by a claim alone (§2), and one contradicted before is not made again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from properties import courses
from rules.marketplace import NIGERIA
from served import TEMPLATE
from storm.course import Course, Moment, Place, Record, Start
from storm.files import write
from storm.oracle import Seen
from storm.world import Tables, micros, world

from vibes_pipeline.calendar import Slot

ALERT, IMPLEMENTATION = Slot.WEEKLY_ALERT, Slot.WEEKLY_IMPLEMENTATION
FIRST = Moment("Wed 07:00", ALERT)
STORMY = (
    Moment("Sat 09:00", IMPLEMENTATION),
    Moment("Wed+1 07:00", ALERT),
    Moment("Sat+1 09:00", IMPLEMENTATION),
    Moment("Wed+2 07:00", ALERT),
    Moment("Sat+2 09:00", IMPLEMENTATION),
)
GOOD_AGAIN = (
    Moment("Sun+2 12:00", Slot.CLAIMS),
    Moment("Wed+3 07:00", ALERT),
    Moment("Sat+3 09:00", IMPLEMENTATION),
    Moment("Wed+4 07:00", ALERT),
    Moment("Sat+4 09:00", IMPLEMENTATION),
)
CORRECTED_AT = Moment("Tue+1 12:00", Slot.CLAIMS).at
ITEM_TABLES = ("order_items", "dropoff_qc", "counterfeit_cases")

LOADS = st.tuples(
    st.sampled_from(["full", "partial", "partial", "duplicated", "empty"]), st.integers(0, 99)
)


def first_good() -> Tables:
    """The small marketplace without its claims, which are another matter."""
    return {**world(), "claims": [], "account_decisions": []}


def corrected(good: Tables) -> Tables:
    """Reasons put right, a return undone, a sale that was lost after all, a commission amended."""
    tables = copy.deepcopy(good)
    items = {row["order_item_id"]: row for row in tables["order_items"]}
    items["busy-lost00"]["cancel_reason"] = "customer_request"
    items["busy-lost-10"]["cancel_reason"] = "other"
    items["shoddy-back00"].update(returned_at=None, return_reason=None)
    items["shoddy-back-11"]["return_reason"] = "change_of_mind"
    items["busy-kept00"].update(cancelled_at=items["busy-lost00"]["cancelled_at"])
    items["busy-kept00"].update(shipped_at=None, delivered_at=None, cancel_reason="out_of_stock")
    items["busy-lost01"]["commission"] *= 2
    (check,) = (row for row in tables["dropoff_qc"] if row["qc_id"] == "Q01")
    check.update(result="passed", failure_reason=None)
    return tables


def changed_items(good: Tables, amended: Tables) -> frozenset[str]:
    """The items of the rows that the correction touches."""
    return frozenset(
        row["order_item_id"]
        for table in ITEM_TABLES
        for row, other in zip(good[table], amended[table], strict=True)
        if row != other
    )


def loaded(good: Tables, kind: str, number: int) -> Tables:
    """The good rows as a faulty load has them."""
    random, tables = Random(number), copy.deepcopy(good)
    match kind:
        case "partial":
            table = random.choice((*ITEM_TABLES, "sellers", "products"))
            share = random.choice((0.1, 0.3, 0.6))
            tables[table] = [row for row in tables[table] if random.random() > share]
        case "duplicated":
            table = random.choice((*ITEM_TABLES, "sellers", "products"))
            tables[table] += [dict(row) for row in tables[table] if random.random() < 0.1]
        case "empty":
            for table in random.choice(((*ITEM_TABLES,), ("order_items",), ("dropoff_qc",))):
                tables[table] = []
    return tables


class Weeks:
    """The two good warehouses, the week before, and the weeks without a faulty load."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.first = first_good()
        self.second = corrected(self.first)
        with place.begun(place.empty(), NIGERIA) as course:
            course.run(FIRST, self._written(course, self.first, "first"))
            assert course.record.outcomes[-1].is_done
            self.start: Start = place.kept(course)
        self.good = self.run([("full", 0)] * len(STORMY))

    def good_at(self, moment: Moment) -> Tables:
        return self.first if moment.at < CORRECTED_AT else self.second

    def run(self, loads: Sequence[tuple[str, int]]) -> Record:
        with self.place.begun(self.start, NIGERIA) as course:
            for moment, (kind, number) in zip(STORMY, loads, strict=True):
                tables = loaded(self.good_at(moment), kind, number)
                course.run(moment, self._written(course, tables, moment.words))
            again = self._written(course, self.second, "again")
            for moment in GOOD_AGAIN:
                course.run(moment, again)
                assert course.record.outcomes[-1].is_done, course.record.outcomes[-1]
            return course.end()

    def _written(self, course: Course, tables: Tables, name: str) -> Path:
        return write(tables, course.home / f"raw-{name.replace(':', '')}")


@pytest.fixture(scope="module")
def weeks(administration: sa.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weeks]:
    place = Place(administration, Path(tmp_path_factory.mktemp("weeks")), TEMPLATE)
    yield Weeks(place)
    place.clear()


@courses(1)
@given(loads=st.lists(LOADS, min_size=len(STORMY), max_size=len(STORMY)))
def test_what_faulty_loads_say_of_no_seller_changes_no_charge(
    weeks: Weeks, loads: list[tuple[str, int]]
) -> None:
    record = weeks.run(loads)
    assert record.broken == {}
    for outcome in record.outcomes:
        assert outcome.crash is None, outcome.crash
    amended = changed_items(weeks.first, weeks.second)
    assert posted(record, amended) == posted(weeks.good, amended)
    for charge in record.charges:
        if charge["order_item_id"] in amended and charge["implemented_at"]:
            for when in ("proposed_at", "implemented_at"):
                at = charge[when]
                good = weeks.first if at < CORRECTED_AT else weeks.second
                fact = Seen(good, micros(at)).facts[charge["rule"], charge["order_item_id"]]
                assert (fact.seller_id, fact.reason) == (charge["seller_id"], charge["reason"])


def posted(record: Record, but: frozenset[str]) -> dict[tuple[str, str], object]:
    """What finance has in the end, by rule and item."""
    return {
        (charge["rule"], charge["order_item_id"]): charge["net"]
        for charge in record.charges
        if charge["net"] and charge["order_item_id"] not in but
    }
