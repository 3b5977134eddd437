"""The tables of `vibes export`, by name: the ledger's, and what the lake holds of each cycle.

What finance and enforcement pull are the ledger's own views of the same name, column by column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import sqlalchemy as sa

from vibes_pipeline import parquet
from vibes_pipeline.calendar import EVERY_DAY, Days, Slot, monday_of
from vibes_pipeline.errors import UsageError, unknown
from vibes_pipeline.exports.rows import Rows
from vibes_pipeline.lake import partition_folder, require_kept
from vibes_pipeline.ledger import feeds, schema, views
from vibes_pipeline.ledger.accounts import without_accounts
from vibes_pipeline.ledger.actions import SHOWN_COLUMNS
from vibes_pipeline.ledger.frames import frame_schema, in_frame, read_in_batches
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.states import CANCELLED


@dataclass(frozen=True)
class Source:
    """Where tables are read from; `cycle` keeps only the rows of one cycle, or of one day.

    Of finance's tables `statement_period` keeps only what was posted in one week, `days` what is
    of some days (of a posting the day that it was posted, of a sum the Monday of its period), and
    `seller_id` what is one seller's.
    """

    ledger: Ledger
    lake: Path
    time_zone: ZoneInfo
    cycle: date | None = None
    statement_period: date | None = None
    days: Days = EVERY_DAY
    seller_id: str | None = None
    connection: sa.Connection | None = None
    # The sellers' standings, which are calculated when they are asked for.
    standings: Callable[[], pl.DataFrame] | None = None

    @property
    def instant(self) -> pl.Datetime:
        """The type of an instant: times are given in the policy's zone."""
        return pl.Datetime("us", self.time_zone.key)

    @property
    def has_whole_statements(self) -> bool:
        """Whether what is kept of the postings is what the statements and totals sum."""
        return self.cycle is None and self.seller_id is None and self.days == EVERY_DAY

    @contextmanager
    def at_one_moment(self) -> Iterator[Source]:
        """The same source, all of whose tables belong to one moment of the ledger."""
        with self.reading() as connection:
            yield replace(self, connection=connection)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A snapshot of the ledger."""
        if self.connection is not None:
            yield self.connection
        else:
            with self.ledger.reading() as connection:
                yield connection


@contextmanager
def open_table(name: str, source: Source) -> Iterator[Rows]:
    """The rows of a table, times in the policy's zone; `UsageError` for an unknown table.

    They belong to one moment of the ledger, and are read while the block lasts.
    """
    require_table(name)
    with source.at_one_moment() as now:
        yield _rows(EXPORTS[name](now), source.time_zone)


def read_table(name: str, source: Source) -> pl.DataFrame:
    """The same as one frame."""
    with open_table(name, source) as rows:
        return rows.in_one()


def _rows(found: Rows | pl.DataFrame, zone: ZoneInfo) -> Rows:
    rows = Rows.of(found) if isinstance(found, pl.DataFrame) else found
    # The lake's instants are in UTC.
    local = pl.col(pl.Datetime(time_zone="*")).dt.convert_time_zone(zone.key)
    return rows.mapped(lambda frame: frame.with_columns(local))


def require_table(name: str) -> None:
    """`UsageError` that lists the tables, unless there is one of that name."""
    if name not in EXPORTS:
        raise unknown("table", name, sorted(EXPORTS))


def require_seller(ledger: Ledger, seller_id: str) -> None:
    """`UsageError` unless the ledger has an action against the seller."""
    a = schema.actions.c
    mine = sa.select(1).where(a.country == ledger.country, a.seller_id == seller_id).limit(1)
    with ledger.reading() as connection:
        if connection.execute(mine).first() is None:
            raise UsageError(
                f"the ledger has no action against a seller {seller_id!r}; mind capital letters"
            )


def actions(source: Source) -> Rows:
    """One row per action of every rule with its present state (Rulebook §12)."""
    s = views.action_states.c
    return _from_ledger(
        source,
        [s[name] for name in SHOWN_COLUMNS],
        s.country,
        s.cycle,
        order=(s.cycle, s.rule, s.seller_id, s.action_id),
    )


def notices(source: Source) -> Rows:
    """One row per notice with the outcome of its last attempt; no addresses."""
    n = views.notice_states.c
    columns = (
        *("notice_id", "kind", "period", "seller_id", "planned_at", "status", "attempts"),
        *("last_at", "code", "detail"),
    )
    return _from_ledger(
        source,
        [n[name] for name in columns],
        n.country,
        n.period,
        order=(n.planned_at, n.kind, n.seller_id),
    )


def _feed(view: sa.Table, order: Sequence[str], cycle: str = "cycle") -> Callable[[Source], Rows]:
    """Reads the country's rows of a view, all its columns but `country`; ids as text."""

    def read(source: Source) -> Rows:
        return _from_ledger(
            source,
            [c for c in view.columns if c.name != "country"],
            view.c.country,
            # A view without a cycle sums what several cycles decided: it cannot be filtered by one.
            view.c[cycle] if cycle in view.c else sa.null(),
            order=tuple(view.c[name] for name in order),
            where=_asked_of_finance(source, view),
        )

    return read


