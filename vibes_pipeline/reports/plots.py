"""The plots of a week's report: which figures of the week each of them shows, and in which form.

How plots are drawn is `svg`'s. Importing this loads the plotting library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import gcd
from typing import Any

import altair as alt
import polars as pl

from vibes_pipeline.policy.scalars import short
from vibes_pipeline.reports import svg
from vibes_pipeline.reports.figures import BandFigures, Week
from vibes_pipeline.rules import CHARGES, Rule

# Bins of the rates: this many at least up to the last edge, and as far again as that many edges.
BINS_TO_LAST_EDGE = 16
EDGES_SHOWN = 3


def charges(week: Week) -> svg.Plot:
    """Naira charged by week, stacked by rule."""
    symbol = week.policy.currency_symbol
    rules = [rule for rule in CHARGES if any(rule in of for of in week.charges.values())]
    titles = {rule: week.policy.rules[Rule(rule)].title for rule in rules}
    labels = {cycle: f"{cycle.day} {cycle:%b}" for cycle in week.charges}
    frame = pl.DataFrame(
        [
            (labels[cycle], number, svg.short(titles[rule]), float(of_week[rule]))
            for cycle, of_week in week.charges.items()
            for number, rule in enumerate(rules)
            if rule in of_week
        ],
        schema={
            "week": pl.String,
            "number": pl.Int32,
            "rule": pl.String,
            "amount": pl.Float64,
        },
        orient="row",
    )
    sums = {cycle: sum(of.values(), Decimal(0)) for cycle, of in week.charges.items()}
    totals = pl.DataFrame(
        {
            "week": list(labels.values()),
            "amount": [float(amount) for amount in sums.values()],
            "label": [svg.rounded(amount, symbol) for amount in sums.values()],
        }
    )
    money = f"'{symbol}' + format(datum.value, '~s')"

    def drawing(width: int) -> Any:
        across = alt.X(
            "week:N",
            scale=alt.Scale(domain=list(labels.values())),
            # On a phone the month stands below the day.
            axis=alt.Axis(
                labelAngle=0,
                title=None,
                labelExpr="split(datum.label, ' ')" if width == svg.NARROW else "datum.label",
            ),
        )
        bars = (
            alt.Chart(frame)
            .mark_bar(stroke=svg.PAPER, strokeWidth=1)
            .encode(
                x=across,
                y=alt.Y("sum(amount):Q", axis=alt.Axis(title=None, labelExpr=money, tickCount=5)),
                order=alt.Order("number:O"),
                color=alt.Color(
                    "rule:N",
                    sort=[svg.short(titles[rule]) for rule in rules],
                    scale=alt.Scale(
                        domain=[svg.short(titles[rule]) for rule in rules],
                        range=[f"var(--c{CHARGES.index(rule) + 1})" for rule in rules],
                    ),
                    legend=alt.Legend(
                        title=None, orient="top", columns=2 if width == svg.NARROW else len(rules)
                    ),
                ),
            )
        )
        above = (
            alt.Chart(totals.filter(pl.col("amount") > 0))
            .mark_text(dy=-7, fontSize=10 if width == svg.NARROW else 12, color=svg.INK)
            .encode(x=across, y="amount:Q", text="label:N")
        )
        return (bars + above).properties(width=width, height=260)

    return svg.plot(
        drawing,
        svg.WIDE,
        summary=(
            f"Charges of the last {len(week.charges)} weeks by rule, reversed ones left out; "
            f"{week.policy.money(sums[week.cycle])} in the week of {svg.day(week.cycle)}."
        ),
        header=["week of", *(svg.short(titles[rule]) for rule in rules), "together"],
        rows=[
            [
                svg.day(cycle),
                *(week.policy.money(of.get(rule, Decimal(0))) for rule in rules),
                week.policy.money(sums[cycle]),
            ]
            for cycle, of in week.charges.items()
        ],
    )


def bands(figures: Sequence[BandFigures]) -> svg.Plot:
    """Sellers by row of the order regulation's table."""
    rows = [
        (f.label, f.sellers, svg.PLAIN if f.band is None else f"var(--b{min(f.band, 3)})")
        for f in figures
    ]
    return svg.plot(
        svg.bars(rows),
        svg.HALF,
        summary="; ".join(f"{f.label}: {f.sellers:,}" for f in figures) + ".",
        header=["cancellation rate", "daily orders", "sellers"],
        rows=[[f.label, f.limits, f"{f.sellers:,}"] for f in figures],
    )


