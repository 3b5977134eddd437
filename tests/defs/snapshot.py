"""All that Dagster is told, as text to read and to compare: assets, checks, jobs, what starts them.

Run as a script it writes the snapshot anew: `.venv/bin/python tests/defs/snapshot.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

FILE = Path(__file__).with_name("snapshot.txt")


def describe(definitions: dg.Definitions) -> str:
    """One block per thing, in the order of their names; of a description its first line."""
    return "\n".join(
        [
            *_titled("ASSETS", _assets(definitions)),
            *_titled("CHECKS", _checks(definitions)),
            *_titled("GRAPH", _graph(definitions)),
            *_titled("JOBS", _jobs(definitions)),
            *_titled("SCHEDULES", _schedules(definitions)),
            *_titled("SENSORS", _sensors(definitions)),
        ]
    )


def _titled(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield title
    yield ""
    yield from lines


def _assets(definitions: dg.Definitions) -> Iterator[str]:
    specs = definitions.resolve_all_asset_specs()
    for spec in sorted(specs, key=lambda s: (s.group_name or "", s.key)):
        partitions = spec.partitions_def
        yield f"{spec.key.to_user_string()}  ({spec.group_name})"
        for dep in sorted(d.asset_key.to_user_string() for d in spec.deps):
            yield f"    <- {dep}"
        yield f"    {', '.join(sorted(spec.kinds))} · {', '.join(spec.owners)} · {_span(partitions)}"
        yield f"    {_first_line(spec.description)}"
        yield ""


def _span(partitions: dg.PartitionsDefinition | None) -> str:
    if partitions is None:
        return "not partitioned"
    assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
    return f"partitioned, {partitions.cron_schedule}, {partitions.timezone}"


def _checks(definitions: dg.Definitions) -> Iterator[str]:
    graph = definitions.resolve_asset_graph()
    for key in sorted(graph.asset_check_keys, key=lambda k: (k.asset_key, k.name)):
        spec = graph.get_check_spec(key)
        yield f"{key.asset_key.to_user_string()}: {key.name}{'  BLOCKING' if spec.blocking else ''}"
        yield f"    {_first_line(spec.description)}"
    yield ""


def _graph(definitions: dg.Definitions) -> Iterator[str]:
    """What runs assets that are selected in the graph."""
    yield definitions.resolve_job_def("__ASSET_JOB").executor_def.name
    yield ""


def _jobs(definitions: dg.Definitions) -> Iterator[str]:
    for job in sorted(definitions.jobs or [], key=lambda j: j.name):
        resolved = definitions.resolve_job_def(job.name)
        yield f"{job.name}  ({resolved.executor_def.name})"
        yield f"    {_first_line(job.description)}"
        keys = set(resolved.asset_layer.executable_asset_keys) & set(
            resolved.asset_layer.selected_asset_keys
        )
        for key in sorted(keys):
            yield f"    - {key.to_user_string()}"
        yield ""


def _schedules(definitions: dg.Definitions) -> Iterator[str]:
    for schedule in sorted(definitions.schedules or [], key=lambda s: s.name):
        assert isinstance(schedule, dg.ScheduleDefinition)
        yield (
            f"{schedule.name}: {schedule.cron_schedule}, {schedule.execution_timezone}, starts "
            f"{schedule.job_name}, {schedule.default_status.value.lower()}"
        )
    yield ""


def _sensors(definitions: dg.Definitions) -> Iterator[str]:
    for sensor in sorted(definitions.sensors or [], key=lambda s: s.name):
        started = ", ".join(target.job_name for target in sensor.targets) or "nothing"
        yield (
            f"{sensor.name}: every {sensor.minimum_interval_seconds} s, starts "
            f"{started}, {sensor.default_status.value.lower()}"
        )
        yield f"    {_first_line(sensor.description)}"
    yield ""


def _first_line(description: str | None) -> str:
    return (description or "NO DESCRIPTION").strip().splitlines()[0]


if __name__ == "__main__":
    from vibes_pipeline.definitions import definitions as loaded

    FILE.write_text(describe(loaded), encoding="utf-8")
