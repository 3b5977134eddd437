"""`vibes prune`: old runs leave Dagster's storage, what they did stays in the ledger."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from cli.shell import Shell
from ledger import made

from vibes_pipeline.ledger.ledger import Ledger

AT = "2026-11-18T07:00"
ALERT = ("replay", "--from", AT, "--until", AT, "--slot", "weekly-alert")
# The slot whose run costs Dagster least.
RUN = ("run", "claims", "--at", "2026-11-18T07:01")


def recorded(ledger: Ledger) -> tuple[int, int]:
    """How many runs, and how many of their events, Dagster keeps."""
    with ledger.reading() as connection:
        runs = connection.execute(sa.text("SELECT count(*) FROM public.runs")).scalar_one()
        events = connection.execute(sa.text("SELECT count(*) FROM public.event_logs")).scalar_one()
    return runs, events


def aged(ledger: Ledger, days: int) -> None:
    """Dagster's runs, made so many days earlier than they were."""
    with ledger.engine.begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE public.runs "
                "SET create_timestamp = create_timestamp - make_interval(days => :days)"
            ),
            {"days": days},
        )


def test_runs_older_than_asked_go_with_their_events_and_the_ledger_stays(shell: Shell) -> None:
    for command in (ALERT, RUN):
        assert shell(*command).status == 0
    ledger = shell.ledger()
    states = made.states(ledger)

    aged(ledger, 40)
    kept = shell("prune", "--older-than", "41")
    assert kept.out == "0 runs of more than 41 days ago are deleted\n"
    assert recorded(ledger)[0] == 1
    pruned = shell("prune", "--older-than", "39")
    assert pruned.out == "1 runs of more than 39 days ago are deleted\n"

    assert recorded(ledger) == (0, 0)
    assert made.states(ledger) == states
    assert states
    ledger.close()


def test_a_run_that_has_not_ended_is_kept(shell: Shell) -> None:
    assert shell(*RUN).status == 0
    ledger = shell.ledger()
    aged(ledger, 40)
    with ledger.engine.begin() as connection:
        connection.execute(sa.text("UPDATE public.runs SET status = 'STARTED'"))
    assert shell("prune", "--older-than", "31").status == 0
    assert recorded(ledger)[0] == 1
    ledger.close()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="nobody says how old"),
        pytest.param(["--older-than", "30"], id="the UI still shows these"),
        pytest.param(["--yes"], id="nobody says what"),
    ],
)
def test_recent_runs_are_never_pruned(shell: Shell, arguments: list[str]) -> None:
    assert shell("prune", *arguments).status == 2


def test_old_partitions_are_shown_and_go_once_a_person_says_so(shell: Shell) -> None:
    assert shell(*ALERT).status == 0
    lake = shell.home / "lake" / "NG"
    nothing = "older than the 26 weeks that partitions are kept, before 2026-05-18:\n"
    nothing += "       0  files, 0 bytes\n"
    assert shell("prune", "--lake").out == nothing

    for day in ("2020-01-06", "2026-05-17", "2026-05-18"):
        file = lake / "late-alert" / day / "late_orders" / "overdue_items.parquet"
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(1000))
    # A cycle that this ledger has not decided is not its to remove.
    (lake / "weekly-alert" / "2020-01-06").mkdir()
    shown = shell("prune", "--lake", typed="n\n")
    assert shown.status == 1
    assert shown.out.splitlines()[1:-1] == [
        "       2  late-alert, 2020-01-06 to 2026-05-17",
        "       2  files, 2.0 kB",
        "       1  weekly-alert, 2020-01-06 to 2020-01-06, stay: claims may need them",
    ]
    assert (lake / "late-alert" / "2020-01-06").exists()
    assert shell("prune", "--lake", "--yes").out.endswith("they are deleted\n")
    assert [f.name for f in (lake / "late-alert").iterdir()] == ["2026-05-18"]
    assert (lake / "weekly-alert" / "2020-01-06").exists()
