"""A simulation decides what replays under both policies decide, and tells exactly what differs (§16)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest
import sqlalchemy as sa
from answers.drafts import AMENDED, draft, settings_of
from polars.testing import assert_frame_equal
from rules.marketplace import NIGERIA, Marketplace
from served import own_ledger
from slots_direct import DirectSlots
from storm.files import write
from storm.world import world

from vibes_pipeline.answers import simulate as simulate_module
from vibes_pipeline.answers.differences import differences
from vibes_pipeline.answers.side import Side, actions, run_slots
from vibes_pipeline.answers.simulate import simulate
from vibes_pipeline.answers.snapshot import take
from vibes_pipeline.calendar import DueSlot, Slot, parse_local
from vibes_pipeline.cli.simulate import _print_text
from vibes_pipeline.errors import StaleWarehouse, UsageError, WarehouseError
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.states import STANDING
from vibes_pipeline.policy import Policy
from vibes_pipeline.reports.simulation import Simulation
from vibes_pipeline.rules import REGISTRY, WEEKLY_RULES
from vibes_pipeline.settings import Settings
from vibes_pipeline.warehouse.source import Warehouse

NOW = parse_local("2027-01-01T00:00", NIGERIA.time_zone)
OUTCOME = (
    *("amount", "band", "daily_order_limit", "pending_to_shipped_limit", "grounds", "occurrence"),
)
KEY = ("rule", "cycle", "seller_id", "sku", "order_item_id")
Row = Mapping[str, Any]


def replayed(
    ledger: Ledger, settings: Settings, policy: Policy, due: list[DueSlot]
) -> pl.DataFrame:
    """The actions of a replay: whole slots, their mail to a Maildir included."""
    slots = DirectSlots(ledger, settings, policy)
    for slot in due:
        slots.run(slot.slot, slot.period, slot.due_at)
    return actions(ledger).sort("action_id")


def slowly_compared(before: pl.DataFrame, after: pl.DataFrame) -> dict[tuple[Any, ...], Any]:
    """Of each action that differs, by cycle, rule and subject: the change and both outcomes."""
    sides = [
        {
            (row["cycle"], row["rule"], row[REGISTRY[row["rule"]].subject.value]): tuple(
                row[name] for name in OUTCOME
            )
            for row in of_side.rows(named=True)
            if row["state"] in STANDING
        }
        for of_side in (before, after)
    ]
    found = {}
    for key in sides[0].keys() | sides[1].keys():
        one, other = (of_side.get(key) for of_side in sides)
        if one != other:
            change = "added" if one is None else "removed" if other is None else "changed"
            found[key] = (change, one or (None,) * 6, other or (None,) * 6)
    return found


def told(simulation: Simulation) -> dict[tuple[Any, ...], Any]:
    """The same of the simulation's rows."""
    return {
        (row["cycle"], row["rule"], row["subject"]): (
            row["change"],
            tuple(row[f"{name}_before"] for name in OUTCOME),
            tuple(row[f"{name}_after"] for name in OUTCOME),
        )
        for row in simulation.differences.rows(named=True)
    }


# --- a small marketplace with claims --------------------------------------------------------------


@pytest.fixture(scope="module")
def claimed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A marketplace in which every rule fires, with claims and account decisions on it."""
    return write(world(), tmp_path_factory.mktemp("claimed") / "raw")


DAILY = (Slot.LATE_ALERT, Slot.LATE_CANCELLATION)
CLAIMED_CYCLES = date(2026, 11, 9), date(2026, 11, 16)


def test_a_side_decides_action_for_action_what_a_replay_of_the_same_slots_decides(
    administration: sa.Engine, ledger: Ledger, claimed: Path, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "replay", claimed)
    all_due = simulate_module._due(NIGERIA, settings, *CLAIMED_CYCLES, True)
    # Of the daily slots those of two days, for each day is like the next.
    due = tuple(s for s in all_due if s.slot not in DAILY or s.period < date(2026, 11, 20))
    assert {slot.slot for slot in due} == set(Slot), "late orders and claims are part of it"
    expected = replayed(ledger, settings, NIGERIA, list(due))
    with own_ledger(administration) as other:
        seen = take(Warehouse(claimed), tmp_path / "seen", due[0].due_at, due[-1].due_at)
        own = settings_of(tmp_path / "side", tmp_path / "side" / "raw")
        side = Side(NIGERIA.source, NIGERIA.text, own, seen, tmp_path / "shared", due)
        assert list(run_slots(side, other)) == list(due)
        found = actions(other).sort("action_id")
    assert found.equals(expected)
    assert {"implemented", "reversed"} <= set(found["state"]), "claims had effect"
    assert not (tmp_path / "side" / "mail").exists()
    assert differences(found, expected).is_empty()


# --- world alpha ----------------------------------------------------------------------------------

ALPHA_CYCLES = date(2026, 8, 31), date(2026, 9, 28)


@pytest.fixture(scope="module")
def alpha(shared: Path) -> Path:
    folder = shared / "worlds" / "alpha"
    if not folder.is_dir():
        pytest.skip("there is no world alpha in ../shared/worlds")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@dataclass(frozen=True)
class Simulated:
    """A simulation, and the actions of its two sides."""

    outcome: Simulation
    before: pl.DataFrame
    after: pl.DataFrame


@pytest.fixture(scope="module")
def simulated(alpha: Path, home: Path) -> Simulated:
    """World alpha under Nigeria's policy and under the amended one."""
    sides: list[pl.DataFrame] = []

    def kept(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
        sides.extend((old, new))
        return differences(old, new)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate_module.differences, "differences", kept)
        settings = settings_of(home, alpha / "raw")
        outcome = simulate(settings, NIGERIA, AMENDED, *ALPHA_CYCLES, now=NOW)
    return Simulated(outcome, *sides)


