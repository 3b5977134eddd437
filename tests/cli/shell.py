"""A person's shell: an environment of their own and the `vibes` command in it.

Called, the command runs in this process, which is quick; `process` and `start` run the installed
command as others would, for what only a process of its own shows: its exit, its imports, its death.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from served import cloned

from vibes_pipeline.cli.main import cli
from vibes_pipeline.dagster_host.home import persistent_instance
from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.settings import Settings

VIBES = Path(sys.executable).with_name("vibes")
# What `dagster_home` leaves in the environment of its process.
SET_BY_COMMANDS = (
    "DAGSTER_HOME",
    "VIBES_DAGSTER_STORAGE_URL",
    "VIBES_DAGSTER_SHOWN_FROM",
)

# The template of `tests/conftest.py`: a database with an empty ledger.


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line on standard error; an assertion if it is not just that."""
        lines = self.err.splitlines()
        assert len(lines) == 1, f"not one line on standard error, but:\n{self.err}"
        assert lines[0].startswith("vibes: "), lines[0]
        return lines[0].removeprefix("vibes: ")


@dataclass(frozen=True)
class Shell:
    """`environment` holds the `VIBES_*` variables, None for one that is unset."""

    folder: Path
    environment: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return Path(self.environment["VIBES_HOME"] or "")

    def with_(self, **changes: str | Path | None) -> Shell:
        """The same shell with variables set, or unset by None."""
        given = {name: value if value is None else str(value) for name, value in changes.items()}
        return Shell(self.folder, {**self.environment, **given})

    def __call__(
        self, *arguments: str | Path, typed: str | None = None, encoding: str = "utf-8"
    ) -> Outcome:
        """Run the command in this process; what it raises but for its own exit is raised here.

        `typed` is the answer to what it asks, `encoding` the terminal's.
        """
        inherited = dict.fromkeys([n for n in os.environ if n.startswith("VIBES_")])
        result = CliRunner(charset=encoding).invoke(
            cli,
            [str(argument) for argument in arguments],
            env={**inherited, **dict.fromkeys(SET_BY_COMMANDS), **self.environment},
            prog_name="vibes",
            input=typed,
        )
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    def process(self, *arguments: str | Path) -> Outcome:
        """Run the installed command to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        return Outcome(process.returncode, out, err)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """The installed command, running."""
        return subprocess.Popen(
            [VIBES, *arguments],
            env=self.full_environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def full_environment(self) -> dict[str, str]:
        """What a process of this shell sees: ours, but for the variables that are the shell's."""
        ours = {n: v for n, v in os.environ.items() if not n.startswith(("VIBES_", "DAGSTER_"))}
        return ours | self.set_environment

    @property
    def set_environment(self) -> dict[str, str]:
        """The variables that are the shell's own."""
        return {name: value for name, value in self.environment.items() if value is not None}

    def ledger(self) -> Ledger:
        """Nigeria's ledger as the shell's commands have left it."""
        url = sa.make_url(self.environment["VIBES_POSTGRES_URL"] or "")
        return Ledger(database.connect(url), "NG")


def add_dagsters_tables(administration: sa.Engine, url: sa.URL, home: Path) -> None:
    """Make Dagster's tables in a database that is to be cloned."""
    settings = Settings.from_environment(
        {"VIBES_HOME": str(home), "VIBES_POSTGRES_URL": url.render_as_string(hide_password=False)}
    )
    with pytest.MonkeyPatch.context() as environment:
        for name in SET_BY_COMMANDS:
            environment.setenv(name, "")
        with persistent_instance(settings) as instance:
            instance.get_runs_count()
    # A database that anybody is connected to cannot be cloned; the instance keeps its connections.
    with administration.connect() as connection:
        connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": url.database},
        )


@contextmanager
def new_shell(
    administration: sa.Engine, template: str, warehouse: Path, folder: Path
) -> Iterator[Shell]:
    """A shell whose database is cloned from the template and dropped in the end."""
    with cloned(administration, template) as url:
        yield Shell(
            folder=folder,
            environment={
                "VIBES_HOME": str(folder / "home"),
                "VIBES_WAREHOUSE": str(warehouse),
                "VIBES_POSTGRES_URL": url.render_as_string(hide_password=False),
            },
        )


def imported_by(*arguments: str, shell: Shell) -> set[str]:
    """The packages that a command has imported when it is done."""
    script = (
        "import json, sys; from vibes_pipeline.cli.main import cli\n"
        f"try: cli({list(arguments)!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})), file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-c", script],
        env=shell.full_environment,
        cwd=shell.folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(process.stderr.splitlines()[-1]))
