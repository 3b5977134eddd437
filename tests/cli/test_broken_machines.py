"""A disk that is full, a database that goes away: one line, and the next run ends well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cli import troubles
from cli.shell import Shell, new_shell
from full_disk import files_no_larger_than
from notices.mail_server import Post, serving
from patience import PATIENCE_SECONDS

from vibes_pipeline.ledger import views

ALERT = ("run", "weekly-alert", "--at", troubles.ALERT_AT)


@pytest.fixture
def shell(administration: sa.Engine, with_dagster: str, tmp_path: Path) -> Iterator[Shell]:
    warehouse = troubles.market().write(tmp_path / "raw")
    with new_shell(administration, with_dagster, warehouse, tmp_path) as opened:
        yield opened


def statuses(shell: Shell) -> dict[str, int]:
    """How many notices are in which state."""
    ledger = shell.ledger()
    n = views.notice_states.c
    with ledger.reading() as connection:
        counted = connection.execute(
            sa.select(n.status, sa.func.count().label("notices")).group_by(n.status)
        ).all()
    ledger.close()
    return {row.status: row.notices for row in counted}


def test_a_disk_that_is_full_is_told_in_one_line_and_with_room_the_slot_ends_well(
    shell: Shell,
) -> None:
    for size, what in (
        (100, "dagster.yaml"),
        (1_500, "stored_products.parquet"),
        (8_000, "File too large"),
    ):
        with files_no_larger_than(size):
            failed = shell(*ALERT)
        assert failed.status == 1
        assert "File too large" in failed.error
        assert what in failed.error
        assert "make room" in failed.error
    assert list(shell.home.rglob("*.tmp")) == []
    assert set(statuses(shell)) <= {"queued", "sending"}, "the last had come as far as the mails"

    done = shell(*ALERT)
    assert done.status == 0, done.err
    assert statuses(shell) == {"sent": troubles.SELLERS}

    with files_no_larger_than(400):
        failed = shell("export", "actions", "--out", shell.folder / "actions.parquet")
    assert "actions.parquet could not be written: File too large" in failed.error
    assert not (shell.folder / "actions.parquet").exists()


def test_a_database_that_goes_away_under_a_slot_is_one_line_and_no_mail_is_forgotten(
    shell: Shell, administration: sa.Engine
) -> None:
    with serving(Post(default="block")) as post:
        shell = shell.with_(VIBES_MAIL_CATCHER_URL=post.url)
        process = shell.start(*ALERT)
        assert post.blocked.acquire(timeout=PATIENCE_SECONDS)
        database = sa.make_url(shell.environment["VIBES_POSTGRES_URL"] or "").database
        with administration.connect() as connection:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE datname = :database"
                ),
                {"database": database},
            )
        post.release()
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 1
        (line,) = said.splitlines()
        assert line.startswith("vibes: PostgreSQL went away: ")
        # What was answered meanwhile is in the journal.
        assert (shell.home / "outbox" / "NG.journal").exists()
        assert set(statuses(shell)) == {"queued"}

        done = shell(*ALERT)
        assert done.status == 0, done.err
        assert statuses(shell) == {"sent": troubles.SELLERS}
        copies = post.copies()
        assert len(copies) == troubles.SELLERS
        assert max(copies.values()) == 1
