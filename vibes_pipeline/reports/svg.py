"""How plots are drawn: Vega-Lite without a browser, as SVG text to be set into a page.

Here belongs what all plots share: widths, colours, names, horizontal bars. Each is drawn twice, for
a wide page and for a phone, so that no text is scaled until it is too small to read. Colours are
the page's CSS variables: one drawing serves light, dark and print. Importing this loads the
plotting library; only what makes a page does so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from textwrap import wrap
from typing import Any

import altair as alt
import polars as pl
import vl_convert as vlc

WIDE, HALF, NARROW = 940, 460, 330
# The page's own fonts are set by its style sheet; this one is what labels are measured by.
FONT = "Helvetica, Arial, sans-serif"
INK, MUTED, LINE, PAPER, PLAIN = (
    f"var(--{name})" for name in ("ink", "muted", "line", "paper", "plain")
)
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
    legend=alt.LegendConfig(
        labelColor=INK, labelFontSize=12, labelLimit=0, symbolType="square", columnPadding=18
    ),
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

    @property
    def columns(self) -> list[tuple[str, str]]:
        """The table's columns, as the templates take them: what is counted, then figures."""
        name, *figures = self.header
        return [(name, ""), *((figure, "n") for figure in figures)]


def bars(rows: Sequence[tuple[str, int, str]]) -> Drawing:
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


def plot(
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


def short(title: str) -> str:
    """A rule's title where there is little room for it."""
    short = title.removesuffix(" Charge").removeprefix("Cancellation of ")
    return short[:1].upper() + short[1:]


def rounded(amount: Decimal, symbol: str) -> str:
    """`₦816k`, `₦1.24M`: three digits, to stand above a bar."""
    for size, letter in ((1_000_000_000, "bn"), (1_000_000, "M"), (1_000, "k")):
        if amount >= size:
            return f"{symbol}{amount / size:.3g}{letter}"
    return f"{symbol}{amount:.3g}"


def day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"
