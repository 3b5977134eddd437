"""The report's plots as SVG text: drawn by Vega-Lite without a browser, to be set into the page.

Each is drawn twice, for a wide page and for a phone, so that no text is scaled until it is too
small to read. Colours are the page's CSS variables: one drawing serves light, dark and print.
Importing this loads the plotting library; only what makes a report does so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import gcd
from textwrap import wrap
from typing import Any

import altair as alt
import polars as pl
import vl_convert as vlc

from vibes_pipeline.reports.figures import Week
from vibes_pipeline.rules import CHARGES, Rule

WIDE, HALF, NARROW = 940, 460, 330
# The page's own fonts are set by its style sheet; this one is what labels are measured by.
FONT = "Helvetica, Arial, sans-serif"
INK, MUTED, LINE, PAPER, PLAIN = (
    f"var(--{name})" for name in ("ink", "muted", "line", "paper", "plain")
)
# Bins of the rates: this many at least up to the last edge, and as far again as that many edges.
BINS_TO_LAST_EDGE = 16
EDGES_SHOWN = 3
# Characters per line of a horizontal bar's name.
NAME_WIDTH = 24

STYLE = alt.Config(
    background="transparent",
    font=FONT,
    padding=2,
    aria=False,
    view=alt.ViewConfig(stroke=None),
    axis=alt.AxisConfig(
        labelColor=MUTED,
        titleColor=MUTED,
        domainColor=LINE,
        tickColor=LINE,
        gridColor=LINE,
        labelFontSize=12,
        titleFontSize=12,
        titleFontWeight="normal",
    ),
    axisY=alt.AxisConfig(labelColor=INK),
    legend=alt.LegendConfig(labelColor=INK, labelFontSize=12, labelLimit=0, symbolType="square"),
    text=alt.MarkConfig(fontSize=12),
)

Drawing = Callable[[int], Any]


@dataclass(frozen=True)
class Plot:
    """One plot in both widths, what it shows in a sentence, and its figures as a table."""

    wide: str
    narrow: str
    summary: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]


def charges(week: Week) -> Plot:
    """Naira charged by week, stacked by rule."""
    symbol = week.policy.currency_symbol
    rules = [rule for rule in CHARGES if any(rule in of for of in week.charges.values())]
    titles = {rule: week.policy.rules[Rule(rule)].title for rule in rules}
    labels = {cycle: f"{cycle.day} {cycle:%b}" for cycle in week.charges}
    frame = pl.DataFrame(
        [
            (labels[cycle], number, _short(titles[rule]), float(of_week[rule]))
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
            "label": [_rounded(amount, symbol) for amount in sums.values()],
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
                labelExpr="split(datum.label, ' ')" if width == NARROW else "datum.label",
            ),
        )
        bars = (
            alt.Chart(frame)
            .mark_bar(stroke=PAPER, strokeWidth=1)
            .encode(
                x=across,
                y=alt.Y("sum(amount):Q", axis=alt.Axis(title=None, labelExpr=money, tickCount=5)),
                order=alt.Order("number:O"),
                color=alt.Color(
                    "rule:N",
                    sort=[_short(titles[rule]) for rule in rules],
                    scale=alt.Scale(
                        domain=[_short(titles[rule]) for rule in rules],
                        range=[f"var(--c{CHARGES.index(rule) + 1})" for rule in rules],
                    ),
                    legend=alt.Legend(
                        title=None, orient="top", columns=2 if width == NARROW else len(rules)
                    ),
                ),
            )
        )
        above = (
            alt.Chart(totals.filter(pl.col("amount") > 0))
            .mark_text(dy=-7, fontSize=10 if width == NARROW else 12, color=INK)
            .encode(x=across, y="amount:Q", text="label:N")
        )
        return (bars + above).properties(width=width, height=260)

    return _plot(
        drawing,
        WIDE,
        summary=(
            f"Charges of the last {len(week.charges)} weeks by rule, reversed ones left out; "
            f"{week.policy.money(sums[week.cycle])} in the week of {_day(week.cycle)}."
        ),
        header=["week of", *(_short(titles[rule]) for rule in rules), "together"],
        rows=[
            [
                _day(cycle),
                *(week.policy.money(of.get(rule, Decimal(0))) for rule in rules),
                week.policy.money(sums[cycle]),
            ]
            for cycle, of in week.charges.items()
        ],
    )


def bands(week: Week) -> Plot:
    """Active sellers by row of the order regulation's table."""
    rows = [
        (f.label, f.sellers, PLAIN if f.band is None else f"var(--b{min(f.band, 3)})")
        for f in week.bands
    ]
    return _plot(
        _bars(rows),
        HALF,
        summary="; ".join(f"{f.label}: {f.sellers:,}" for f in week.bands) + ".",
        header=["cancellation rate", "daily orders", "sellers"],
        rows=[[f.label, f.limits, f"{f.sellers:,}"] for f in week.bands],
    )


