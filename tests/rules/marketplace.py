"""Tiny marketplaces for the rules' cases: build, write as Parquet, run models, read their rows.

Here belongs the harness alone; what the rules must decide of a marketplace stands in the test
modules beside it. A marketplace holds the cases of one module that do not touch each other, each
with a seller, product or item that bears the case's sentence as its id. The models run as in a
weekly slot, without a ledger: what it would tell of the past is given by `remember`.

Times are local words relative to the observed week, `Mon 09:40`, `Sun-1 23:59` (the week before),
`Wed+1 07:00` (the week after), or local ISO times such as `2026-12-24T18:00`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import polars as pl
import pytest
import yaml

from vibes_pipeline.calendar import Slot, local_instant
from vibes_pipeline.engine.models import closure, load_models
from vibes_pipeline.engine.protocol import Parameters
from vibes_pipeline.ledger.frames import Schema
from vibes_pipeline.ledger.history import EXCUSES
from vibes_pipeline.policy import Policy, load_policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.run import NO_HORIZON, SlotRun
from vibes_pipeline.warehouse.contract import BOOLEAN, INSTANT, LOADS, MONEY, RAW_TABLES, VARCHAR

WEEK = "2026-11-09"  # no public holiday in it, nor in the weeks around it
NIGERIA = load_policy("ng")

Row = dict[str, Any]

TYPES: Mapping[str, pl.DataType] = {
    VARCHAR: pl.String(),
    BOOLEAN: pl.Boolean(),
    MONEY: pl.Decimal(14, 2),
    INSTANT: pl.Datetime("us", "UTC"),
    "VARCHAR[]": pl.List(pl.String()),
}
HISTORY: Mapping[str, Schema] = {
    "charges": {
        "rule": pl.String(),
        "order_item_id": pl.String(),
        "amount": pl.Decimal(14, 2),
        "is_standing": pl.Boolean(),
    },
    "open_charges": {
        "action_id": pl.String(),
        "rule": pl.String(),
        "seller_id": pl.String(),
        "order_item_id": pl.String(),
        "reason": pl.String(),
        "qc_id": pl.String(),
        "case_id": pl.String(),
    },
    "sales_regulations": {
        "sku": pl.String(),
        "cycle": pl.Date(),
        "occurrence": pl.Int32(),
        "is_standing": pl.Boolean(),
    },
    "product_delistings": {"sku": pl.String(), "is_standing": pl.Boolean()},
    "account_delistings": {
        "seller_id": pl.String(),
        "decision_id": pl.String(),
        "is_standing": pl.Boolean(),
    },
    "recorded_account_decisions": {
        "decision_id": pl.String(),
        "seller_id": pl.String(),
        "decision": pl.String(),
        "decided_at": pl.Datetime("us", "UTC"),
    },
    "account_reviews": {
        "seller_id": pl.String(),
        "quality_returns": pl.Int32(),
        "dropoff_failures": pl.Int32(),
        "counterfeits": pl.Int32(),
    },
    "reviewed_counterfeits": {"seller_id": pl.String(), "order_item_id": pl.String()},
    "excuses": EXCUSES,
    "undecided_counterfeit_claims": {
        "claim_id": pl.String(),
        "seller_id": pl.String(),
        "order_number": pl.String(),
        "sku": pl.String(),
        "raised_at": pl.Datetime("us", "UTC"),
    },
}


# --- cases ----------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A sentence, what is given and what must come of it."""

    sentence: str
    given: Any
    expected: Any


def each(cases: Sequence[Case], *names: str) -> pytest.MarkDecorator:
    """Parametrize a test over cases as (sentence, expected), its id the sentence."""
    sentences = [case.sentence for case in cases]
    assert len(set(sentences)) == len(sentences), "two cases bear the same sentence"
    return pytest.mark.parametrize(
        names or ("sentence", "expected"),
        [pytest.param(case.sentence, case.expected, id=case.sentence) for case in cases],
    )


class Item(TypedDict, total=False):
    """The columns of an order item that a case cares for; see `Marketplace.item` for the rest."""

    order_item_id: str | None
    order_number: str | None
    seller_id: str | None
    sku: str | None
    customer_id: str | None
    item_price: str | None
    commission: str | None
    tracking_number: str | None
    pending_at: str | None
    ready_to_ship_at: str | None
    shipped_at: str | None
    delivered_at: str | None
    cancelled_at: str | None
    cancel_reason: str | None
    rejected_at: str | None
    returned_at: str | None
    return_reason: str | None


# --- times ----------------------------------------------------------------------------------------

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WORDS = re.compile(rf"({'|'.join(_WEEKDAYS)})([+-]\d+)? (\d\d:\d\d(?::\d\d(?:\.\d+)?)?)")