@pytest.fixture
def amended(simulated: Simulated) -> Simulation:
    return simulated.outcome


def test_the_policy_in_force_decides_in_a_simulation_what_is_expected_of_the_world(
    simulated: Simulated, alpha: Path
) -> None:
    """Which is what a replay decides of it."""
    expected = expected_of(alpha)
    by_rule = expected.group_by("rule").agg(
        pl.len(), pl.col("amount").cast(pl.Decimal(14, 2)).sum()
    )
    totals = {row["rule"]: row for row in simulated.outcome.totals.rows(named=True)}
    assert list(totals) == list(WEEKLY_RULES)
    assert {
        rule: (row["actions_before"], row["amount_before"])
        for rule, row in totals.items()
        if row["actions_before"]
    } == {rule: (count, amount) for rule, count, amount in by_rule.iter_rows()}
    before = simulated.before.select(expected.columns).sort(KEY)
    decided = expected.select(pl.col(n).cast(type_) for n, type_ in before.schema.items())
    assert_frame_equal(before, decided.sort(KEY))


def test_with_the_same_policy_twice_nothing_differs(alpha: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, alpha / "raw")
    same = simulate(settings, NIGERIA, draft(name="same.yaml"), *ALPHA_CYCLES[:1] * 2, now=NOW)
    assert same.differences.is_empty()
    totals = same.totals
    assert totals["actions_before"].sum() > 0
    assert totals["actions_before"].equals(totals["actions_after"].alias("actions_before"))
    assert totals["amount_before"].equals(totals["amount_after"].alias("amount_before"))


def test_the_differences_are_those_of_two_replays_under_the_two_policies(
    simulated: Simulated, alpha: Path, tmp_path: Path, ledger: Ledger
) -> None:
    amended = simulated.outcome
    settings = settings_of(tmp_path, alpha / "raw")
    due = simulate_module._due(AMENDED, settings, *ALPHA_CYCLES, False)
    after = replayed(ledger, settings, AMENDED, list(due))
    assert_frame_equal(simulated.after.sort("action_id"), after)
    before = expected_of(alpha).cast({name: after.schema[name] for name in OUTCOME})
    expected = slowly_compared(before, after)
    assert told(amended) == expected
    assert {key[1] for key in expected} == {
        "out_of_stock_charge",
        "late_fulfilment_charge",
        "order_regulation",
        "returns_charge",
    }
    counts = Counter(change for change, _, _ in expected.values())
    assert amended.changes == {"added": 0, "removed": 0, "changed": 0} | counts


def expected_of(world: Path) -> pl.DataFrame:
    """What a replay of the world's weekly slots is to decide; every cell as it is written."""
    expected = pl.read_csv(world / "expected_actions.csv", infer_schema=False)
    return expected.filter(pl.col("rule").is_in(WEEKLY_RULES)).with_columns(
        pl.col("cycle").str.to_date()
    )


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "now", "message"),
    [
        pytest.param(
            "2026-11-10",
            "2026-11-16",
            NOW,
            "2026-11-10 is a Tuesday; a cycle is named by its Monday, here 2026-11-09",
            id="no Monday",
        ),
        pytest.param(
            "2026-11-16",
            "2026-11-09",
            NOW,
            "--from 2026-11-16 is after --until 2026-11-09",
            id="the wrong order",
        ),
        pytest.param(
            "2026-10-05",
            "2026-11-09",
            NOW,
            "cycle 2026-10-05 comes before the first order items of {}, which are of the week of "
            "2026-10-19; write --from 2026-10-19 or a later cycle",
            id="before the first rows",
        ),
        pytest.param(
            "2026-11-09",
            "2026-11-16",
            parse_local("2026-11-28T08:59", NIGERIA.time_zone),
            "cycle 2026-11-16 is implemented 2026-11-28 09:00, which lies in the future: what will "
            "have happened by then nobody knows; the newest that can be simulated is 2026-11-09",
            id="an implementation in the future",
        ),
    ],
)
def test_cycles_that_cannot_be_simulated_are_refused(
    claimed: Path, tmp_path: Path, first: str, last: str, now: datetime, message: str
) -> None:
    cycles = date.fromisoformat(first), date.fromisoformat(last)
    with pytest.raises(UsageError) as refused:
        simulate(settings_of(tmp_path, claimed), NIGERIA, AMENDED, *cycles, now=now)
    assert str(refused.value) == message.format(claimed)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("country: NG", "country: GH"), "country GH, the policy in force NG"),
        (("currency: NGN", "currency: GHS"), "currency GHS, the policy in force NGN"),
        (
            ("time_zone: Africa/Lagos", "time_zone: Africa/Accra"),
            "time_zone Africa/Accra, the policy in force Africa/Lagos",
        ),
    ],
)
def test_a_draft_of_another_programme_is_refused(
    claimed: Path, tmp_path: Path, change: tuple[str, str], named: str
) -> None:
    other = draft(change, name="other.yaml")
    with pytest.raises(UsageError, match=rf"^other\.yaml has the {named}: only policies of one"):
        simulate(settings_of(tmp_path, claimed), NIGERIA, other, *CLAIMED_CYCLES, now=NOW)


