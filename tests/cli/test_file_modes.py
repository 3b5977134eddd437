"""Whatever the umask of who starts it: what the program makes is for its user's eyes alone."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cli import troubles
from cli.shell import Shell
from click.testing import CliRunner

from vibes_pipeline import definitions
from vibes_pipeline.dagster_host import servers, webserver
from vibes_pipeline.errors import SettingsError


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> dict[str, str]:
    """What others may read, write or enter, the folder itself among it."""
    modes = {str(place): place.stat().st_mode & 0o777 for place in (folder, *folder.rglob("*"))}
    return {place: oct(mode) for place, mode in modes.items() if mode & 0o077}


def test_what_commands_make_is_their_users_alone(
    shell: Shell, tmp_path: Path, loose_umask: None
) -> None:
    exports = tmp_path / "exports"
    exports.mkdir(mode=0o700)
    for command in (
        ("run", "weekly-alert", "--at", troubles.ALERT_AT),
        ("report",),
        ("mail", "preview"),
        *(("export", "actions", "--out", exports / f"actions.{e}") for e in ("csv", "parquet")),
        ("export", "charges", "--out", exports / "charges.xlsx"),
    ):
        os.umask(0)
        assert shell(*command).status == 0
    made = {place.relative_to(shell.home).parts[0] for place in shell.home.rglob("*")}
    assert {"key", "lake", "mail", "mail-preview", "reports", "dagster"} <= made
    assert len(list(exports.iterdir())) == 3
    assert open_to_others(shell.home) == open_to_others(exports) == {}


@pytest.mark.parametrize("command", [servers.main, webserver.main], ids=["both", "the UI"])
def test_what_the_servers_make_is_too(
    command: click.Command, tmp_path: Path, loose_umask: None
) -> None:
    (tmp_path / "a file").touch()
    place = ["--host", "127.0.0.1", "--port", "1"]
    begun = CliRunner().invoke(
        command,
        ["webserver", *place] if command is servers.main else [*place, "--workspace", "none"],
        env={"VIBES_HOME": str(tmp_path / "a file" / "home")},
    )
    assert isinstance(begun.exception, SettingsError), "there it ends"
    assert os.umask(0) == 0o077


def test_so_is_what_a_dagster_makes_that_is_started_in_another_way(loose_umask: None) -> None:
    importlib.reload(definitions)
    assert os.umask(0) == 0o077