def journal(source: Source) -> Rows:
    """Two lines per posting, the debit first, by the local date of posting (Rulebook §17).

    `LedgerError` while reading when a posting bears no accounts.
    """
    view = feeds.journal
    j = view.c
    rows = _from_ledger(
        source,
        [
            _local_date(source, j.posted_at).label("date"),
            *(c for c in j if c.name not in ("posted_at", "country")),
        ],
        j.country,
        sa.null(),
        order=(j.posted_at, j.rule, j.seller_id, j.posting_id, j.credit),
        where=_asked_of_finance(source, view),
    )
    return rows.mapped(_with_accounts)


def _with_accounts(lines: pl.DataFrame) -> pl.DataFrame:
    if lines["account"].null_count():
        raise without_accounts(set(lines.filter(pl.col("account").is_null())["rule"]))
    return lines


def _asked_of_finance(source: Source, view: sa.Table) -> list[sa.ColumnElement[bool]]:
    """What finance's options keep of a view; of the views of others nothing is asked."""
    v, first, last = view.c, source.days.first, source.days.last
    where: list[sa.ColumnElement[bool]] = []
    if "statement_period" not in v:
        return where
    if source.seller_id is not None:
        where.append(v.seller_id == source.seller_id)
    if source.statement_period is not None:
        where.append(v.statement_period == source.statement_period)
    day = _local_date(source, v.posted_at) if "posted_at" in v else v.statement_period
    # Of a posting the period says the same less exactly, but has an index.
    if first is not None:
        where += [day >= first, v.statement_period >= monday_of(first)]
    if last is not None:
        where += [day <= last, v.statement_period <= last]
    return where


def _local_date(source: Source, instant: sa.ColumnElement[Any]) -> sa.ColumnElement[date]:
    return sa.cast(sa.func.timezone(source.time_zone.key, instant), sa.Date)


def delistings(source: Source) -> pl.DataFrame:
    """Products and accounts delisted now; `sku` is null where it is the account (Rulebook §8)."""
    with source.at_one_moment() as now:
        frames = [_product_delistings(now).in_one(), _account_delistings(now).in_one()]
    columns = frames[0].columns
    return pl.concat(frames, how="diagonal").select(columns)


def claims(source: Source) -> Rows:
    """One row per claim with its one state, and how many actions it undid (Rulebook §11)."""
    c, e = views.claim_states.c, schema.action_events.c
    undone = (
        sa.select(sa.cast(sa.func.count(), sa.Integer))
        .where(e.claim_id == c.claim_id, e.state.in_(CANCELLED))
        .scalar_subquery()
    )
    columns = [
        *(column for column in c if column.name not in ("country", "content_hash")),
        undone.label("actions_undone"),
    ]
    day = _local_date(source, c.raised_at)
    return _from_ledger(source, columns, c.country, day, order=(c.raised_at, c.claim_id))


def standings(source: Source) -> pl.DataFrame:
    """One row per seller: what the week would bring if it ended at an instant (Rulebook §15)."""
    assert source.standings is not None
    return source.standings().sort("seller_id")


def model_rows(source: Source, cycle: date, relation: str) -> pl.DataFrame | None:
    """A model's rows of one cycle; None while it has not been run for it."""
    files = _files(source, [cycle], relation)
    return parquet.read(files[0][1]) if files else None


def _of_each_cycle(relation: str) -> Callable[[Source], pl.DataFrame]:
    """A model's rows of every decided cycle, with the cycle first."""

    def read(source: Source) -> pl.DataFrame:
        frames = [
            parquet.read(file).select(pl.lit(cycle).alias("cycle"), pl.all())
            for cycle, file in decided_partitions(source, relation)
        ]
        # A column that a model got later is null in the cycles before.
        return pl.concat(frames, how="diagonal").sort(pl.all())

    return read


def _quarantine(source: Source) -> pl.DataFrame:
    """Every bad row with its copies and the newest cycle that saw it, also one that was stopped."""
    folder = source.lake / source.ledger.country / Slot.WEEKLY_ALERT
    cycles = sorted(date.fromisoformat(f.name) for f in folder.glob("????-??-??"))
    files = _files(replace(source, cycle=None), cycles, "warehouse.quarantine")
    if not files:
        raise UsageError("no warehouse has been looked at yet; run `vibes run weekly-alert`")
    wanted = [(cycle, file) for cycle, file in files if source.cycle in (None, cycle)]
    if not wanted:
        _require_kept(source)
        raise UsageError(
            f"no alert of cycle {source.cycle} has looked at the warehouse; the newest that has is "
            f"{files[-1][0]}"
        )
    key = ["table_name", "row_id", "seller_id", "faults", "stored_row"]
    seen = [
        parquet.read(file)
        .group_by(key)
        .agg(pl.len().alias("copies"))
        .with_columns(pl.lit(cycle).alias("last_seen_cycle"))
        for cycle, file in wanted
    ]
    newest = pl.concat(seen).sort("last_seen_cycle").group_by(key, maintain_order=True).last()
    return newest.sort(pl.all())


