"""The command group, and how errors become one line and an exit status."""

from __future__ import annotations

import io
import sys
import traceback
from importlib import import_module
from typing import Any, NoReturn

import click

from vibes_pipeline.errors import VibesError
from vibes_pipeline.files import disk_refusal, keep_to_owner

# Command → module and one line of help; the module is imported when the command is used.
COMMANDS = {
    "demo": ("demo", "Make a marketplace, replay its weeks, and show what came of it."),
    "up": ("up", "Bring up the Dagster UI and daemon."),
    "run": ("run", "Run one slot, now or as of a given time."),
    "replay": ("replay", "Run every slot due in a span, in order of time."),
    "simulate": ("simulate", "Decide past cycles by a draft policy too, and tell what differs."),
    "generate": ("generate", "Make a marketplace."),
    "import": ("importing", "Import a real marketplace."),
    "export": ("export", "Write a table as CSV, Parquet or XLSX."),
    "statement": ("statement", "Write one seller's statement as an HTML page."),
    "close": ("close", "Close a statement period, or verify those that are closed."),
    "explain": ("explain", "Say why a rule struck, or why it did not."),
    "standing": ("standing", "Say where a seller stands: if the week ended now."),
    "claims": ("claims", "List the claims that wait for a person; show or decide one."),
    "reviews": ("reviews", "List the accounts that wait for a review; show or decide one."),
    "status": ("status", "Say whether all is well: slots, what waits, freshness."),
    "report": ("report", "Write the report of a week as an HTML page."),
    "mail": ("mail", "Look at the mails that sellers get, or send what was not sent."),
    "migrate": ("migrate", "Bring the ledger's schema to the revision this version needs."),
    "prune": ("prune", "Delete the record of old runs, or old partitions of the lake."),
    "sql": ("sql", "Ask a question in SQL; nothing is changed."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when used; VibesErrors become one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command; a character that the terminal cannot encode is written as its code."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(
                args[0], possibilities=COMMANDS, ctx=ctx
            ) from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"vibes_pipeline.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        keep_to_owner()
        try:
            return super().invoke(ctx)
        except VibesError as error:
            self._fail(ctx, str(error), error.exit_status)
        except OSError as error:
            # A disk that takes no more can stop any command; the program is not at fault.
            if disk_refusal(error) is None:
                raise
            self._fail(ctx, f"{error}; make room and try again", VibesError.exit_status)

    def _fail(self, ctx: click.Context, why: str, status: int) -> NoReturn:
        if ctx.params.get("debug"):
            traceback.print_exc()
        click.echo(f"vibes: {why}", err=True)
        sys.exit(status)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--debug",
    is_flag=True,
    help="Show the traceback of an error, and Dagster's events of `up` and `run`.",
)
@click.version_option(package_name="vibes-pipeline", message="%(prog)s %(version)s")
def cli(debug: bool) -> None:
    """The VIBES seller-quality programme: order tables in, kept promises out.

    State lives under VIBES_HOME (default ./var); the order warehouse is VIBES_WAREHOUSE. Without
    VIBES_POSTGRES_URL a PostgreSQL of our own runs under VIBES_HOME; without VIBES_SMTP_URL mail
    goes to a Maildir there.
    """