def rates(week: Week) -> Plot:
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
            .mark_bar(stroke=PAPER, strokeWidth=0.5)
            .encode(
                x=along,
                x2="to:Q",
                y=alt.Y("sellers:Q", axis=alt.Axis(title="sellers", tickMinStep=1, tickCount=5)),
                order=alt.Order("band:O"),
                color=alt.Color("colour:N", scale=None),
            )
        )
        # Where edges lie close, each name stands below the one before.
        below = 12 if width == NARROW else 0
        drawn = [_edge(edge, number * below) for number, edge in enumerate(edges)]
        return alt.layer(bars, *drawn).properties(width=width, height=230)

    counts = frame.group_by("from", "to", maintain_order=True).agg(pl.col("sellers").sum())
    return _plot(
        drawing,
        HALF,
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


def occurrences(week: Week) -> Plot:
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
            PLAIN if number is None else "var(--b3)" if number == last else "var(--b1)",
        )
        for number, products in week.occurrences.items()
    ]
    return _plot(
        _bars(rows),
        HALF,
        summary="; ".join(f"{name}: {count:,}" for name, count, _ in rows) + ".",
        header=["occurrence", "products"],
        rows=[[name, f"{count:,}"] for name, count, _ in rows],
    )


def by_claims(week: Week) -> Plot:
    """What upheld claims withdrew or reversed, by rule."""
    rows = [
        (_short(week.policy.rules[Rule(c.rule)].title), c.withdrawn + c.reversed, "var(--c1)")
        for c in week.by_claims
    ]
    return _plot(
        _bars(rows),
        HALF,
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


def _bars(rows: Sequence[tuple[str, int, str]]) -> Drawing:
    """Horizontal bars between name and count; a row is name, count, colour."""
    frame = pl.DataFrame(
        [("\n".join(wrap(name, NAME_WIDTH)), count, colour) for name, count, colour in rows],
        schema={"name": pl.String, "count": pl.Int64, "colour": pl.String},
        orient="row",
    )
    longest = max([*frame["count"], 1])

    def drawing(width: int) -> Any:
        base = alt.Chart(frame).encode(
            y=alt.Y(
                "name:N",
                sort=list(frame["name"]),
                axis=alt.Axis(
                    title=None,
                    labelExpr="split(datum.label, '\\n')",
                    labelLimit=width // 2,
                    labelPadding=6,
                    ticks=False,
                    domain=False,
                ),
            ),
            x=alt.X("count:Q", axis=None, scale=alt.Scale(domain=[0, longest * 1.12])),
        )
        bars = base.mark_bar(height={"band": 0.72}).encode(color=alt.Color("colour:N", scale=None))
        counts = base.mark_text(align="left", dx=5, color=INK).encode(
            text=alt.Text("count:Q", format=",")
        )
        return (bars + counts).properties(width=width, height=36 * frame.height)

    return drawing


def _edge(edge: Decimal, y: int) -> Any:
    """One edge between bands, drawn down the plot, with its name `y` pixels from the top."""
    at = alt.Chart(pl.DataFrame({"at": [float(edge)], "label": [f"{edge.normalize():f}%"]})).encode(
        x="at:Q"
    )
    line = at.mark_rule(strokeDash=[4, 3], color=INK, strokeWidth=1)
    name = at.mark_text(align="left", baseline="top", dx=3, color=INK, fontSize=11)
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


def _plot(
    drawing: Drawing,
    width: int,
    *,
    summary: str,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
) -> Plot:
    return Plot(_svg(drawing(width)), _svg(drawing(NARROW)), summary, header, rows)


def _svg(chart: Any) -> str:
    """The chart as SVG that fits a width, its title and axes included."""
    fitting = alt.AutoSizeParams(type="fit", contains="padding")
    # Set together: each of a chart's own methods copies the whole chart.
    whole = chart.properties(autosize=fitting, config=STYLE)
    svg: str = vlc.vegalite_to_svg(whole.to_json(validate=True))
    return svg


def _short(title: str) -> str:
    """A rule's title where there is little room for it."""
    short = title.removesuffix(" Charge").removeprefix("Cancellation of ")
    return short[:1].upper() + short[1:]


def _rounded(amount: Decimal, symbol: str) -> str:
    """`₦816k`, `₦1.24M`: three digits, to stand above a bar."""
    for size, letter in ((1_000_000_000, "bn"), (1_000_000, "M"), (1_000, "k")):
        if amount >= size:
            return f"{symbol}{amount / size:.3g}{letter}"
    return f"{symbol}{amount:.3g}"


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _ordinal(number: int) -> str:
    endings: Mapping[int, str] = {1: "st", 2: "nd", 3: "rd"}
    teen = 10 < number % 100 < 20
    return f"{number}{'th' if teen else endings.get(number % 10, 'th')}"