def partitions(source: Source, relation: str) -> list[tuple[date, Path]]:
    """The files of the decided cycles, oldest first."""
    c = schema.cycles.c
    with source.reading() as connection:
        decided = connection.execute(
            sa.select(c.cycle).where(c.country == source.ledger.country).order_by(c.cycle)
        ).scalars()
        return _files(source, list(decided), relation)


def decided_partitions(source: Source, relation: str) -> list[tuple[date, Path]]:
    """`partitions` of which there is one at least; `UsageError` where nothing is decided yet."""
    found = partitions(source, relation)
    if not found:
        _require_kept(source)
        raise UsageError(f"nothing is decided yet of {relation}; run `vibes run weekly-alert`")
    return found


def _files(source: Source, cycles: Iterable[date], relation: str) -> list[tuple[date, Path]]:
    stage, name = relation.split(".")
    files = [
        (cycle, _folder(source, cycle) / stage / f"{name}.parquet")
        for cycle in cycles
        if source.cycle in (None, cycle)
    ]
    return [(cycle, file) for cycle, file in files if file.exists()]


def _require_kept(source: Source) -> None:
    """`UsageError` when the one cycle asked for is too old to be in the lake."""
    if source.cycle is not None:
        require_kept(_folder(source, source.cycle), source.cycle)


def _folder(source: Source, cycle: date) -> Path:
    return partition_folder(source.lake, source.ledger.country, Slot.WEEKLY_ALERT, cycle)


def _from_ledger(
    source: Source,
    columns: Sequence[sa.ColumnElement[Any]],
    country: sa.ColumnElement[str],
    cycle: sa.ColumnElement[Any],
    *,
    order: tuple[sa.ColumnElement[object], ...],
    where: Sequence[sa.ColumnElement[bool]] = (),
) -> Rows:
    select = sa.select(*map(in_frame, columns)).where(country == source.ledger.country, *where)
    if source.cycle is not None:
        select = select.where(cycle == source.cycle)

    def count() -> int:
        with source.reading() as connection:
            counted = sa.select(sa.func.count()).select_from(select.subquery())
            return connection.execute(counted).scalar_one()

    def each(do: Callable[[pl.DataFrame], object]) -> None:
        with source.reading() as connection:
            read_in_batches(connection, select.order_by(*order), do, source.instant)

    return Rows(frame_schema(select.selected_columns, source.instant), count, each)


charges = _feed(feeds.charges, ("posted_at", "rule", "seller_id", "posting_id"))
seller_statement_lines = _feed(
    feeds.seller_statement_lines, ("statement_period", "seller_id", "rule", "currency")
)
seller_statements = _feed(feeds.seller_statements, ("statement_period", "seller_id", "currency"))
charge_totals = _feed(feeds.charge_totals, ("statement_period", "rule", "currency"))
_period_closes = _feed(feeds.period_closes, ("statement_period",))
_period_close_totals = _feed(feeds.period_close_totals, ("statement_period", "rule", "currency"))
cancellations = _feed(feeds.cancellations, ("cancelled_at", "order_item_id"), cycle="day")
_product_delistings = _feed(feeds.product_delistings, ("seller_id", "sku"))
_account_delistings = _feed(feeds.account_delistings, ("seller_id",))

EXPORTS: Mapping[str, Callable[[Source], Rows | pl.DataFrame]] = {
    "actions": actions,
    "charges": charges,
    "seller_statement_lines": seller_statement_lines,
    "seller_statements": seller_statements,
    "charge_totals": charge_totals,
    "journal": journal,
    "period_closes": _period_closes,
    "period_close_totals": _period_close_totals,
    "order_regulations_in_force": _feed(feeds.order_regulations_in_force, ("seller_id",)),
    "sales_regulations_in_force": _feed(
        feeds.sales_regulations_in_force, ("seller_id", "sku", "in_force_from")
    ),
    "delistings": delistings,
    "cancellations": cancellations,
    "claims": claims,
    "notices": notices,
    "standings": standings,
    "seller_week": _of_each_cycle("metrics.seller_week"),
    "order_regulations": _of_each_cycle("decisions.order_regulations"),
    "sales_regulations": _of_each_cycle("decisions.sales_regulations"),
    "account_reviews": _of_each_cycle("decisions.account_reviews"),
    "held_counterfeit_cases": _of_each_cycle("claims.held_counterfeit_cases"),
    "quarantine": _quarantine,
}
# Tables that can be filtered by statement period; all but the first cannot be filtered by cycle.
BY_STATEMENT_PERIOD = (
    *("charges", "journal", "seller_statement_lines", "seller_statements", "charge_totals"),
    *("period_closes", "period_close_totals"),
)
# Those of them that are of sellers.
BY_SELLER = BY_STATEMENT_PERIOD[:4]
# Tables that also have rows of a cycle whose alert was stopped: the bad rows that stopped it.
OF_UNDECIDED_CYCLES = ("quarantine",)
