"""The tables of `vibes export`, by name: the ledger's, and what the lake holds of each cycle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import UsageError
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger

MONEY = pl.Decimal(14, 2)


@dataclass(frozen=True)
class Source:
    """Where tables are read from; `cycle` keeps only the rows of one cycle, or of one day."""

    ledger: Ledger
    lake: Path
    time_zone: ZoneInfo
    cycle: date | None = None

    @property
    def instant(self) -> pl.Datetime:
        """Times are given in the policy's zone."""
        return pl.Datetime("us", self.time_zone.key)


def read_table(name: str, source: Source) -> pl.DataFrame:
    """The rows of a table; `UsageError` when there is none of that name."""
    require_table(name)
    return EXPORTS[name](source)


def require_table(name: str) -> None:
    """`UsageError` that lists the tables, unless there is one of that name."""
    if name not in EXPORTS:
        raise UsageError(
            f"no table {name!r} to export; the tables are {', '.join(sorted(EXPORTS))}"
        )


def actions(source: Source) -> pl.DataFrame:
    """One row per action of every rule with its present state (Rulebook §12)."""
    s = schema.action_states.c
    times = ("proposed_at", "alerted_at", "implemented_at", "reversed_at")
    columns: dict[str, tuple[sa.ColumnElement[object], pl.DataType | type[pl.DataType]]] = {
        "action_id": (sa.cast(s.action_id, sa.Text), pl.String),
        "reference": (s.reference, pl.String),
        "rule": (s.rule, pl.String),
        "cycle": (s.cycle, pl.Date),
        "seller_id": (s.seller_id, pl.String),
        "sku": (s.sku, pl.String),
        "order_number": (s.order_number, pl.String),
        "order_item_id": (s.order_item_id, pl.String),
        "amount": (s.amount, MONEY),
        "currency": (s.currency, pl.String),
        "band": (s.band, pl.Int32),
        "daily_order_limit": (s.daily_order_limit, pl.Int32),
        "pending_to_shipped_limit": (s.pending_to_shipped_limit, pl.Int32),
        "grounds": (s.grounds, pl.String),
        "occurrence": (s.occurrence, pl.Int32),
        "state": (s.state, pl.String),
        "policy_version": (s.policy_version, pl.String),
        **{name: (s[name], source.instant) for name in times},
        "claim_id": (s.claim_id, pl.String),
        "cause": (s.cause, pl.String),
        "withdrawn_at": (s.withdrawn_at, source.instant),
        "expired_at": (s.expired_at, source.instant),
        "event_at": (s.event_at, source.instant),
    }
    return _from_ledger(
        source, columns, s.country, s.cycle, order=(s.cycle, s.rule, s.seller_id, s.action_id)
    )


def charges(source: Source) -> pl.DataFrame:
    """Finance's table: one row per posting, debits positive, reversals negative, in naira."""
    p, a = schema.postings.c, schema.actions.c
    columns: dict[str, tuple[sa.ColumnElement[object], pl.DataType | type[pl.DataType]]] = {
        "posting_id": (sa.cast(p.posting_id, sa.Text), pl.String),
        "action_id": (sa.cast(p.action_id, sa.Text), pl.String),
        "reference": (a.reference, pl.String),
        "kind": (p.kind, pl.String),
        "amount": (p.amount, MONEY),
        "currency": (p.currency, pl.String),
        "posted_at": (p.posted_at, source.instant),
        "statement_period": (p.statement_period, pl.Date),
        "seller_id": (a.seller_id, pl.String),
        "rule": (a.rule, pl.String),
        "order_number": (a.order_number, pl.String),
        "order_item_id": (a.order_item_id, pl.String),
        "sku": (a.sku, pl.String),
        "cycle": (a.cycle, pl.Date),
        "claim_id": (p.claim_id, pl.String),
    }
    postings = _from_ledger(
        source,
        columns,
        a.country,
        a.cycle,
        order=(p.posted_at, a.rule, a.seller_id, p.posting_id),
        joined=schema.postings.join(schema.actions, p.action_id == a.action_id),
    )
    named = postings.join(_shop_names(source), on="seller_id", how="left", maintain_order="left")
    at = postings.columns.index("rule")
    return named.select(*postings.columns[:at], "shop_name", *postings.columns[at:])


