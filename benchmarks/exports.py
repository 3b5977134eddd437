"""What a file of finance's charges, or of their journal, takes: as CSV, Parquet and a workbook.

Here belongs `vibes export` on a ledger of many charges; beside it, what one would type
instead: PostgreSQL's own COPY of the same rows, and pandas. That all of them hold the same rows
is checked, not assumed. The ledger is a real one, in the embedded PostgreSQL.

This module imports little by itself: each contender runs in a process of its own and imports there
what it needs, so that its peak memory is its own.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import click
from made_ledger import COUNTRY, open_made
from measure import Stopwatch, Taken, in_fresh_process
from weekly_compute import gib, machine, tell

if TYPE_CHECKING:
    from vibes_pipeline.exports.tables import Source
    from vibes_pipeline.ledger.ledger import Ledger

ORDER = "posted_at, rule, seller_id, posting_id"
COLUMNS = (
    "posting_id, action_id, reference, kind, amount, currency, posted_at, statement_period, "
    "seller_id, shop_name, rule, order_number, order_item_id, sku, cycle, claim_id"
)
LINES = (
    "(posted_at AT TIME ZONE 'Africa/Lagos')::date AS date, statement_period, account, debit, "
    "credit, currency, reference, seller_id, rule, kind, posting_id"
)
OURS = f"WHERE country = '{COUNTRY}' ORDER BY {ORDER}"
QUERIES = {
    "charges": f"SELECT {COLUMNS} FROM finance.charges {OURS}",
    "journal": f"SELECT {LINES} FROM finance.journal {OURS}, credit",
}
# The column that is summed up, and what is compared of each row.
COMPARED = {
    "charges": (
        "amount",
        "posting_id::VARCHAR, action_id::VARCHAR, reference, kind, amount::DECIMAL(14, 2), "
        "currency, posted_at::TIMESTAMPTZ, statement_period::DATE, seller_id, shop_name, rule, "
        "order_number, order_item_id, sku, cycle::DATE, coalesce(claim_id::VARCHAR, '')",
    ),
    "journal": (
        "debit",
        "date::DATE, statement_period::DATE, account::VARCHAR, debit::DECIMAL(14, 2), "
        "credit::DECIMAL(14, 2), currency, reference, seller_id, rule, kind, posting_id::VARCHAR",
    ),
}

PIPELINE, COPY, PANDAS = "vibes export", "COPY", "pandas"


class Contender(NamedTuple):
    """Who writes the file, and of which kind."""

    name: str
    ending: str


# --- the contenders -------------------------------------------------------------------------------


def source(home: Path) -> Source:
    from vibes_pipeline.exports.tables import Source
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.policy import load_policy
    from vibes_pipeline.settings import Settings

    settings = Settings.from_environment({"VIBES_HOME": str(home)})
    policy = load_policy("ng")
    ledger = Ledger.open_existing(settings, policy.country)
    return Source(ledger, settings.lake, policy.time_zone)


def write_by_pipeline(home: Path, file: Path) -> Taken:
    from vibes_pipeline.exports.files import write_rows
    from vibes_pipeline.exports.tables import open_table
    from vibes_pipeline.exports.workbook import write_charges

    made = source(home)
    watch = Stopwatch()
    if file.name == "charges.xlsx":
        write_charges(made, file)
    else:
        with open_table(file.stem, made) as rows:
            write_rows(rows, file, file.stem)
    return watch.stop()


def write_by_copy(home: Path, file: Path) -> Taken:
    driver = source(home).ledger.engine.raw_connection()
    watch = Stopwatch()
    with file.open("wb") as out, driver.cursor() as cursor:
        cursor.copy_expert(f"COPY ({QUERIES[file.stem]}) TO STDOUT (FORMAT csv, HEADER)", out)
    return watch.stop()


def write_by_pandas(home: Path, file: Path) -> Taken:
    import pandas as pd

    made = source(home)
    watch = Stopwatch()
    frame = pd.read_sql(QUERIES[file.stem], made.ledger.engine)
    if "posted_at" in frame:
        frame["posted_at"] = frame["posted_at"].dt.tz_convert(made.time_zone.key)
    for money in {"amount", "debit", "credit"} & {*frame.columns}:
        frame[money] = frame[money].map(lambda amount: Decimal(f"{amount:.2f}"))
    match file.suffix:
        case ".csv":
            frame.to_csv(file, index=False)
        case ".parquet":
            frame.to_parquet(file, index=False)
        case _:
            if "posted_at" in frame:
                frame["posted_at"] = frame["posted_at"].dt.tz_localize(None)
            frame.to_excel(file, index=False, engine="xlsxwriter")
    return watch.stop()


WRITERS: Mapping[str, Callable[[Path, Path], Taken]] = {
    PIPELINE: write_by_pipeline,
    COPY: write_by_copy,
    PANDAS: write_by_pandas,
}


# --- what was written -----------------------------------------------------------------------------


def content(file: Path) -> tuple[int, Decimal, int | None]:
    """Rows, the total of their amounts, and a sum of the rows' hashes (none of a workbook)."""
    if file.suffix == ".xlsx":
        return *sheet_content(file), None
    import duckdb

    summed, compared = COMPARED[file.stem]
    place = str(file).replace("'", "''")
    read = f"'{place}'" if file.suffix == ".parquet" else f"read_csv('{place}', all_varchar = true)"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        row = connection.execute(
            f"SELECT count(*), sum({summed}::DECIMAL(14, 2)), sum(hash({compared})::HUGEINT) "
            f"FROM {read}"
        ).fetchone()
    assert row is not None
    return row


