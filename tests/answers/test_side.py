"""What one side of a simulation computes, and what it takes from the other or from the real ledger (§16)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from answers.drafts import AMENDED, settings_of
from rules.marketplace import NIGERIA
from served import own_ledger

from vibes_pipeline.answers import simulate as simulate_module
from vibes_pipeline.answers.side import Side, actions, run_slots
from vibes_pipeline.answers.snapshot import take
from vibes_pipeline.engine.duckdb import DuckDBEngine
from vibes_pipeline.engine.models import Model
from vibes_pipeline.engine.protocol import Parameters
from vibes_pipeline.engine.weekly import weekly_models
from vibes_pipeline.keys import home_key
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.slots import weekly
from vibes_pipeline.slots.run import SlotRun
from vibes_pipeline.warehouse.source import Warehouse


def test_the_second_side_computes_only_what_the_draft_makes_different(
    administration: sa.Engine, past: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[str] = []
    compute = weekly.compute

    def counted(run: SlotRun, ledger: Ledger, model: Model) -> pl.LazyFrame:
        computed.append(model.relation)
        return compute(run, ledger, model)

    monkeypatch.setattr(weekly, "compute", counted)
    cycle = date(2023, 11, 13)
    (alert, *_) = simulate_module._due(NIGERIA, settings_of(tmp_path, past), cycle, cycle, False)
    seen = take(Warehouse(past), tmp_path / "seen", alert.due_at, alert.due_at)
    homes = [tmp_path / name for name in ("first", "same", "amended")]
    (tmp_path / "first").mkdir()
    key = home_key(homes[0]).file
    made = []
    for home, policy in zip(homes, (NIGERIA, NIGERIA, AMENDED), strict=True):
        home.mkdir(exist_ok=True)
        (home / "key").write_bytes(key.read_bytes())
        own, shared = settings_of(home, home / "raw"), tmp_path / "shared"
        side = Side(policy.source, policy.text, own, seen, shared, (alert,))
        computed.clear()
        with own_ledger(administration) as ledger:
            assert list(run_slots(side, ledger)) == [alert]
        made.append(set(computed))
    first, same, amended = made
    assert first == {model.relation for model in weekly_models()}
    assert same == set()
    decisions = ("order_regulations", "out_of_stock_charges", "late_fulfilment_charges")
    assert {f"decisions.{name}" for name in (*decisions, "returns_charges")} <= amended
    assert {relation.split(".")[0] for relation in amended} <= {"decisions", "events", "metrics"}


def test_of_sides_that_run_at_once_one_reads_the_order_items_for_both(
    administration: sa.Engine, past: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[str] = []
    hold = DuckDBEngine._hold

    def counted(engine: DuckDBEngine, model: Model, parameters: Parameters) -> None:
        held.append(model.relation)
        hold(engine, model, parameters)

    monkeypatch.setattr(DuckDBEngine, "_hold", counted)
    cycle = date(2023, 11, 13)
    due = simulate_module._due(NIGERIA, settings_of(tmp_path, past), cycle, cycle, False)[:1]
    seen = take(Warehouse(past), tmp_path / "seen", due[0].due_at, due[0].due_at)
    sides = []
    for policy, home in ((NIGERIA, tmp_path / "one"), (AMENDED, tmp_path / "other")):
        home.mkdir()
        own = settings_of(home, home / "raw")
        sides.append(Side(policy.source, policy.text, own, seen, tmp_path / "shared", due))
    (tmp_path / "other" / "key").hardlink_to(home_key(tmp_path / "one").file)
    with own_ledger(administration) as one, own_ledger(administration) as other:
        with ThreadPoolExecutor(2) as threads:
            ran = list(threads.map(lambda side, of: list(run_slots(side, of)), sides, (one, other)))
        decided = [actions(ledger).height for ledger in (one, other)]
    assert ran == [list(due), list(due)]
    assert all(decided)
    assert held.count("warehouse.stored_items") == 1


def test_a_side_applies_what_people_recorded_in_the_real_ledger(
    administration: sa.Engine, past: Path, tmp_path: Path
) -> None:
    own, cycle = settings_of(tmp_path / "side", tmp_path / "side" / "raw"), date(2023, 11, 13)
    (alert, *_) = simulate_module._due(NIGERIA, settings_of(tmp_path, past), cycle, cycle, False)
    decision = {
        **{"country": "NG", "claim_id": None, "seller_id": "S-returned", "decision": "delist"},
        **{"decided_by": "Ada", "note": None, "decided_at": alert.due_at},
    }
    seen = take(Warehouse(past), tmp_path / "seen", alert.due_at, alert.due_at)
    with own_ledger(administration) as ledger:
        simulate_module._without_guards(ledger.engine.url)
        side = Side(
            *(NIGERIA.source, NIGERIA.text, own, seen, tmp_path / "shared"), (alert,), (decision,)
        )
        list(run_slots(side, ledger))
        found = actions(ledger)
    delisted = found.filter(pl.col("rule") == "account_delisting")
    assert set(delisted["seller_id"]) == {"S-checked", "S-returned"}
