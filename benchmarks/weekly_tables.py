"""The Markdown tables of `weekly_compute`: what each contender took, in all and by model.

What is measured, and how, belongs there.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING

from measure import Taken

if TYPE_CHECKING:
    from weekly_compute import Turns

MODELS_SHOWN = 8


def contenders_table(turns: Turns) -> list[str]:
    """Per contender medians, their ratios to the first's, each round's seconds, the peak."""
    lines = [
        "| | seconds | each round | ratio | processor seconds | ratio | peak memory |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    first = next(iter(turns.taken.values()))
    for name, runs in turns.taken.items():
        seconds, cpu_seconds = median_seconds(runs), median_cpu_seconds(runs)
        cells = (
            name,
            f"{seconds:.2f}",
            " · ".join(f"{run.seconds:.2f}" for run in runs),
            f"{seconds / median_seconds(first):.2f}",
            f"{cpu_seconds:.2f}",
            f"{cpu_seconds / median_cpu_seconds(first):.2f}",
            gib(max(run.peak_bytes for run in runs)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def models_table(turns: Turns) -> list[str]:
    """The models that take the engine longest, with their median seconds in each contender."""
    by_sql = {name: runs for name, runs in turns.taken.items() if runs[0].seconds_of}
    last = list(by_sql.values())[-1:]
    slowest = sorted(turns.contents, key=lambda r: -sum(median_seconds(runs, r) for runs in last))
    lines = [
        f"| model, seconds | rows | {' | '.join(by_sql)} |",
        f"| --- | ---: |{' ---: |' * len(by_sql)}",
    ]
    for relation in slowest[:MODELS_SHOWN]:
        seconds = " | ".join(f"{median_seconds(runs, relation):.2f}" for runs in by_sql.values())
        lines.append(f"| `{relation}` | {turns.contents[relation].rows:,} | {seconds} |")
    return lines


def median_seconds(runs: Sequence[Taken], relation: str | None = None) -> float:
    """Of whole runs, or of one relation's part in them."""
    return median(run.seconds_of[relation] if relation else run.seconds for run in runs)


def median_cpu_seconds(runs: Sequence[Taken]) -> float:
    """Of whole runs, all cores together."""
    return median(run.cpu_seconds for run in runs)


def gib(size: int) -> str:
    """Bytes, to be read."""
    return f"{size / 2**30:.2f} GiB"


def machine() -> str:
    """Processors, memory and versions that the numbers depend on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "polars"))
    return (
        f"{os.cpu_count()} cores, {gib(memory)}, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {libraries}"
    )
