"""The page of a simulation: what a draft policy would have changed, for the policy's owners (§16).

Ids are sellers' text and hostile: they are cleaned and escaped by the templates, and in no plot.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from vibes_pipeline.reports.page import common, environment, replace_page
from vibes_pipeline.reports.simulation import Simulation


def write_page(simulation: Simulation, file: Path, written_at: datetime) -> None:
    """Write the page of a simulation in one step."""
    replace_page(file, render(simulation, written_at))


def render(simulation: Simulation, written_at: datetime) -> str:
    """The page of a simulation."""
    # The plotting library takes half a second to load: only a page pays for it.
    from vibes_pipeline.reports import simulation_plots as plots

    is_charged = simulation.weeks.select("amount_before", "amount_after").sum().row(0) != (0, 0)
    shown = {
        "by_rule": plots.by_rule(simulation) if is_charged else None,
        "by_week": plots.by_week(simulation) if is_charged else None,
        "sellers": plots.sellers(simulation) if simulation.differences.height else None,
    }
    return (
        environment(simulation.before)
        .get_template("simulation.html")
        .render(
            simulation=simulation,
            plots=shown,
            written_at=written_at,
            **common(simulation.before),
        )
    )
