"""The templates of mails, and what they may call: filters, the only logic that they have.

Here belong the two environments, one of plain text and one of HTML. Each loads its own templates
and no others, so nothing gets from text into HTML without being escaped; the words that both share
are text, which `plain_macros` hands to either.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache, partial
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateNotFound
from jinja2.runtime import Macro

from vibes_pipeline.listing import counted
from vibes_pipeline.notices.styles import read_styles, styled
from vibes_pipeline.notices.way_out import most_cancelled, most_within
from vibes_pipeline.paths import email_templates_dir
from vibes_pipeline.policy.scalars import short

_TEXT_WIDTH = 78
_LONG_DAY = "EEEE d MMMM yyyy"
_NO_BREAK = "\u00a0"
# Where the policy's claim link has the reference of the action.
REFERENCE_PLACE = "{reference}"


class PartLoader(FileSystemLoader):
    """Loads the templates of one part of a mail, known by how their names end, and no others."""

    def __init__(self, *suffixes: str) -> None:
        super().__init__(email_templates_dir())
        self._suffixes = suffixes

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        if not template.endswith(self._suffixes):
            raise TemplateNotFound(
                template, f"{template} is none of the templates {', '.join(self._suffixes)}"
            )
        return super().get_source(environment, template)


class StyledLoader(PartLoader):
    """Loads templates of HTML with `style.css` written into their tags."""

    def __init__(self, *suffixes: str) -> None:
        super().__init__(*suffixes)
        self._styles = read_styles((email_templates_dir() / "style.css").read_text("utf-8"))

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        source, file, is_current = super().get_source(environment, template)
        return styled(source, self._styles), file, is_current


@cache
def text_environment(country: str, zone: ZoneInfo) -> Environment:
    """The templates of plain text, and the words that both parts share."""
    return _environment(PartLoader(".txt"), country, zone, autoescape=False)


@cache
def html_environment(country: str, zone: ZoneInfo) -> Environment:
    """The templates of HTML: whatever they print is escaped, whoever made it."""
    return _environment(StyledLoader(".html", ".css"), country, zone, autoescape=True)


def plain_macros(template: Template, given: Mapping[str, object]) -> dict[str, Callable[..., str]]:
    """The macros of a template of plain text, as functions that both parts can call.

    What they give is plain text, which HTML escapes. A macro itself would be told that HTML calls
    it, and mark its words as safe, though nothing in a template of text is escaped.
    """
    module = vars(template.make_module(dict(given)))
    macros = {name: macro for name, macro in module.items() if isinstance(macro, Macro)}
    return {name: partial(_called, macro) for name, macro in macros.items()}


def _called(macro: Macro, *given: object) -> str:
    return str(macro(*given))


def _environment(
    loader: PartLoader, country: str, zone: ZoneInfo, *, autoescape: bool
) -> Environment:
    environment = Environment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        cache_size=-1,
    )
    locale = _locale(country)
    environment.filters.update(
        money=lambda amount, currency: _money(amount, currency, locale),
        moment=lambda value: _moment(value, zone, "EEE d MMM yyyy"),
        long_moment=lambda value: _moment(value, zone, _LONG_DAY),
        clock=lambda value: f"{_local(value, zone):%H:%M}",
        long_day=lambda day: _day(day, _LONG_DAY),
        days=span_of_days,
        weeks_before=lambda day, weeks: day - timedelta(weeks=weeks),
        days_after=lambda moment, days: moment + timedelta(days=days),
        percent=_percent,
        number=_number,
        most_cancelled=most_cancelled,
        most_within=most_within,
        about=_about,
        cycles=_cycles,
        counted=counted,
        pairs=pairs_of,
        wrap=_wrap,
        justify=_justify,
    )
    return environment


def _locale(country: str) -> Locale:
    """English as written in the country, so that its currency has the sign used there."""
    try:
        return Locale.parse(f"en_{country}")
    except UnknownLocaleError:
        return Locale.parse("en")


# The same amounts and days come again and again, in both parts and in mail after mail.
@lru_cache(maxsize=4096)
def _money(amount: Decimal | str, currency: str, locale: Locale) -> str:
    return format_currency(Decimal(amount), currency, locale=locale)


def _moment(value: datetime | str, zone: ZoneInfo, pattern: str) -> str:
    """A day, as the pattern writes it, and the time of day."""
    local = _local(value, zone)
    return f"{_day(local.date(), pattern)}, {local:%H:%M}"


def _local(value: datetime | str, zone: ZoneInfo) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(zone)


@lru_cache(maxsize=1024)
def _day(day: date, pattern: str) -> str:
    return format_date(day, pattern, locale="en")


@lru_cache(maxsize=256)
def span_of_days(first: date, count: int) -> str:
    """`9 to 15 November 2026`: that many days from `first` on."""
    last = first + timedelta(days=count - 1)
    start = "d MMMM yyyy" if first.year != last.year else "d MMMM"
    if (first.year, first.month) == (last.year, last.month):
        start = "d"
    begins = format_date(first, start, locale="en")
    return f"{begins} to {format_date(last, 'd MMMM yyyy', locale='en')}"


def _percent(part: int, whole: int) -> str:
    return f"{Decimal(100 * part) / Decimal(whole):.2f}%"


def _number(value: str | Decimal) -> str:
    """A decimal without needless zeros: `2.00` as 2, `2.50` as 2.5."""
    return short(Decimal(value))


def _cycles(text: str) -> list[date]:
    """The cycles of a list such as `2026-10-05,2026-11-09`, as evidence has it."""
    return [date.fromisoformat(cycle) for cycle in text.split(",") if cycle]


def _about(claim_link: str, reference: str = "") -> str:
    """The claim link with the action's reference, where it has a place for one."""
    return claim_link.replace(REFERENCE_PLACE, reference)


def _one_line(text: str) -> str:
    """Text with single spaces; a no-break space, as some amounts have, stays one."""
    if _NO_BREAK in text:
        return _NO_BREAK.join(" ".join(part.split()) for part in text.split(_NO_BREAK))
    return " ".join(text.split())


def _wrap(text: str, indent: int = 0, hang: int = 0) -> str:
    """Plain text as one paragraph; lines after the first are indented by `hang` more."""
    text = _one_line(text)
    if indent + len(text) <= _TEXT_WIDTH:
        return " " * indent + text
    return _filled(text, indent, hang)


# The rules' words and the frame's sentences are the same in mail after mail.
@lru_cache(maxsize=4096)
def _filled(text: str, indent: int, hang: int) -> str:
    return textwrap.fill(
        text,
        width=_TEXT_WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_on_hyphens=False,
    )


def _justify(left: str, right: str, indent: int = 0) -> str:
    """`left` at the margin and `right` at the end of one line of plain text, or of two."""
    width = _TEXT_WIDTH - indent
    if len(left) + 2 + len(right) > width:
        return f"{_wrap(left, indent)}\n{' ' * indent}{right:>{width}}"
    return f"{' ' * indent}{left}{right:>{width - len(left)}}".rstrip()


def pairs_of(text: str) -> list[tuple[str, str]]:
    """The pairs out of lines `Label: value`."""
    lines = (_one_line(line) for line in text.splitlines() if line.strip())
    pairs = (line.partition(": ") for line in lines)
    return [(label, value) for label, _, value in pairs]
