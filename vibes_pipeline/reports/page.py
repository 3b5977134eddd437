"""The page of a week and the list of all weeks: HTML files that load nothing else.

Ids are sellers' text and hostile: they are cleaned, escaped by the templates, and never in a URL.
No shop names, addresses or customers are on a page.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from pathlib import Path
from textwrap import shorten

from babel import Locale
from babel.dates import format_date, format_datetime
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vibes_pipeline.exports.files import check_place
from vibes_pipeline.files import put_into_place
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
from vibes_pipeline.ledger.states import State
from vibes_pipeline.listing import counted
from vibes_pipeline.notices.cleaning import clean
from vibes_pipeline.notices.wording import span_of_days
from vibes_pipeline.policy import Policy
from vibes_pipeline.reports.figures import Cycle, Week
from vibes_pipeline.reports.week import decided_cycles, read_week
from vibes_pipeline.settings import Settings

# Where the web UI shows the folder of reports.
ADDRESS = "/reports"
# What became of actions besides being implemented; shown where there are any.
OTHER_STATES = (
    State.REVERSED,
    State.WITHDRAWN,
    State.EXPIRED,
    State.ALERTED,
    State.PROPOSED,
)
# A page is read, not searched: longer tables are cut and say which export has the rest.
ROWS_SHOWN = 40
LONGEST_CELL = 160


def report_file(settings: Settings, policy: Policy, cycle: date) -> Path:
    """Where a cycle's page is kept."""
    return settings.reports / policy.country / f"{cycle.isoformat()}.html"


def weeks_address(policy: Policy) -> str:
    """Where the web UI shows the list of all weeks, on its own host."""
    return f"{ADDRESS}/{policy.country}/"


def report_address(policy: Policy, cycle: date) -> str:
    """Where the web UI shows a cycle's page."""
    return f"{weeks_address(policy)}{cycle.isoformat()}.html"


def write_report(
    ledger: Ledger, settings: Settings, policy: Policy, cycle: date, written_at: datetime
) -> tuple[Week, Path]:
    """Write a cycle's page and the list of all weeks beside it, each in one step."""
    week = read_week(ledger, settings, policy, cycle, written_at)
    file = report_file(settings, policy, cycle)
    replace_page(file, render(week))
    write_weeks(ledger, settings, policy)
    return week, file


def write_weeks(ledger: Ledger, settings: Settings, policy: Policy) -> None:
    """Write the list of all weeks that have a page; there may be none yet."""
    folder = settings.reports / policy.country
    written = {page.stem for page in folder.glob("????-??-??.html")}
    cycles = [c for c in decided_cycles(ledger) if c.cycle.isoformat() in written]
    is_simulated = ledger.mode() is LedgerMode.SIMULATED
    replace_page(folder / "index.html", _render_index(cycles, policy, is_simulated))


def write_page(week: Week, file: Path) -> None:
    """Write one page where it is asked for; `UsageError` if it cannot be there."""
    check_place(file)
    replace_page(file, render(week))


def render(week: Week) -> str:
    """The page of a week."""
    # The plotting library takes half a second to load: only a report pays for it.
    from vibes_pipeline.reports import plots

    shown = {
        "charges": plots.charges(week) if any(week.charges.values()) else None,
        "bands": plots.bands(week.bands) if any(band.sellers for band in week.bands) else None,
        "standings": plots.bands(week.standings.bands) if week.standings else None,
        "rates": plots.rates(week) if week.rates["cancellation_rate_pct"].sum() else None,
        "occurrences": plots.occurrences(week) if any(week.occurrences.values()) else None,
        "by_claims": plots.by_claims(week) if week.by_claims else None,
    }
    present = {state for rule in (*week.rules, *week.late_rules) for state in rule.states}
    states = [state for state in OTHER_STATES if state in present]
    return (
        environment(week.policy)
        .get_template("week.html")
        .render(
            week=week,
            plots=shown,
            states=states,
            state_columns=[(state, "n") for state in states],
            rows_shown=ROWS_SHOWN,
            **common(week.policy),
        )
    )


def _render_index(cycles: list[Cycle], policy: Policy, is_simulated: bool) -> str:
    return (
        environment(policy)
        .get_template("index.html")
        .render(cycles=cycles, is_simulated=is_simulated, **common(policy))
    )


def common(policy: Policy) -> dict[str, object]:
    """What every page's template is given."""
    return {
        "country_name": Locale.parse("en").territories[policy.country],
        "titles": {rule.value: text.title for rule, text in policy.rules.items()},
    }


def replace_page(file: Path, text: str) -> None:
    """Write a page in one step."""
    with put_into_place(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def environment(policy: Policy) -> Environment:
    """The templates of all pages, with filters for the policy's money and time."""
    made = _templates().overlay()
    zone = policy.time_zone
    made.filters = {
        **made.filters,
        "id": lambda text: clean(text or ""),
        "naira": policy.money,
        "more": lambda amount: f"{'+' if amount > 0 else ''}{policy.money(amount)}",
        "day": lambda day: format_date(day, "d MMMM yyyy", locale="en"),
        "short_day": lambda day: format_date(day, "d MMM yyyy", locale="en"),
        "days": span_of_days,
        "moment": lambda at: format_datetime(at, "EEE d MMM yyyy, HH:mm", tzinfo=zone, locale="en"),
        "labelled": _labelled,
        "percent": lambda part, whole: f"{100 * part / whole:.2f}%" if whole else "none",
        "counted": counted,
        "short": lambda text: shorten(text, LONGEST_CELL, placeholder=" …"),
    }
    return made


def _labelled(svg: str, label: str) -> Markup:
    """Our own drawing, as an image with its words for those who do not see it."""
    return Markup(svg).replace(
        Markup("<svg "), Markup('<svg role="img" aria-label="{}" ').format(label), 1
    )