def notices(source: Source) -> pl.DataFrame:
    """One row per notice with the outcome of its last attempt; no addresses."""
    n = schema.notice_states.c
    columns: dict[str, tuple[sa.ColumnElement[object], pl.DataType | type[pl.DataType]]] = {
        "notice_id": (sa.cast(n.notice_id, sa.Text), pl.String),
        "kind": (n.kind, pl.String),
        "period": (n.period, pl.Date),
        "seller_id": (n.seller_id, pl.String),
        "planned_at": (n.planned_at, source.instant),
        "status": (n.status, pl.String),
        "attempts": (n.attempts, pl.Int32),
        "last_at": (n.last_at, source.instant),
        "code": (n.code, pl.Int32),
        "detail": (n.detail, pl.String),
    }
    return _from_ledger(
        source, columns, n.country, n.period, order=(n.planned_at, n.kind, n.seller_id)
    )


def cancellations(source: Source) -> pl.DataFrame:
    """The order system's feed: one row per item we cancelled for lateness (Rulebook §9)."""
    c = schema.cancellations.c
    columns: dict[str, tuple[sa.ColumnElement[Any], pl.DataType | type[pl.DataType]]] = {
        "day": (c.day, pl.Date),
        "order_item_id": (c.order_item_id, pl.String),
        "order_number": (c.order_number, pl.String),
        "seller_id": (c.seller_id, pl.String),
        "sku": (c.sku, pl.String),
        "reason": (c.reason, pl.String),
        "cancelled_at": (c.cancelled_at, source.instant),
        "reference": (c.reference, pl.String),
        "action_id": (sa.cast(c.action_id, sa.Text), pl.String),
        "reversed_at": (c.reversed_at, source.instant),
        "claim_id": (c.claim_id, pl.String),
    }
    return _from_ledger(source, columns, c.country, c.day, order=(c.cancelled_at, c.order_item_id))


def claims(source: Source) -> pl.DataFrame:
    """One row per claim with its one state, and how many actions it undid (Rulebook §11)."""
    c, e = schema.claim_states.c, schema.action_events.c
    undone = (
        sa.select(sa.func.count())
        .where(e.claim_id == c.claim_id, e.state.in_(("withdrawn", "reversed")))
        .scalar_subquery()
    )
    columns: dict[str, tuple[sa.ColumnElement[Any], pl.DataType | type[pl.DataType]]] = {
        "claim_id": (c.claim_id, pl.String),
        "category": (c.category, pl.String),
        "seller_id": (c.seller_id, pl.String),
        "order_number": (c.order_number, pl.String),
        "sku": (c.sku, pl.String),
        "action_reference": (c.action_reference, pl.String),
        "raised_at": (c.raised_at, source.instant),
        "state": (c.state, pl.String),
        "intake_state": (c.intake_state, pl.String),
        "faults": (sa.cast(c.faults, sa.Text), pl.String),
        "taken_in_at": (c.taken_in_at, source.instant),
        "decision": (c.decision, pl.String),
        "decided_at": (c.decided_at, source.instant),
        "applied_at": (c.applied_at, source.instant),
        "is_matched": (c.is_matched, pl.Boolean),
        "actions_undone": (undone, pl.Int32),
    }
    day = sa.cast(sa.func.timezone(source.time_zone.key, c.raised_at), sa.Date)
    return _from_ledger(source, columns, c.country, day, order=(c.raised_at, c.claim_id))


def model_rows(source: Source, cycle: date, relation: str) -> pl.DataFrame | None:
    """A model's rows of one cycle; None while it has not been run for it."""
    files = _files(source, [cycle], relation)
    return pl.read_parquet(files[0][1]) if files else None


def _of_each_cycle(relation: str) -> Callable[[Source], pl.DataFrame]:
    """A model's rows of every decided cycle, with the cycle first."""

    def read(source: Source) -> pl.DataFrame:
        frames = [
            pl.read_parquet(file).select(pl.lit(cycle).alias("cycle"), pl.all())
            for cycle, file in _partitions(source, relation)
        ]
        if not frames:
            raise UsageError(f"nothing is decided yet of {relation}; run `vibes run weekly-alert`")
        return pl.concat(frames).sort(pl.all())

    return read