def sheet_content(file: Path) -> tuple[int, Decimal]:
    """The rows below a sheet's header, and the sum of the numbers that are amounts."""
    rows, total, rest = -1, Decimal(0), b""
    column = None
    with zipfile.ZipFile(file) as parts, parts.open("xl/worksheets/sheet1.xml") as sheet:
        while block := sheet.read(1 << 22):
            if column is None:
                column = amount_column(parts, COMPARED[file.stem][0])
            whole, mark, rest = (rest + block).rpartition(b"</row>")
            rows += (whole + mark).count(b"</row>")
            found = re.findall(rb'<c r="%s\d+"(?: s="\d+")?><v>([^<]+)</v>' % column, whole)
            total += sum(Decimal(value.decode()) for value in found)
    return rows, round(total, 2)


def amount_column(parts: zipfile.ZipFile, summed: str) -> bytes:
    """The letter of the column that is summed up, by the header of the sheet."""
    import openpyxl

    assert parts.filename is not None
    header = next(openpyxl.load_workbook(parts.filename, read_only=True).worksheets[0].iter_rows())
    return next(c.column_letter for c in header if c.value == summed).encode()


# --- the rounds and their report ------------------------------------------------------------------


@click.command()
@click.option("--charges", type=click.IntRange(min=1), default=1_000_000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Home of the made ledger, used again by later runs.  [default: a temporary one]",
)
@click.option("--table", type=click.Choice([*QUERIES]), default="charges", show_default=True)
@click.option("--workbooks/--no-workbooks", default=True, help="Whether workbooks are written.")
def main(charges: int, rounds: int, keep: Path | None, table: str, workbooks: bool) -> None:
    """Measure the files of a ledger's charges and print a Markdown table."""
    # A short path, for the ledger's socket lies in it.
    with tempfile.TemporaryDirectory(prefix="vibes-", dir="/tmp") as scratch:
        home = (keep or Path(scratch) / "home").resolve()
        # This process holds the embedded server, so that no contender starts it.
        ledger = open_made(home, charges)
        name_accounts(ledger)
        names = [PIPELINE, COPY, *([PANDAS] if find_spec("pandas") else [])]
        endings = (".csv", ".parquet", *([".xlsx"] if workbooks else []))
        contenders = [
            Contender(name, ending)
            for ending in endings
            for name in names
            if name != COPY or ending == ".csv"
        ]
        click.echo(report(charges, take_turns(home, Path(scratch), table, contenders, rounds)))
        ledger.close()


def name_accounts(ledger: Ledger) -> None:
    """Record the policy's accounts, unless an earlier run has."""
    from vibes_pipeline.ledger.accounts import record_first_accounts
    from vibes_pipeline.policy import load_policy

    now = ledger.newest_event_at()
    assert now is not None
    with ledger.engine.begin() as connection:
        accounts = load_policy("ng").accounts_on(now.date())
        record_first_accounts(connection, ledger.country, accounts, now)


def take_turns(
    home: Path, folder: Path, table: str, contenders: Sequence[Contender], rounds: int
) -> Mapping[Contender, Sequence[Taken]]:
    """Let each write its file, round by round; fails unless all hold the same."""
    taken: dict[Contender, list[Taken]] = {contender: [] for contender in contenders}
    expected: dict[bool, tuple[int, Decimal, int | None]] = {}
    for number in range(rounds):
        for contender in contenders[:: -1 if number % 2 else 1]:
            file = folder / f"{table}{contender.ending}"
            taken[contender].append(in_fresh_process(WRITERS[contender.name], home, file))
            made = in_fresh_process(content, file)
            first = expected.setdefault(contender.ending == ".xlsx", made)
            if made != first:
                raise SystemExit(
                    f"{contender.name} wrote {made} as {contender.ending}, not {first}"
                )
            tell(f"{contender.name} {contender.ending}: {taken[contender][-1].seconds:.2f} s")
            file.unlink()
    return taken


def report(charges: int, taken: Mapping[Contender, Sequence[Taken]]) -> str:
    lines = [
        f"{charges:,} charges; {machine()}.",
        "",
        "| | | seconds | each round | processor seconds | peak memory |",
        "| --- | --- | ---: | --- | ---: | ---: |",
    ]
    for contender, runs in taken.items():
        lines.append(
            f"| {contender.ending[1:]} | {contender.name} "
            f"| {median(run.seconds for run in runs):.2f} "
            f"| {' · '.join(f'{run.seconds:.2f}' for run in runs)} "
            f"| {median(run.cpu_seconds for run in runs):.2f} "
            f"| {gib(max(run.peak_bytes for run in runs))} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
