"""The plots of a simulation: naira under both policies, and how sellers fare under the draft.

How plots are drawn is `svg`'s. Importing this loads the plotting library.
"""

from __future__ import annotations

from decimal import Decimal
from textwrap import wrap
from typing import Any

import altair as alt
import polars as pl

from vibes_pipeline.reports import svg
from vibes_pipeline.reports.simulation import Simulation
from vibes_pipeline.rules import CHARGES, Rule

IN_FORCE, DRAFT = "in force", "draft"
COLOURS = {IN_FORCE: svg.PLAIN, DRAFT: "var(--b2)"}
LESS, MORE = "var(--c3)", "var(--c5)"
# Edges of the sellers' classes, in units of the currency, up and down from 0.
STEPS = tuple(Decimal(10) ** power for power in range(3, 7))


def by_rule(simulation: Simulation) -> svg.Plot:
    """Naira charged by rule, under both policies."""
    money, symbol = simulation.before.money, simulation.before.currency_symbol
    rows = [row for row in simulation.totals.rows(named=True) if row["rule"] in CHARGES]
    shown = [row for row in rows if row["amount_before"] or row["amount_after"]]
    titles = {
        row["rule"]: svg.short(simulation.before.rules[Rule(row["rule"])].title) for row in shown
    }
    frame = pl.DataFrame(
        [
            (
                "\n".join(wrap(titles[row["rule"]], svg.NAME_WIDTH)),
                policy,
                float(row[amount]),
                svg.rounded(row[amount], symbol),
            )
            for row in shown
            for policy, amount in ((IN_FORCE, "amount_before"), (DRAFT, "amount_after"))
        ],
        schema={"rule": pl.String, "policy": pl.String, "amount": pl.Float64, "label": pl.String},
        orient="row",
    )
    longest = max([*frame["amount"], 1.0])

    def drawing(width: int) -> Any:
        base = alt.Chart(frame).encode(
            y=alt.Y(
                "rule:N",
                sort=list(dict.fromkeys(frame["rule"])),
                scale=alt.Scale(paddingInner=0.3),
                axis=alt.Axis(
                    title=None,
                    labelExpr="split(datum.label, '\\n')",
                    labelLimit=width // 2,
                    labelPadding=6,
                    ticks=False,
                    domain=False,
                ),
            ),
            yOffset=alt.YOffset("policy:N", sort=list(COLOURS)),
            x=alt.X("amount:Q", axis=None, scale=alt.Scale(domain=[0, longest * 1.2])),
        )
        bars = base.mark_bar().encode(color=_of_policy())
        labels = base.mark_text(align="left", dx=5, color=svg.INK).encode(text="label:N")
        return (bars + labels).properties(width=width, height=52 * len(shown) + 30)

    return svg.plot(
        drawing,
        svg.WIDE,
        summary=(
            f"Naira charged by rule: {money(_total(simulation, 'before'))} under the policy in "
            f"force, {money(_total(simulation, 'after'))} under the draft."
        ),
        header=["rule", "in force", "draft", "more"],
        rows=[
            [
                titles[row["rule"]],
                money(row["amount_before"]),
                money(row["amount_after"]),
                money(row["amount_after"] - row["amount_before"]),
            ]
            for row in shown
        ],
    )


def by_week(simulation: Simulation) -> svg.Plot:
    """Naira charged by observed week, under both policies."""
    money, symbol = simulation.before.money, simulation.before.currency_symbol
    weeks = simulation.weeks
    frame = pl.concat(
        weeks.select(
            # Noon, so that no zone of the drawing program moves it to another day.
            pl.col("cycle").dt.strftime("%Y-%m-%dT12:00:00").alias("week"),
            pl.lit(policy).alias("policy"),
            pl.col(amount).cast(pl.Float64).alias("amount"),
        )
        for policy, amount in ((IN_FORCE, "amount_before"), (DRAFT, "amount_after"))
    )

    def drawing(width: int) -> Any:
        shown = min(weeks.height, 5 if width == svg.NARROW else 9)
        ticks = weeks["cycle"].gather_every(-(-weeks.height // shown)).to_list()
        lines = alt.Chart(frame).encode(
            x=alt.X(
                "week:T",
                # Room between the first week and the axis of the naira.
                scale=alt.Scale(padding=24),
                axis=alt.Axis(
                    title=None,
                    format="%-d %b",
                    values=[f"{tick}T12:00:00" for tick in ticks],
                    grid=False,
                ),
            ),
            y=alt.Y(
                "amount:Q",
                axis=alt.Axis(
                    title=None, tickCount=5, labelExpr=f"'{symbol}' + format(datum.value, '~s')"
                ),
            ),
            color=_of_policy(),
        )
        return (
            lines.mark_line(strokeWidth=2) + lines.mark_point(filled=True, size=36, opacity=1)
        ).properties(width=width, height=230)

    return svg.plot(
        drawing,
        svg.WIDE,
        summary=f"Naira charged by observed week under both policies, {weeks.height} weeks.",
        header=["week of", "in force", "draft", "more"],
        rows=[
            [svg.day(cycle), money(before), money(after), money(after - before)]
            for cycle, before, after in weeks.iter_rows()
        ],
    )


def sellers(simulation: Simulation) -> svg.Plot:
    """How many sellers pay how much more or less under the draft, of those treated otherwise."""
    symbol = simulation.before.currency_symbol
    nets = simulation.by_seller["net"]
    edges = [Decimal(0), *STEPS]
    classes: list[tuple[str, int, str]] = []
    for sign, word, colour in ((-1, "less", LESS), (1, "more", MORE)):
        sizes = (nets * sign).to_frame("size")
        part = []
        for n, edge in enumerate(edges):
            upper = edges[n + 1] if n + 1 < len(edges) else None
            is_in = (pl.col("size") > edge) & (True if upper is None else pl.col("size") <= upper)
            name = _class(edge, upper, word, symbol)
            part.append((name, sizes.filter(is_in).height, colour))
        classes += reversed(part) if sign < 0 else part
    same = nets.filter(nets == 0).len()
    middle = [("the same naira", same, svg.PLAIN)] if same else []
    half = len(edges)
    rows = _without_empty_ends([*classes[:half], *middle, *classes[half:]])
    return svg.plot(
        svg.bars(rows),
        svg.HALF,
        summary="; ".join(f"{name}: {count:,}" for name, count, _ in rows) + ".",
        header=["naira under the draft", "sellers"],
        rows=[[name, f"{count:,}"] for name, count, _ in rows],
    )


def _class(above: Decimal, up_to: Decimal | None, word: str, symbol: str) -> str:
    """`₦1k to ₦10k less`, `over ₦1M more`."""
    if up_to is None:
        return f"over {svg.rounded(above, symbol)} {word}"
    if not above:
        return f"up to {svg.rounded(up_to, symbol)} {word}"
    return f"{svg.rounded(above, symbol)} to {svg.rounded(up_to, symbol)} {word}"


def _without_empty_ends(rows: list[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    held = [n for n, (_, count, _) in enumerate(rows) if count]
    return rows[held[0] : held[-1] + 1] if held else []


def _of_policy() -> alt.Color:
    return alt.Color(
        "policy:N",
        sort=list(COLOURS),
        scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
        legend=alt.Legend(title=None, orient="top"),
    )


def _total(simulation: Simulation, side: str) -> Decimal:
    return sum(simulation.totals[f"amount_{side}"], Decimal(0))
