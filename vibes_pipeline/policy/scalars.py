"""The types of single values in a policy file, each read from the text that stands there.

Every scalar arrives as text, so that a number is read exactly (Decimal, never binary floating
point) and `no` or `07:00` mean themselves. Here belongs what one value may be, and how people are
told a number; what values must be together is `model`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sized
from datetime import date, time
from decimal import Decimal
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from vibes_pipeline.calendar import Weekday

Items = TypeVar("Items", bound=Sized)


def _read(
    expected: str, pattern: str, convert: Callable[[str], object]
) -> Callable[[object], object]:
    """A validator that turns matching text into a value and says what it expected otherwise."""
    compiled = re.compile(pattern, re.ASCII)

    def read(value: object) -> object:
        if not isinstance(value, str):
            kind = "a mapping" if isinstance(value, Mapping) else "a list"
            raise ValueError(f"should be {expected}, not {kind}")
        if not compiled.fullmatch(value):
            raise ValueError(f"should be {expected}, not {value!r}")
        try:
            return convert(value)
        except (ValueError, KeyError, OSError):
            raise ValueError(f"should be {expected}, not {value!r}") from None

    return read


def _not_empty(items: Items) -> Items:
    if not items:
        raise ValueError("should not be empty")
    return items


NotEmpty = AfterValidator(_not_empty)
"""For lists and mappings; unlike a minimal length it does not take faulty items for missing."""

_read_date = _read("a date such as 2016-01-01", r"\d{4}-\d{2}-\d{2}", date.fromisoformat)
_read_decimal = _read("a number such as 2.5", r"-?\d+(\.\d+)?", Decimal)
_read_weekday = _read("a weekday such as monday", r"[a-z]+", lambda text: Weekday[text.upper()])

Text = Annotated[str, BeforeValidator(_read("text", r"(?s).*\S.*", str))]
Code = Annotated[
    str, BeforeValidator(_read("a code of letters, digits and _", r"[A-Za-z]\w*", str))
]
Account = Annotated[
    str,
    BeforeValidator(
        _read(
            "an account such as 1310 or 4510-02",
            r"[A-Za-z0-9]([A-Za-z0-9./_-]{0,38}[A-Za-z0-9])?",
            str,
        )
    ),
]
Flag = Annotated[bool, BeforeValidator(_read("true or false", "true|false", "true".__eq__))]
Whole = Annotated[int, Field(ge=0), BeforeValidator(_read("a whole number", r"-?\d{1,9}", int))]
Count = Annotated[int, Field(ge=1), BeforeValidator(_read("a whole number", r"-?\d{1,9}", int))]
Multiple = Annotated[
    Decimal, Field(ge=0, max_digits=9, decimal_places=4), BeforeValidator(_read_decimal)
]
Percent = Annotated[
    Decimal, Field(ge=0, le=100, max_digits=9, decimal_places=4), BeforeValidator(_read_decimal)
]
Amount = Annotated[
    Decimal, Field(ge=0, max_digits=14, decimal_places=2), BeforeValidator(_read_decimal)
]
Day = Annotated[date, BeforeValidator(_read_date)]
Time = Annotated[
    time,
    BeforeValidator(
        _read(
            "a time such as 07:00",
            r"([01]\d|2[0-3]):[0-5]\d",
            time.fromisoformat,
        )
    ),
]
NamedWeekday = Annotated[Weekday, BeforeValidator(_read_weekday)]
Zone = Annotated[
    ZoneInfo, BeforeValidator(_read("a time zone such as Africa/Lagos", r"[\w/+-]+", ZoneInfo))
]
Year = Annotated[int, BeforeValidator(_read("a year such as 2016", r"\d{4}", int))]
CountryCode = Annotated[
    str, BeforeValidator(_read("two capital letters such as NG", "[A-Z]{2}", str))
]
CurrencyCode = Annotated[
    str, BeforeValidator(_read("three capital letters such as NGN", "[A-Z]{3}", str))
]
Phone = Annotated[
    str, BeforeValidator(_read("a phone number such as +2341-8881102", r"\+[0-9 -]+", str))
]
Url = Annotated[str, BeforeValidator(_read("an https address", r"https://[^\s<>\"'\\]+", str))]


def short(number: Decimal) -> str:
    """A number for people, without zeros at the end: 2.5000 is 2.5, 75.00 is 75."""
    return f"{number.normalize():f}"
