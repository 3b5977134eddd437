"""The time zone databases: Python's, which the calendar uses, and the engines' own.

Python reads the pinned wheel `tzdata` (`vibes_pipeline/__init__.py` sets this). Polars and DuckDB
each contain a database and use no other. If one of them differs, deadlines or local days in SQL
differ from the calendar's, so no slot begins. Here belongs the comparison of the databases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias
from zoneinfo import ZoneInfo

from vibes_pipeline.calendar import DAY, Calendar, day_start, in_utc
from vibes_pipeline.errors import TimeZoneError

if TYPE_CHECKING:
    import polars as pl

SECOND = timedelta(seconds=1)

# The offsets from UTC, in seconds, of a frame's instants in the zone of that name.
OffsetsOf: TypeAlias = "Callable[[pl.DataFrame, str], list[int]]"


def require_agreement(calendar: Calendar) -> None:
    """`TimeZoneError` unless every engine has the calendar's offsets throughout its listed years.

    The error names the zone, the engine and the first day that differs. A process compares each
    zone once.
    """
    _require_agreement(calendar.time_zone, calendar.first_day, calendar.last_day)


@lru_cache
def _require_agreement(zone: ZoneInfo, first: date, last: date) -> None:
    for engine, offsets_of in ENGINES.items():
        require_same_offsets(engine, offsets_of, zone, first, last)


def require_same_offsets(
    engine: str, offsets_of: OffsetsOf, zone: ZoneInfo, first: date, last: date
) -> None:
    """`TimeZoneError` unless an engine has the calendar's offsets from one day to another."""
    import polars as pl

    ours = _offsets(zone, first, last)
    frame = pl.DataFrame({"instant": list(ours)}, schema={"instant": pl.Datetime("us", "UTC")})
    for (instant, our), their in zip(ours.items(), offsets_of(frame, zone.key), strict=True):
        if our != their:
            local = instant.astimezone(zone)
            raise TimeZoneError(
                f"{engine} knows another {zone.key} than the calendar: on {local:%Y-%m-%d} at "
                f"{local:%H:%M:%S} it is {_spell(their)} from UTC there, {_spell(our)} by the "
                "package tzdata; install versions of both that agree"
            )


@lru_cache
def _offsets(zone: ZoneInfo, first: date, last: date) -> Mapping[datetime, int]:
    """The calendar's offset at every day's start.

    On a day whose offset changes, also that at the change and at the second before.
    """
    found: dict[datetime, int] = {}
    before = None
    for day in range((last - first).days + 2):
        start = in_utc(day_start(first + day * DAY, zone))
        offset = _offset_seconds(start, zone)
        if before is not None and offset != found[before]:
            change = _change_between(before, start, zone)
            found |= {at: _offset_seconds(at, zone) for at in (change - SECOND, change)}
        found[start] = offset
        before = start
    return found


def _change_between(start: datetime, end: datetime, zone: ZoneInfo) -> datetime:
    """The first second between the two that has the offset of `end`."""
    before, after = start, end
    while after - before > SECOND:
        middle = before + (after - before) // 2 // SECOND * SECOND
        if _offset_seconds(middle, zone) == _offset_seconds(end, zone):
            after = middle
        else:
            before = middle
    return after


def _offset_seconds(instant: datetime, zone: ZoneInfo) -> int:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def _of_polars(frame: pl.DataFrame, zone: str) -> list[int]:
    import polars as pl

    instant = pl.col("instant")
    try:
        local = instant.dt.convert_time_zone(zone).dt.replace_time_zone("UTC")
        offsets: list[int] = frame.select((local - instant).dt.total_seconds())["instant"].to_list()
    except pl.exceptions.PolarsError:
        raise _unknown("Polars", zone) from None
    return offsets


def _of_duckdb(frame: pl.DataFrame, zone: str) -> list[int]:
    import duckdb

    with duckdb.connect() as connection:
        connection.register("instants", frame)
        try:
            rows = connection.execute(
                "SELECT date_diff('second', timezone('UTC', instant), timezone($zone, instant)) "
                "FROM instants",
                {"zone": zone},
            ).fetchall()
        except duckdb.Error:
            raise _unknown("DuckDB", zone) from None
    return [seconds for (seconds,) in rows]


ENGINES: dict[str, OffsetsOf] = {
    "Polars": _of_polars,
    "DuckDB": _of_duckdb,
}


def _unknown(engine: str, zone: str) -> TimeZoneError:
    return TimeZoneError(f"{engine} knows no time zone {zone}; name another one in the policy")


def _spell(seconds: int) -> str:
    """Seconds as an offset from UTC, such as `+01:00`."""
    sign, minutes = "-" if seconds < 0 else "+", abs(seconds) // 60
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}"
