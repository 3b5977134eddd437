"""A home of any name: no part of its path is taken for a pattern, a quote, an option or an escape."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cli import troubles
from cli.shell import Shell, new_shell

# A shell, a URL, a pattern, SQL, a configuration file and a formatted text each read one of these.
ODD_NAME = 'h?me [of] *\'s "own" $HOME %s & é; `y`, {z} # ~'


@pytest.fixture
def shell(
    administration: sa.Engine,
    with_dagster: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shell]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / ODD_NAME
    folder.mkdir()
    warehouse = troubles.market().write(folder / "raw")
    with new_shell(administration, with_dagster, warehouse, folder) as opened:
        yield opened


def test_a_home_of_any_name_holds_lake_mail_reports_and_dagsters_files(shell: Shell) -> None:
    done = shell("run", "weekly-alert", "--at", troubles.ALERT_AT)
    assert done.status == 0, done.err
    assert (shell.home / "dagster" / "dagster.yaml").exists()
    assert len(list((shell.home / "mail" / "new").iterdir())) == troubles.SELLERS

    # Whose name the pattern `h?me` matches, were it one.
    other = shell.home.parent.parent / ODD_NAME.replace("?", "o") / "home" / "lake"
    other.mkdir(parents=True)
    question = "SELECT count(*) AS n FROM decisions.order_regulations"
    asked = shell("sql", question, "--format", "csv")
    assert asked.out.splitlines() == ["n", "1"], asked.err
    for file in ("charges.csv", "actions.parquet", "seller_week.xlsx"):
        out = shell.folder / file
        wrote = shell("export", file.partition(".")[0], "--out", out)
        assert wrote.status == 0, wrote.err
        assert out.exists()
    written = shell("report", "--cycle", troubles.CYCLE, "--out", shell.folder / "week.html")
    assert written.status == 0, written.err