def _quarantine(source: Source) -> pl.DataFrame:
    """Every bad row with its copies and the newest cycle that saw it, also one that was stopped."""
    folder = source.lake / source.ledger.country / Slot.WEEKLY_ALERT
    cycles = sorted(date.fromisoformat(f.name) for f in folder.glob("????-??-??"))
    key = ["table_name", "row_id", "seller_id", "faults", "stored_row"]
    seen = [
        pl.read_parquet(file)
        .group_by(key)
        .agg(pl.len().alias("copies"))
        .with_columns(pl.lit(cycle).alias("last_seen_cycle"))
        for cycle, file in _files(source, cycles, "warehouse.quarantine")
    ]
    if not seen:
        raise UsageError("no warehouse has been looked at yet; run `vibes run weekly-alert`")
    newest = pl.concat(seen).sort("last_seen_cycle").group_by(key, maintain_order=True).last()
    return newest.sort(pl.all())


def _partitions(source: Source, relation: str) -> list[tuple[date, Path]]:
    """The files of the decided cycles, oldest first."""
    c = schema.cycles.c
    with source.ledger.reading() as connection:
        decided = connection.execute(
            sa.select(c.cycle).where(c.country == source.ledger.country).order_by(c.cycle)
        ).scalars()
        return _files(source, list(decided), relation)


def _files(source: Source, cycles: Iterable[date], relation: str) -> list[tuple[date, Path]]:
    stage, name = relation.split(".")
    folder = source.lake / source.ledger.country / Slot.WEEKLY_ALERT
    files = [
        (cycle, folder / cycle.isoformat() / stage / f"{name}.parquet")
        for cycle in cycles
        if source.cycle in (None, cycle)
    ]
    return [(cycle, file) for cycle, file in files if file.exists()]


def _shop_names(source: Source) -> pl.DataFrame:
    """The newest name of each seller that a decided cycle saw."""
    whole = Source(source.ledger, source.lake, source.time_zone)
    frames = [
        pl.read_parquet(file, columns=["seller_id", "shop_name"]).with_columns(
            pl.lit(cycle).alias("cycle")
        )
        for cycle, file in _partitions(whole, "warehouse.sellers")
    ]
    if not frames:
        return pl.DataFrame(schema={"seller_id": pl.String, "shop_name": pl.String})
    names = pl.concat(frames).sort("cycle").group_by("seller_id", maintain_order=True).last()
    return names.select("seller_id", "shop_name")


def _from_ledger(
    source: Source,
    columns: Mapping[str, tuple[sa.ColumnElement[object], pl.DataType | type[pl.DataType]]],
    country: sa.ColumnElement[str],
    cycle: sa.ColumnElement[date],
    *,
    order: tuple[sa.ColumnElement[object], ...],
    joined: sa.FromClause | None = None,
) -> pl.DataFrame:
    select = sa.select(*(column.label(name) for name, (column, _) in columns.items()))
    if joined is not None:
        select = select.select_from(joined)
    select = select.where(country == source.ledger.country).order_by(*order)
    if source.cycle is not None:
        select = select.where(cycle == source.cycle)
    with source.ledger.reading() as connection:
        rows = [tuple(row) for row in connection.execute(select)]
    return pl.DataFrame(
        rows, schema={name: type_ for name, (_, type_) in columns.items()}, orient="row"
    )


EXPORTS: Mapping[str, Callable[[Source], pl.DataFrame]] = {
    "actions": actions,
    "charges": charges,
    "cancellations": cancellations,
    "claims": claims,
    "notices": notices,
    "seller_week": _of_each_cycle("metrics.seller_week"),
    "order_regulations": _of_each_cycle("decisions.order_regulations"),
    "sales_regulations": _of_each_cycle("decisions.sales_regulations"),
    "account_reviews": _of_each_cycle("decisions.account_reviews"),
    "quarantine": _quarantine,
}