def rates(week: Week) -> svg.Plot:
    """The distribution of the cancellation rates, with the edges of the bands."""
    edges = [
        band.up_to_pct
        for band in week.policy.order_regulation.bands.on(week.cycle)
        if band.up_to_pct is not None
    ]
    cancelling = week.rates.filter(pl.col("cancellation_rate_pct") > 0)
    spotless = week.rates.height - cancelling.height
    frame, step, end = _binned(cancelling, edges)
    ticks = sorted({0.0, *(float(e) for e in edges), *(end / 3 * n for n in (1, 2, 3))})

    def drawing(width: int) -> Any:
        along = alt.X(
            "from:Q",
            bin="binned",
            scale=alt.Scale(domain=[0, end], nice=False),
            axis=alt.Axis(
                title="cancellation rate",
                values=ticks,
                labelExpr="datum.value + '%'",
                grid=False,
                labelOverlap="greedy",
            ),
        )
        bars = (
            alt.Chart(frame)
            .mark_bar(stroke=svg.PAPER, strokeWidth=0.5)
            .encode(
                x=along,
                x2="to:Q",
                y=alt.Y("sellers:Q", axis=alt.Axis(title="sellers", tickMinStep=1, tickCount=5)),
                order=alt.Order("band:O"),
                color=alt.Color("colour:N", scale=None),
            )
        )
        # Where edges lie close, each name stands below the one before.
        below = 12 if width == svg.NARROW else 0
        drawn = [_edge(edge, number * below) for number, edge in enumerate(edges)]
        return alt.layer(bars, *drawn).properties(width=width, height=230)

    counts = frame.group_by("from", "to", maintain_order=True).agg(pl.col("sellers").sum())
    return svg.plot(
        drawing,
        svg.HALF,
        summary=(
            f"{cancelling.height:,} of {week.rates.height:,} sellers that may be regulated had "
            f"cancellations; the other {spotless:,} (rate 0%) are not drawn. "
            f"The last bar holds all from {end - step:g}% up."
        ),
        header=["cancellation rate", "sellers"],
        rows=[
            ["0%", f"{spotless:,}"],
            *(
                [
                    f"{start:g}% and more" if stop >= end else f"{start:g}% to below {stop:g}%",
                    f"{sellers:,}",
                ]
                for start, stop, sellers in counts.sort("from").iter_rows()
            ),
        ],
    )


def occurrences(week: Week) -> svg.Plot:
    """Regulated products by the occurrence that this week's regulation is."""
    last = max(number for number in week.occurrences if number is not None)
    names = {
        number: "not counted"
        if number is None
        else f"{_ordinal(number)}{' or later' if number == last else ''}"
        for number in week.occurrences
    }
    rows = [
        (
            names[number],
            products,
            svg.PLAIN if number is None else "var(--b3)" if number == last else "var(--b1)",
        )
        for number, products in week.occurrences.items()
    ]
    return svg.plot(
        svg.bars(rows),
        svg.HALF,
        summary="; ".join(f"{name}: {count:,}" for name, count, _ in rows) + ".",
        header=["occurrence", "products"],
        rows=[[name, f"{count:,}"] for name, count, _ in rows],
    )


def by_claims(week: Week) -> svg.Plot:
    """What upheld claims withdrew or reversed, by rule."""
    rows = [
        (svg.short(week.policy.rules[Rule(c.rule)].title), c.withdrawn + c.reversed, "var(--c1)")
        for c in week.by_claims
    ]
    return svg.plot(
        svg.bars(rows),
        svg.HALF,
        summary="; ".join(f"{name}: {count:,}" for name, count, _ in rows) + ".",
        header=["rule", "withdrawn", "reversed", "credited"],
        rows=[
            [
                week.policy.rules[Rule(c.rule)].title,
                f"{c.withdrawn:,}",
                f"{c.reversed:,}",
                week.policy.money(c.credited),
            ]
            for c in week.by_claims
        ],
    )


def _edge(edge: Decimal, y: int) -> Any:
    """One edge between bands, drawn down the plot, with its name `y` pixels from the top."""
    at = alt.Chart(pl.DataFrame({"at": [float(edge)], "label": [f"{short(edge)}%"]})).encode(
        x="at:Q"
    )
    line = at.mark_rule(strokeDash=[4, 3], color=svg.INK, strokeWidth=1)
    name = at.mark_text(align="left", baseline="top", dx=3, color=svg.INK, fontSize=11)
    return line + name.encode(y=alt.value(y), text="label:N")


def _binned(rates: pl.DataFrame, edges: Sequence[Decimal]) -> tuple[pl.DataFrame, float, float]:
    """Sellers by bin and band (`from`, `to`, `band`, `sellers`, `colour`), the bin and the end.

    Every edge lies between two bins. What lies beyond the end is in the last bin.
    """
    exact = [int(edge * 10_000) for edge in edges] or [10_000]
    step = gcd(*exact)
    step //= next(
        n for n in (1, 2, 5, 10, 20, 50, 100) if exact[-1] * n >= BINS_TO_LAST_EDGE * step
    )
    end = EDGES_SHOWN * exact[-1] // step * step
    at = (pl.col("cancellation_rate_pct") * 10_000).cast(pl.Int64) // step * step
    start = pl.min_horizontal(at, pl.lit(end - step))
    frame = (
        rates.with_columns(start.alias("start"))
        .group_by("start", "band")
        .agg(pl.len().alias("sellers"))
        .sort("start", "band")
        .select(
            (pl.col("start") / 10_000).alias("from"),
            ((pl.col("start") + step) / 10_000).alias("to"),
            "band",
            "sellers",
            ("var(--b" + pl.min_horizontal("band", pl.lit(3)).cast(pl.String) + ")").alias(
                "colour"
            ),
        )
    )
    return frame, step / 10_000, end / 10_000


def _ordinal(number: int) -> str:
    endings: Mapping[int, str] = {1: "st", 2: "nd", 3: "rd"}
    teen = 10 < number % 100 < 20
    return f"{number}{'th' if teen else endings.get(number % 10, 'th')}"
