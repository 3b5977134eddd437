"""`vibes sql`: answer SQL over warehouse, policy, models and ledger; it changes nothing."""

from __future__ import annotations

import csv
import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from vibes_pipeline.cli.common import console, printable, settings_and_policy
from vibes_pipeline.errors import VibesError
from vibes_pipeline.listing import counted

if TYPE_CHECKING:
    from vibes_pipeline.exports.query import Answer, Library

ROWS_SHOWN = 200
# With at most so many columns, a table whose cells are wrapped can still be read.
COLUMNS_SQUEEZED = 4
WIDEST = 100_000
PROMPT, CONTINUED = "vibes> ", "  ...> "
LEAVING = ("exit", "quit", "\\q")


@click.command(name="sql")
@click.argument("statement", required=False)
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How the answer is printed.",
)
@click.option(
    "--limit", default=ROWS_SHOWN, show_default=True, help="Rows of a table to print; 0 for all."
)
@click.option(
    "--describe",
    is_flag=False,
    flag_value="",
    metavar="[RELATION]",
    help="List the relations, or the columns of one, with what they mean.",
)
def command(statement: str | None, style: str, limit: int, describe: str | None) -> None:
    """Answer one SQL STATEMENT; without one, ask for them one after the other.

    DuckDB's SQL over raw.* (the order warehouse), policy.*, the models of every decided cycle
    (warehouse.*, events.*, metrics.*, decisions.*, with the cycle first), ledger.*, finance.* and
    enforcement.*. It only reads.
    """
    from vibes_pipeline.exports.query import Library

    library = Library(*settings_and_policy())
    rows = limit if style == "table" and limit > 0 else None
    if describe is not None:
        _print(_described(library, describe), style)
    elif statement is not None:
        _print(library.ask(statement, rows), style)
    elif sys.stdin.isatty():
        _converse(library, style, rows)
    else:
        # A file of SQL is UTF-8, whatever the terminal's encoding is.
        piped = sys.stdin.buffer.read()
        _print(library.ask(piped.decode(errors="surrogateescape"), rows), style)


def _described(library: Library, relation: str) -> Answer:
    """The relations, or the columns of one."""
    from vibes_pipeline.exports.query import Answer

    if not relation:
        return library.listed()
    columns = [(c.name, c.type, c.description) for c in library.columns(relation)]
    return Answer(["column", "type", "meaning"], columns)


def _converse(library: Library, style: str, rows: int | None) -> None:
    """Answer statements, each ended by a semicolon, until Ctrl-D."""
    with suppress(ImportError):
        import readline  # noqa: F401  # gives input() a history and its keys

    console.print("A statement ends with a semicolon; Ctrl-D leaves.")
    while (statement := _read_statement()) is not None:
        try:
            if statement.strip("; \n\t"):
                _print(library.ask(statement, rows), style)
        except VibesError as error:
            click.echo(f"vibes: {printable(error)}", err=True)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)


def _read_statement() -> str | None:
    """Lines up to a semicolon; None at the end of input; empty after Ctrl-C."""
    lines: list[str] = []
    while True:
        try:
            line = input(CONTINUED if lines else PROMPT)
        except EOFError:
            click.echo()
            return None
        except KeyboardInterrupt:
            click.echo()
            return ""
        if not lines and line.strip().rstrip(";").lower() in LEAVING:
            return None
        lines.append(line)
        if line.rstrip().endswith(";"):
            return "\n".join(lines)


def _print(answer: Answer, style: str) -> None:
    match style:
        case "csv":
            _print_csv(answer)
        case "json":
            rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
            # JSON in ASCII: no character of a text can then move a terminal's cursor.
            click.echo(json.dumps(rows, default=str, indent=1))
        case _:
            _print_table(answer)


def _print_csv(answer: Answer) -> None:
    """Print CSV as `vibes export` writes it: a spreadsheet takes no cell for a formula."""
    from vibes_pipeline.cells import harmless_text

    terminal = sys.stdout.isatty()
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    for row in answer.rows:
        cells = (harmless_text(value) if isinstance(value, str) else value for value in row)
        writer.writerow([printable(cell) for cell in cells] if terminal else list(cells))


def _print_table(answer: Answer) -> None:
    """Print a table, or record by record if it has many columns and the terminal is narrow."""
    table = Table()
    for column in answer.columns:
        table.add_column(Text(printable(column)))
    for row in answer.rows:
        table.add_row(*(Text(printable(value)) for value in row))
    needed = Measurement.get(console, console.options.update(width=WIDEST), table).maximum
    if console.is_terminal and needed > console.width and len(answer.columns) > COLUMNS_SQUEEZED:
        _print_records(answer)
    else:
        # In a pipe each row is one line, however wide it is.
        wide = console if console.is_terminal else Console(highlight=False, width=needed)
        wide.print(table)
    more = "; there are more (--limit)" if answer.is_cut else ""
    console.print(f"{counted(len(answer.rows), 'row')}{more}")


def _print_records(answer: Answer) -> None:
    for row in answer.rows:
        record = Table.grid(padding=(0, 2))
        for column, value in zip(answer.columns, row, strict=True):
            record.add_row(Text(printable(column)), Text(printable(value)))
        console.rule(characters="-")
        console.print(record)
