"""The page of a simulation: its figures are those of the differences, and it holds nothing it should not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from policy.amendments import amended_policy
from reports.made_simulation import FIRST, LAST, action, charge, simulated
from rules.marketplace import NIGERIA

from vibes_pipeline.reports import simulation_plots as plots
from vibes_pipeline.reports.simulation import Amendment, Simulation
from vibes_pipeline.reports.simulation_page import render
from vibes_pipeline.rules import WEEKLY_RULES

SCRIPT = "<script>alert(1)</script>"
WRITTEN_AT = datetime(2026, 11, 27, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    """One seller pays less, one more, one has another limit, one fares the same."""
    limit = {"band": 1, "pending_to_shipped_limit": 20}
    same = charge("S-same", "I-same", "700.00")
    return simulated(
        [
            same,
            charge("S-less", "I-less", "2500.00"),
            charge("S-less", "I-gone", "1000.00"),
            charge("S-same", "I-reversed", "2500.00", state="reversed"),
            action("order_regulation", "S-limit", daily_order_limit=5, **limit),
        ],
        [
            same,
            charge("S-less", "I-less", "2000.00"),
            charge(SCRIPT, "I-new", "300.00", cycle=LAST),
            charge("S-same", "I-reversed", "2000.00", state="reversed"),
            action("order_regulation", "S-limit", daily_order_limit=4, **limit),
        ],
    )


def test_an_action_is_added_removed_or_changed_and_counts_if_it_stands(
    simulation: Simulation,
) -> None:
    told = simulation.differences.select(
        "cycle", "rule", "subject", "change", "amount_before", "amount_after"
    )
    assert told.rows() == [
        (FIRST, "order_regulation", "S-limit", "changed", None, None),
        (FIRST, "out_of_stock_charge", "I-gone", "removed", Decimal("1000.00"), None),
        (FIRST, "out_of_stock_charge", "I-less", "changed", Decimal(2500), Decimal(2000)),
        (LAST, "out_of_stock_charge", "I-new", "added", None, Decimal("300.00")),
    ]
    limits = simulation.differences.select("daily_order_limit_before", "daily_order_limit_after")
    assert limits.row(0) == (5, 4)
    assert simulation.changes == {"added": 1, "removed": 1, "changed": 2}


def test_what_a_claim_reversed_under_one_policy_alone_is_a_difference_and_its_state_says_why() -> (
    None
):
    reversed_, standing = (
        [charge("S-1", "I-1", "900.00", state=state)] for state in ("reversed", "implemented")
    )
    (row,) = simulated(reversed_, standing).differences.rows(named=True)
    assert (row["change"], row["amount_before"], row["amount_after"]) == ("added", None, 900)
    assert (row["state_before"], row["state_after"]) == ("reversed", "implemented")


def test_totals_sellers_and_weeks_tie_to_the_actions(simulation: Simulation) -> None:
    totals = {row["rule"]: row for row in simulation.totals.rows(named=True)}
    assert list(totals) == list(WEEKLY_RULES)
    charged = totals["out_of_stock_charge"]
    assert (charged["actions_before"], charged["actions_after"]) == (3, 3)
    assert (charged["amount_before"], charged["amount_after"]) == (4200, 3000)
    assert totals["returns_charge"]["amount_after"] == 0
    assert simulation.weeks.rows() == [(FIRST, 4200, 2700), (LAST, 0, 300)]
    assert simulation.net == -1200
    sellers = [(row["seller_id"], row["net"]) for row in simulation.most_affected]
    assert sellers == [("S-less", -1500), (SCRIPT, 300), ("S-limit", 0)]
    assert simulation.sellers == 4


def test_a_draft_s_amendments_are_told_value_by_value_from_the_day_they_hold() -> None:
    draft = amended_policy(
        ("out_of_stock_charge.cap", "2026-10-19", "3000"),
        (
            "order_regulation.bands",
            "2026-11-02",
            "[{up_to_pct: 2.5, includes_upper: false}, "
            "{daily_order_limit: 3, pending_to_shipped_limit: 4}]",
        ),
    )
    told = replace(simulated([], []), after=draft).amendments
    assert all(isinstance(amendment, Amendment) for amendment in told)
    values = {a.key: (str(a.from_), a.before, a.after) for a in told}
    assert values["out_of_stock_charge.cap"] == ("2026-10-19", "2,500", "3,000")
    assert values["order_regulation.bands[1].daily_share_pct"] == ("2026-11-02", "75", None)
    assert values["order_regulation.bands[1].daily_order_limit"] == ("2026-11-02", None, "3")
    assert "order_regulation.bands[0].up_to_pct" not in values, "it stays as it is"
    assert replace(simulated([], []), after=NIGERIA).amendments == []


# --- the page -------------------------------------------------------------------------------------


def test_the_page_shows_the_figures_and_that_nothing_was_sent(simulation: Simulation) -> None:
    page = render(simulation, WRITTEN_AT)
    assert '<dd class="figure" id="affected">3</dd>' in page
    assert '<dd class="figure" id="net">−₦1,200.00</dd>' in page
    assert "Nothing here was sent to sellers or charged" in page
    assert "late orders are not part of it" in page
    assert "late orders are part of it" in render(
        replace(simulation, with_late_orders=True), WRITTEN_AT
    )


def test_a_page_loads_nothing_and_what_sellers_wrote_runs_nowhere(simulation: Simulation) -> None:
    page = render(simulation, WRITTEN_AT)
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link|<img|@import|url\(", page)
    assert page.count("&lt;script&gt;alert(1)") == 1


@pytest.mark.parametrize("actions", [[], [charge("S-1", "I-1", "900.00")]], ids=["none", "same"])
def test_there_is_a_page_where_nothing_differs(actions: list[dict[str, Any]]) -> None:
    page = render(simulated(actions, actions), WRITTEN_AT)
    assert "Nobody: both policies decide the same in these weeks." in page


def test_every_seller_is_in_one_class_of_naira() -> None:
    changes = ["0.01", "1000.00", "1000.01", "-10000.00", "-2000000.00", "5000.00"]
    before = [charge(f"S{n}", f"I{n}", "3000000.00") for n in range(len(changes))]
    after = [{**row, "amount": row["amount"] + Decimal(c)} for row, c in zip(before, changes)]  # noqa: B905
    assert plots.sellers(simulated(before, after)).rows == [
        ["over ₦1M less", "1"],
        ["₦100k to ₦1M less", "0"],
        ["₦10k to ₦100k less", "0"],
        ["₦1k to ₦10k less", "1"],
        ["up to ₦1k less", "0"],
        ["up to ₦1k more", "2"],
        ["₦1k to ₦10k more", "2"],
    ]
