"""Dated and cited values: what every number of the policy is made of.

Here belong references, parameters with their values through time, groups of parameters, and the
walk over them; which parameters there are is `model`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import pairwise
from typing import Annotated, Generic, NamedTuple, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from vibes_pipeline.errors import PolicyError
from vibes_pipeline.policy.scalars import Code, Day, NotEmpty, Text

T = TypeVar("T")

OPEN_END = date.max
"""The `valid_until` of a value that still holds: 9999-12-31."""

DECISION = "Decision"
"""The document of a value that no source text gives; its sentence is the reason."""


Key = tuple[str | int, ...]
"""The path of a key as the file spells it: names of keys, indexes in lists."""


def problem(message: str, *at: str | int) -> PydanticCustomError:
    """An integrity error; `at` is the path, below the checked object, of the key at fault."""
    return PydanticCustomError("policy", "{message}", {"message": message, "at": at})


class Strict(BaseModel):
    """An immutable part of a policy that allows no key but its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Reference(Strict):
    """Where something comes from: the words of a source text, or a Decision with its reason."""

    document: Code
    sentence: Text


def _one_or_several(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


References = Annotated[tuple[Reference, ...], NotEmpty, BeforeValidator(_one_or_several)]


class Dated(Strict, Generic[T]):
    """A value that holds from a local date until another (exclusive), or until the next value."""

    from_: Day = Field(alias="from")
    until: Day | None = None
    value: T
    references: References = Field(alias="reference")


class Stretch(NamedTuple, Generic[T]):
    """A value with the half-open span of local dates in which it holds."""

    valid_from: date
    valid_until: date
    value: T


class Parameter(Strict, Generic[T]):
    """One number, choice or list of the policy, with its values through time."""

    description: Text
    unit: Text
    values: Annotated[tuple[Dated[T], ...], NotEmpty]

    @model_validator(mode="after")
    def _values_follow_each_other(self) -> Self:
        for index, value in enumerate(self.values):
            if value.until is not None and value.until <= value.from_:
                raise problem(
                    f"ends on {value.until}, which is not after its start {value.from_}",
                    *("values", index, "until"),
                )
        for index, (before, after) in enumerate(pairwise(self.values), start=1):
            at = ("values", index, "from")
            if after.from_ <= before.from_:
                raise problem(
                    f"starts on {after.from_}, not after the value before it ({before.from_}); "
                    "order the values by date",
                    *at,
                )
            if before.until is not None and before.until > after.from_:
                raise problem(
                    f"overlap: the value before holds until {before.until}, this one from "
                    f"{after.from_}; end the one where the other begins",
                    *at,
                )
            if before.until is not None and before.until < after.from_:
                raise problem(
                    f"gap: nothing holds from {before.until} to {after.from_}; let the value "
                    "before hold until this one begins",
                    *at,
                )
        return self

    @property
    def valid_from(self) -> date:
        return self.values[0].from_

    @property
    def valid_until(self) -> date:
        return self.values[-1].until or OPEN_END

    def stretches(self) -> Iterator[Stretch[T]]:
        """The values in order of time, each with its span."""
        ends = [after.from_ for after in self.values[1:]] + [self.valid_until]
        for dated, until in zip(self.values, ends, strict=True):
            yield Stretch(dated.from_, until, dated.value)

    def dated_on(self, day: date) -> Dated[T]:
        """The value in force on a local date, with its references; PolicyError if there is none."""
        if not self.valid_from <= day < self.valid_until:
            span = f"from {self.valid_from}"
            if self.valid_until != OPEN_END:
                span += f" until {self.valid_until}"
            raise PolicyError(
                f"the policy has no value on {day} for: {self.description} "
                f"(its values hold {span}); add a value that holds on that day"
            )
        return next(dated for dated in reversed(self.values) if dated.from_ <= day)

    def on(self, day: date) -> T:
        """The value in force on a local date; PolicyError if there is none."""
        return self.dated_on(day).value

    def covers(self, valid_from: date, valid_until: date) -> bool:
        return self.valid_from <= valid_from and valid_until <= self.valid_until


class Group(Strict):
    """Parameters that belong together: all hold over the same span, so none is ever missing."""

    @model_validator(mode="after")
    def _parameters_span_the_same_days(self) -> Self:
        parameters = [
            (name, value)
            for name in type(self).model_fields
            if isinstance(value := getattr(self, name), Parameter)
        ]
        for (first_name, first), (name, other) in pairwise(parameters):
            if (first.valid_from, first.valid_until) != (other.valid_from, other.valid_until):
                raise problem(
                    f"holds from {other.valid_from} until {other.valid_until}, but {first_name} "
                    f"from {first.valid_from} until {first.valid_until}; let both hold on the "
                    "same days",
                    name,
                )
        return self


def walk(part: object, key: Key = ()) -> Iterator[tuple[Key, BaseModel]]:
    """Every model below `part` with its key path as the file spells it."""
    if isinstance(part, BaseModel):
        yield key, part
        for name, info in type(part).model_fields.items():
            yield from walk(getattr(part, name), (*key, info.alias or name))
    elif isinstance(part, Mapping):
        for name, value in part.items():
            yield from walk(value, (*key, str(name)))
    elif isinstance(part, tuple | list):
        for index, value in enumerate(part):
            yield from walk(value, (*key, index))
