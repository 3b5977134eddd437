"""What a piece of work takes, in a process of its own: seconds, processor time, peak memory.

What is measured, and against what, belongs in the benchmarks themselves.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter, process_time
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Taken:
    """What work took: seconds in all and by part, seconds of all cores together, and memory.

    The memory is the most that the process held at any time, what it imported included.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    seconds_of: Mapping[str, float]


class Stopwatch:
    """Runs from its making until it is stopped."""

    def __init__(self, started: float | None = None, cpu_started: float | None = None) -> None:
        self._seconds_of: dict[str, float] = {}
        self._cpu_started = process_time() if cpu_started is None else cpu_started
        self._started = perf_counter() if started is None else started

    @classmethod
    def of_process(cls) -> Self:
        """A watch that has run since `in_fresh_process` began this process, imports included."""
        return cls(_process_started, 0)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time one part of the work."""
        started = perf_counter()
        yield
        self._seconds_of[name] = perf_counter() - started

    def stop(self) -> Taken:
        """What was taken so far."""
        return Taken(
            seconds=perf_counter() - self._started,
            cpu_seconds=process_time() - self._cpu_started,
            peak_bytes=_peak_bytes(),
            seconds_of=self._seconds_of,
        )


def in_fresh_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a module's function in a new interpreter and give what it returns, or raise its error.

    Linux starts a process's peak memory at its parent's size, so the caller should import and hold
    little: whatever is big is done in such a process too.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_call, perf_counter(), function, *args, **kwargs).result()


# The parent's clock: on Linux and macOS all processes share it.
_process_started = perf_counter()


def _call(started: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    global _process_started
    _process_started = started
    return function(*args, **kwargs)


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