def instant(words: str, week: date, policy: Policy = NIGERIA) -> datetime:
    """The instant that the words name, relative to the week that begins on that Monday."""
    if found := _WORDS.fullmatch(words):
        weekday, weeks, at = found.groups()
        days = _WEEKDAYS.index(weekday) + 7 * int(weeks or 0)
        return local_instant(week + timedelta(days=days), time.fromisoformat(at), policy.time_zone)
    written = datetime.fromisoformat(words)
    return local_instant(written.date(), written.time(), policy.time_zone)


# --- amended policies -----------------------------------------------------------------------------


def amended(folder: Path, *changes: tuple[str, str, object]) -> Policy:
    """Nigeria's policy with later values added: (dotted key, from, value), read from a file."""
    content = yaml.load(NIGERIA.text, Loader=yaml.BaseLoader)
    for key, valid_from, value in changes:
        parameter = content
        for part in key.split("."):
            parameter = parameter[part]
        parameter["values"].append(
            {
                "from": valid_from,
                "value": value,
                "reference": {"document": "Decision", "sentence": "A case amends this value."},
            }
        )
    file = folder / "amended.yaml"
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return load_policy(path=file)


# --- the marketplace ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Decided:
    """The rows of the models that were run."""

    run: SlotRun

    def rows(self, relation: str, **wanted: object) -> list[Row]:
        """The relation's rows that have the wanted values; a view's rows are made now."""
        model, engine = load_models().get(relation), self.run.engine
        is_view = model is not None and model.is_view
        frame = engine.evaluate(model, {}) if is_view else engine.read(relation)
        rows = frame.rows(named=True)
        return [row for row in rows if all(row[name] == is_ for name, is_ in wanted.items())]

    def row(self, relation: str, **wanted: object) -> Row | None:
        """The one row that has the wanted values, None if there is none."""
        rows = self.rows(relation, **wanted)
        assert len(rows) <= 1, f"{len(rows)} rows of {relation} for {wanted}"
        return rows[0] if rows else None