def test_an_empty_warehouse_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, Marketplace().write(tmp_path / "raw"))
    with pytest.raises(WarehouseError, match="holds no order items: there is no history"):
        simulate(settings, NIGERIA, AMENDED, *CLAIMED_CYCLES, now=NOW)


def test_a_draft_may_move_the_slots_and_each_side_then_keeps_its_own_times(
    claimed: Path, tmp_path: Path
) -> None:
    moved = draft(("weekday: wednesday", "weekday: tuesday"))
    settings = settings_of(tmp_path, claimed)
    alerts = [
        [str(due.due_at)[:16] for due in simulate_module._due(policy, settings, *CLAIMED_CYCLES, False) if due.slot is Slot.WEEKLY_ALERT]
        for policy in (NIGERIA, moved)
    ]  # fmt: skip
    assert alerts == [
        ["2026-11-18 07:00", "2026-11-25 07:00"],
        ["2026-11-17 07:00", "2026-11-24 07:00"],
    ]


# --- what is left behind --------------------------------------------------------------------------


def left_in(home: Path) -> set[str]:
    """What lies in a home, but for the folder for what does not fit into memory."""
    return {path.name for path in home.iterdir()} - {"spill"}


def test_a_simulation_leaves_nothing_in_the_home(amended: Simulation, home: Path) -> None:
    assert left_in(home) == set()


def test_what_stops_a_slot_is_told_with_its_policy_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    tables = world()
    for load in tables["loads"]:
        load["loaded_through"] -= 7 * 7 * 24 * 3600 * 10**6
    settings = settings_of(tmp_path / "home", write(tables, tmp_path / "raw"))
    with pytest.raises(StaleWarehouse) as stopped:
        simulate(settings, NIGERIA, AMENDED, *CLAIMED_CYCLES, now=NOW)
    assert re.fullmatch(
        r"weekly-\w+ of 2026-11-\d\d under \S+\.yaml: the warehouse is not complete through .*",
        str(stopped.value),
    )
    assert left_in(settings.home) == set()


def test_an_interrupt_ends_both_sides_and_nothing_is_left(claimed: Path, tmp_path: Path) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    settings = settings_of(tmp_path / "home", claimed)
    with pytest.raises(KeyboardInterrupt):
        simulate(
            settings, NIGERIA, AMENDED, *CLAIMED_CYCLES, now=NOW, planned=lambda _: interrupted
        )
    assert left_in(settings.home) == set()
    running = [child.cmdline() for child in psutil.Process().children()]
    assert [command for command in running if "vibes_pipeline.answers.side" in command] == []


def test_what_a_killed_simulation_left_is_removed_by_the_next(
    claimed: Path, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "home", claimed)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_AT_ITS_FIRST_SLOT, str(settings.home), str(claimed)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.wait(60) == -signal.SIGKILL
    (left,) = (settings.home / "simulations").iterdir()
    server = psutil.Process(int((left / "postgres" / "postmaster.pid").read_text().split()[0]))
    assert server.is_running()
    for _ in range(100):
        with simulate_module._scratch(settings.home):
            pass
        if not left.exists():
            break
        # Its sides end at their next slot.
        time.sleep(0.1)
    assert not left.exists()
    assert not server.is_running() or server.status() == "zombie"


KILLED_AT_ITS_FIRST_SLOT = """
import os, signal, sys
from answers.test_simulate import AMENDED, CLAIMED_CYCLES, NIGERIA, NOW, settings_of, simulate
from pathlib import Path
home, warehouse = map(Path, sys.argv[1:])
killed = lambda: os.kill(os.getpid(), signal.SIGKILL)
simulate(settings_of(home, warehouse), NIGERIA, AMENDED, *CLAIMED_CYCLES, now=NOW, planned=lambda _: killed)
"""


def test_the_totals_for_people_are_a_table(
    amended: Simulation, capsys: pytest.CaptureFixture[str]
) -> None:
    _print_text(amended, {"page": Path("out/index.html")})
    lines = capsys.readouterr().out.splitlines()
    assert any("out_of_stock_charge" in line and "₦535,247.14" in line for line in lines)
    assert lines[-2:] == [
        "49 sellers of 69 treated otherwise; charged in all: ₦207,733.43 less",
        "out/index.html",
    ]
