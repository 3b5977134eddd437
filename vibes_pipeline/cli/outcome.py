"""What commands print of decisions, mails and postings; rich never reads seller text as markup."""

from __future__ import annotations

from decimal import Decimal
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import polars as pl
from rich.table import Table
from rich.text import Text

from vibes_pipeline.cli.common import console
from vibes_pipeline.exports import tables
from vibes_pipeline.exports.tables import Source
from vibes_pipeline.ledger.states import State
from vibes_pipeline.policy import Policy
from vibes_pipeline.rules import Rule


def print_actions(source: Source, policy: Policy) -> None:
    """Actions by rule: how many in which state, and their naira."""
    actions = tables.read_table("actions", source)
    if actions.is_empty():
        console.print("no actions")
        return
    counts = actions.group_by("rule", "state").len()
    shown = [s for s in State if s in set(counts["state"])]
    table = Table(title="What was decided", title_justify="left")
    table.add_column("rule")
    for state in shown:
        table.add_column(state, justify="right")
    table.add_column("amount", justify="right")
    for rule in (r for r in Rule if r in set(actions["rule"])):
        mine = actions.filter(pl.col("rule") == rule)
        by_state = dict(mine.group_by("state").len().iter_rows())
        table.add_row(
            rule.value,
            *(f"{by_state.get(state, 0):,}" for state in shown),
            policy.money(total(mine)) if total(mine) else "",
        )
    console.print(table)


def print_notices(source: Source) -> None:
    """Notices by kind and status."""
    notices = tables.read_table("notices", source)
    table = Table(title="What sellers were told", title_justify="left")
    for column, justify in (("notice", "left"), ("status", "left"), ("mails", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for kind, status, count in notices.group_by("kind", "status").len().sort(pl.all()).iter_rows():
        table.add_row(kind, status, f"{count:,}")
    console.print(table)


def print_postings(source: Source, policy: Policy) -> None:
    """Finance's postings by statement period."""
    postings = tables.read_table("charges", source)
    table = Table(title="What finance pulls (vibes export charges)", title_justify="left")
    for column in ("statement period", "postings", "debits", "reversals", "net"):
        table.add_column(column, justify="left" if column == "statement period" else "right")
    for (period,), mine in postings.group_by("statement_period", maintain_order=True):
        debits = total(mine.filter(pl.col("kind") == "debit"))
        reversals = total(mine.filter(pl.col("kind") == "reversal"))
        table.add_row(
            str(period),
            f"{mine.height:,}",
            policy.money(debits),
            policy.money(reversals),
            policy.money(debits + reversals),
        )
    console.print(table)


def print_cancellations(source: Source) -> None:
    """Late orders by day: alerted, cancelled (in the order system's feed), and withdrawn."""
    feed = tables.read_table("cancellations", source)
    late = tables.read_table("actions", source).filter(
        pl.col("rule").str.starts_with("late_").and_(pl.col("rule").str.ends_with("_cancellation"))
    )
    table = Table(title="Late orders (the feed: vibes export cancellations)", title_justify="left")
    for column in ("day", "alerted", "cancelled", "updated or cancelled in time"):
        table.add_column(column, justify="left" if column == "day" else "right")
    for (day,), mine in late.group_by("cycle", maintain_order=True):
        table.add_row(
            str(day),
            f"{mine['alerted_at'].count():,}",
            f"{feed.filter(pl.col('day') == day).height:,}",
            f"{mine.filter(pl.col('state') == 'withdrawn').height:,}",
        )
    console.print(table)


def print_claims(source: Source) -> None:
    """Claims by state, and the actions that the upheld ones undid."""
    claims = tables.read_table("claims", source)
    table = Table(title="What sellers claimed (vibes export claims)", title_justify="left")
    for column in ("state", "claims", "actions undone"):
        table.add_column(column, justify="left" if column == "state" else "right")
    by_state = claims.group_by("state").agg(pl.len(), pl.col("actions_undone").sum()).sort("state")
    for state, count, undone in by_state.iter_rows():
        table.add_row(state, f"{count:,}", f"{undone:,}" if undone else "")
    console.print(table)


def print_charge(postings: pl.DataFrame, policy: Policy) -> None:
    """The postings of one charge that a claim reversed; their sum is zero."""
    table = Table(title="A charge that an upheld claim cancelled", title_justify="left")
    for column in ("posted", "kind", "rule", "order", "claim", "amount"):
        table.add_column(column, justify="right" if column == "amount" else "left")
    for row in postings.sort("posted_at").iter_rows(named=True):
        cells = (row["kind"], row["rule"], row["order_number"] or "", row["claim_id"] or "")
        table.add_row(
            f"{row['posted_at']:%Y-%m-%d %H:%M}",
            *map(Text, cells),
            policy.money(row["amount"]),
        )
    console.print(table)


def print_mail(message: EmailMessage) -> None:
    """One mail as its seller reads it, in plain text."""
    body = message.get_body(("plain",))
    text = body.get_content() if body else ""
    console.rule("One of the mails")
    console.print(Text(f"To: {message['To']}\nSubject: {message['Subject']}\n\n{text.strip()}"))
    console.rule(characters="-")


def read_mail(maildir: Path, notice_id: str) -> EmailMessage | None:
    """A notice's mail in the Maildir, if it is there."""
    for file in maildir.glob(f"*/{notice_id}*"):
        return message_from_bytes(file.read_bytes(), _class=EmailMessage, policy=default)
    return None


def total(rows: pl.DataFrame) -> Decimal:
    """The exact sum of the column `amount`."""
    return sum(rows["amount"].drop_nulls(), Decimal("0.00"))