@dataclass
class Marketplace:
    """Rows of the raw tables and of the ledger's history, around one observed week."""

    week: str = WEEK
    policy: Policy = NIGERIA
    raw: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in RAW_TABLES})
    history: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in HISTORY})
    loads: dict[str, str | None] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def monday(self) -> date:
        return date.fromisoformat(self.week)

    def at(self, words: str) -> datetime:
        """The instant that the words name in this marketplace."""
        return instant(words, self.monday, self.policy)

    def seller(self, **columns: object) -> str:
        """A seller, by default an old one of Nigeria, not on Jumia Express; gives the id."""
        seller_id = self._id("seller_id", columns, "S")
        return self.add(
            "sellers",
            seller_id,
            {
                "seller_id": seller_id,
                "shop_name": f"Shop {seller_id}",
                "email": "shop@sellers.example",
                "country": "NG",
                "is_jumia_express": False,
            }
            | columns,
        )

    def product(self, seller_id: str | None, **columns: object) -> str:
        """A product of the seller, by default GM; gives the SKU."""
        sku = self._id("sku", columns, "K")
        return self.add(
            "products",
            sku,
            {
                "sku": sku,
                "seller_id": seller_id,
                "product_name": f"Product {sku}",
                "category": "Things",
                "product_type": "GM",
            }
            | columns,
        )

    def item(self, columns: Mapping[str, object] | None = None) -> str:
        """An order item, pending since Monday 09:00; gives the id.

        Where the case names no seller, order or customer, the item has one of its own; where it
        names no SKU, its product is one of its own.
        """
        given: Row = dict(columns or {})
        order_item_id = self._id("order_item_id", given, "I")
        if "seller_id" not in given:
            given["seller_id"] = self.seller()
        if "sku" not in given:
            given["sku"] = self.product(given["seller_id"])
        number = next(self._numbers)
        return self.add(
            "order_items",
            order_item_id,
            {
                "order_item_id": order_item_id,
                "order_number": f"O{number}",
                "customer_id": f"C{number}",
                "item_price": "10000.00",
                "commission": "1000.00",
                "pending_at": "Mon 09:00",
            }
            | given,
        )

    def items(self, count: int, columns: Mapping[str, object]) -> None:
        """So many items alike, each of an order and a customer of its own if none is named."""
        for _ in range(count):
            self.item(columns)

    def check(self, order_item_id: str | None, **columns: object) -> str:
        """A quality check at drop-off, by default failed as wrong on Tuesday; gives the id."""
        qc_id = self._id("qc_id", columns, "Q")
        failed = columns.get("result", "failed") == "failed"
        return self.add(
            "dropoff_qc",
            qc_id,
            {
                "qc_id": qc_id,
                "order_item_id": order_item_id,
                "checked_at": "Tue 09:00",
                "result": "failed",
                "failure_reason": "wrong_item" if failed else None,
            }
            | columns,
        )

    def counterfeit_case(self, order_item_id: str | None, **columns: object) -> str:
        """A counterfeit case, by default notified on Monday, proven on Tuesday; gives the id."""
        case_id = self._id("case_id", columns, "F")
        return self.add(
            "counterfeit_cases",
            case_id,
            {
                "case_id": case_id,
                "order_item_id": order_item_id,
                "notified_at": "Mon 10:00",
                "proven_at": "Tue 10:00",
            }
            | columns,
        )

    def account_decision(
        self, seller_id: str | None, decided_at: str | None, **columns: object
    ) -> str:
        """A person's decision on an account, by default to delist it; gives the id."""
        decision_id = self._id("decision_id", columns, "D")
        return self.add(
            "account_decisions",
            decision_id,
            {
                "decision_id": decision_id,
                "seller_id": seller_id,
                "decision": "delist",
                "decided_at": decided_at,
            }
            | columns,
        )

    def remember(self, relation: str, **columns: object) -> None:
        """A row of the ledger's history, standing unless it says otherwise."""
        standing = {"is_standing": True} if "is_standing" in HISTORY[relation] else {}
        self.history[relation].append(standing | columns)

    def add(self, table: str, row_id: str, columns: Row) -> str:
        """A row as it stands; columns not named are null."""
        self.raw[table].append(
            {name: columns.pop(name, None) for name in RAW_TABLES[table].columns}
        )
        assert not columns, f"raw.{table} has no column {', '.join(columns)}"
        return row_id

    def write(self, folder: Path) -> Path:
        """The raw tables as a folder of Parquet; an empty optional table is left out."""
        folder.mkdir(parents=True, exist_ok=True)
        for table in RAW_TABLES.values():
            rows = self.raw[table.name]
            if rows or not table.is_optional:
                self._frame(rows, table.columns).write_parquet(folder / f"{table.name}.parquet")
        if self.loads:
            rows = [{"table_name": name, "loaded_through": at} for name, at in self.loads.items()]
            self._frame(rows, LOADS.columns).write_parquet(folder / f"{LOADS.name}.parquet")
        return folder

    def begin(
        self, folder: Path, *, slot: Slot = Slot.WEEKLY_ALERT, at: str | None = None
    ) -> SlotRun:
        """The slot of this week over the written tables, at its due time unless told otherwise."""
        environment = {
            "VIBES_HOME": str(folder),
            "VIBES_WAREHOUSE": str(self.write(folder / "raw")),
        }
        due_at = self.policy.slot_calendar.due_at(slot, self.monday)
        run = SlotRun.begin(
            slot,
            self.monday,
            self.policy,
            Settings.from_environment(environment),
            now=self.at(at) if at else due_at,
            is_simulated=True,
        )
        for name, schema in HISTORY.items():
            file = run.engine.partition(f"ledger.{name}")
            file.parent.mkdir(parents=True, exist_ok=True)
            rows = [{column: row.get(column) for column in schema} for row in self.history[name]]
            pl.DataFrame(_decimals(rows, "amount"), schema=dict(schema)).write_parquet(file)
        return run

    def decide(
        self,
        folder: Path,
        *relations: str,
        at: str | None = None,
        first_cycle: str | None = "2016-01-04",
        horizon: str | None = None,
    ) -> Decided:
        """Run the relations, and all they rest on, as the weekly alert does.

        The ledger's first cycle lies long ago unless told otherwise.
        """
        run = self.begin(folder, at=at)
        parameters = run.parameters(
            first_cycle=date.fromisoformat(first_cycle) if first_cycle else None,
            horizon=self.at(horizon) if horizon else None,
        )
        return _materialized(run, parameters, relations)

    def look_up(self, folder: Path, *relations: str, at: str | None = None) -> Decided:
        """Run the relations as the weekly implementation does, which looks at no new items."""
        run = self.begin(folder, slot=Slot.WEEKLY_IMPLEMENTATION, at=at)
        return _materialized(run, run.parameters(horizon=NO_HORIZON), relations)

    def _id(self, column: str, columns: Mapping[str, Any], prefix: str) -> str:
        """The id that the case gives, if only to say that it is null, or else a new one."""
        given: str = columns[column] if column in columns else f"{prefix}{next(self._numbers)}"
        return given

    def _frame(self, rows: Sequence[Row], columns: Mapping[str, str]) -> pl.DataFrame:
        instants = [name for name, type_ in columns.items() if type_ == INSTANT]
        moneys = [name for name, type_ in columns.items() if type_ == MONEY]
        read = [
            row | {name: self.at(row[name]) for name in instants if row[name] is not None}
            for row in rows
        ]
        schema = {name: TYPES[type_] for name, type_ in columns.items()}
        return pl.DataFrame(_decimals(read, *moneys), schema=schema)


def _materialized(run: SlotRun, parameters: Parameters, relations: Iterable[str]) -> Decided:
    for model in closure(relations):
        run.engine.materialize(model, parameters)
    return Decided(run)


def _decimals(rows: Iterable[Row], *names: str) -> list[Row]:
    """The rows with the text of the named amounts read as decimals."""
    return [
        row | {name: Decimal(row[name]) for name in names if row.get(name) is not None}
        for row in rows
    ]
