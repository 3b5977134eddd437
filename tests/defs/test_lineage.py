"""The lineage in the UI is true: an asset depends on what its SQL reads (Design §3, Dagster)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cli import troubles
from ledger import made
from slots_direct import DirectSlots

from vibes_pipeline.calendar import Slot
from vibes_pipeline.definitions import definitions
from vibes_pipeline.engine.duckdb import DuckDBEngine
from vibes_pipeline.engine.models import Model, closure, load_models
from vibes_pipeline.engine.protocol import Engine
from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.engine.weekly import weekly_models
from vibes_pipeline.ledger import history
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.late_orders import models_of
from vibes_pipeline.slots.steps import steps_of

DEPENDENCIES = {
    spec.key.to_user_string(): {dep.asset_key.to_user_string() for dep in spec.deps}
    for spec in definitions.resolve_all_asset_specs()
}
LOADS = "raw/loads"


def name(relation: str) -> str:
    return relation.replace(".", "/")


def raw(names: Collection[str]) -> set[str]:
    """The tables of the warehouse; what it says of itself, `raw.loads`, is read by no SQL file."""
    return {n for n in names if n.startswith("raw/")} - {LOADS}


@pytest.mark.parametrize("model", weekly_models(), ids=lambda model: model.relation)
def test_a_model_of_the_week_depends_on_what_its_file_reads(model: Model) -> None:
    reads = [r for m in (model, *ephemeral(model)) for r in m.depends_on]
    made = {m.relation for m in ephemeral(model)}
    read = {name(r) for r in reads if not r.startswith(("policy.", "ledger.")) and r not in made}
    depends_on = DEPENDENCIES[name(model.relation)]
    assert read <= depends_on
    assert raw(read) == raw(depends_on)
    past = {r for r in reads if r.removeprefix("ledger.") in history.PAST}
    assert ("ledger/past" in depends_on) == bool(past)
    # The ledger's first cycle is a fact of its history.
    assert ("ledger/history" in depends_on) == (
        "first_cycle" in model.parameters
        or any(r.startswith("ledger.") for r in reads if r not in past)
    )


def ephemeral(model: Model) -> list[Model]:
    """The models that are run with this one, for no partition keeps their rows."""
    upstream = [load_models()[relation] for relation in model.upstream]
    own = [m for m in upstream if m.is_ephemeral]
    return [*own, *(further for m in own for further in ephemeral(m))]


# The asset, and the relations that are made to make it.
LOOKED_UP = [
    ("enforcement/evidence", ["enforcement.evidence"]),
    ("late_orders/overdue_items", ["late_orders.overdue_items"]),
    ("late_orders/outcomes", ["late_orders.late_outcomes"]),
    (
        "claims/settled_claims",
        [
            "claims.unsettled_claims",
            "claims.claimed_orders",
            "claims.keep_decisions",
            "claims.undecipherable",
        ],
    ),
    *(
        (f"notices/{asset}", ["warehouse.directory", "warehouse.products"])
        for asset in (
            "weekly_alerts",
            "post_implementation_mails",
            "late_alerts",
            "late_cancellation_mails",
            "claim_mails",
            "outbox",
        )
    ),
]


@pytest.mark.parametrize(("asset", "relations"), LOOKED_UP, ids=[a for a, _ in LOOKED_UP])
def test_what_looks_at_the_warehouse_anew_depends_on_every_table_that_is_read(
    asset: str, relations: list[str]
) -> None:
    is_late = asset.startswith("late_orders/")
    models = models_of(*relations) if is_late else closure(relations)
    read = {name(r) for model in models for r in model.depends_on}
    assert raw(DEPENDENCIES[asset]) == raw(read)
    # It makes the relations in between itself: those of the weekly alert are of another instant.
    of_the_week = {name(model.relation) for model in weekly_models()}
    assert not DEPENDENCIES[asset] & of_the_week


def test_late_cancellations_depend_on_the_overdue_items_alone() -> None:
    assert DEPENDENCIES["late_orders/late_cancellations"] == {"late_orders/overdue_items"}


# --- what is really read --------------------------------------------------------------------------


@dataclass
class Reading:
    """What each step reads of the warehouse and of other steps' relations, as it runs."""

    step: str = ""
    made: set[str] = field(default_factory=set)
    read: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def begin(self, step: str) -> None:
        self.step, self.made = step, set()

    def reads(self, *relations: str) -> None:
        others = {name(r) for r in relations if r not in self.made} - {self.step}
        self.read[self.step] |= others & DEPENDENCIES.keys()

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Take note of all that goes through an engine."""

        def noted(method: str, note: Callable[[Any], None]) -> None:
            for kind in (Engine, DuckDBEngine, ScratchEngine):
                if method in vars(kind):
                    patch.setattr(kind, method, noting(getattr(kind, method), note))

        def noting(original: Callable[..., Any], note: Callable[[Any], None]) -> Any:
            def method(engine: Engine, subject: Any, *others: Any) -> Any:
                note(subject)
                return original(engine, subject, *others)

            return method

        def makes(model: Model) -> None:
            self.reads(*model.depends_on)
            self.made.add(model.relation)

        noted("materialize", makes)
        noted("evaluate", lambda model: self.reads(*model.depends_on))
        noted("write", self.made.add)
        noted("read", self.reads)
        noted("scan", self.reads)


DAY = made.local("2026-11-21 06:00").date()
COURSE = [
    (Slot.WEEKLY_ALERT, made.CYCLE, troubles.ALERT_AT),
    (Slot.LATE_ALERT, DAY, "2026-11-21T06:00"),
    (Slot.WEEKLY_IMPLEMENTATION, made.CYCLE, troubles.IMPLEMENTATION_AT),
    (Slot.LATE_CANCELLATION, DAY, "2026-11-21T23:00"),
]


def test_no_step_reads_what_its_asset_does_not_depend_on(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = troubles.market()
    raw_tables = market.write(tmp_path / "raw")
    settings = Settings.from_environment(
        {"VIBES_HOME": str(tmp_path / "home"), "VIBES_WAREHOUSE": str(raw_tables)}
    )
    slots, reading = DirectSlots(ledger, settings, market.policy), Reading()
    reading.watch(monkeypatch)
    for slot, period, at in COURSE:
        work = slots.work(slot, period, made.local(at))
        for step in steps_of(slot):
            reading.begin(step.asset)
            step.do(work)
    assert reading.read["notices/weekly_alerts"] == {"raw/products", "raw/sellers"}
    undeclared = {asset: names - DEPENDENCIES[asset] for asset, names in reading.read.items()}
    assert {asset: names for asset, names in undeclared.items() if names} == {}
