"""The figures of one week's report, read from the ledger and the cycle's partitions in the lake.

Here belongs what is counted and of which time; how it looks is in `plots` and `page`. Sums are
exact and tie to the ledger. A report covers its cycle's actions and, of all that is not bound to a
cycle (late orders, claims, notices), the time from the last implementation to this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.calendar import DAY, WEEK, Slot
from vibes_pipeline.exports.tables import Source, model_rows
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notices import open_notices
from vibes_pipeline.ledger.rules import CHARGES, LATE_RULES, WEEKLY_RULES
from vibes_pipeline.policy import Policy
from vibes_pipeline.settings import Settings

WEEKS_OF_CHARGES = 8
NOTHING = Decimal("0.00")

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Span:
    """From one implementation to the next: after `since`, up to `until`; `days` are half-open."""

    since: datetime
    until: datetime
    days: tuple[date, date]

    @property
    def length(self) -> int:
        return (self.days[1] - self.days[0]).days


@dataclass(frozen=True)
class RuleFigures:
    """A rule's actions by present state, and the naira of those that were debited and credited."""

    rule: str
    states: Mapping[str, int]
    debited: Decimal
    credited: Decimal

    @property
    def decided(self) -> int:
        return sum(self.states.values())

    @property
    def implemented(self) -> int:
        """Those that took effect, whether or not reversed since."""
        return self.states.get("implemented", 0) + self.states.get("reversed", 0)


@dataclass(frozen=True)
class Cancelled:
    """Actions of a rule withdrawn or reversed in the report's time, and the naira given back."""

    rule: str
    withdrawn: int
    reversed: int
    credited: Decimal


@dataclass(frozen=True)
class BandFigures:
    """Active sellers of one row of the order regulation's table; None is no row: see `label`."""

    band: int | None
    label: str
    limits: str
    sellers: int


@dataclass(frozen=True)
class Week:
    """All figures of a cycle's report.

    `charges` holds, for each of the last weeks, naira by rule after reversals. `rates` has a row
    per active seller who may be regulated and shipped or cancelled: `cancellation_rate_pct` and
    `band`. The last number of `occurrences` stands for itself and all above. Times are local.
    """

    cycle: date
    is_simulated: bool
    policy: Policy
    written_at: datetime
    frozen_at: datetime | None
    proposal_hash: str | None
    implemented_at: datetime | None
    span: Span
    rules: Sequence[RuleFigures]
    late_rules: Sequence[RuleFigures]
    sellers: int
    from_earlier: int
    from_earlier_debited: Decimal
    charges: Mapping[date, Mapping[str, Decimal]]
    bands: Sequence[BandFigures]
    rates: pl.DataFrame
    occurrences: Mapping[int | None, int]
    by_claims: Sequence[Cancelled]
    otherwise: Sequence[Cancelled]
    undelivered: Rows
    reviews: Rows
    unnotified_counterfeits: Rows
    bad_rows: Rows
    rows_of_week: tuple[int, int]
    older_open_items: Rows

    @property
    def debited(self) -> Decimal:
        return sum((rule.debited for rule in self.rules), NOTHING)

    @property
    def credited(self) -> Decimal:
        return sum((rule.credited for rule in self.rules), NOTHING)

    @property
    def decided(self) -> int:
        return sum(rule.decided for rule in self.rules)

    @property
    def implemented(self) -> int:
        return sum(rule.implemented for rule in self.rules)

    def in_state(self, state: str) -> int:
        """How many of the week's actions are in a state."""
        return sum(rule.states.get(state, 0) for rule in self.rules)

    @property
    def awaiting(self) -> int:
        """How many things wait for a person."""
        open_items: int = sum(row["open_items"] for row in self.older_open_items)
        bad: int = sum(row["rows"] for row in self.bad_rows)
        return len(self.reviews) + len(self.unnotified_counterfeits) + open_items + bad


def read_week(
    ledger: Ledger, settings: Settings, policy: Policy, cycle: date, written_at: datetime
) -> Week:
    """The report's figures of a cycle as the ledger stands; a cycle not decided has none."""
    source = Source(ledger, settings.lake, policy.time_zone, cycle)
    still_open = [notice.notice_id for notice in open_notices(ledger, written_at)]
    with ledger.reading() as connection:
        read = _Reader(connection, ledger, policy, cycle)
        frozen = read.frozen()
        rules = read.rules(WEEKLY_RULES, (cycle, cycle + DAY))
        earlier, earlier_debited = read.implemented_of_earlier_cycles()
        week = Week(
            cycle=cycle,
            is_simulated=read.is_simulated(),
            policy=policy,
            written_at=written_at.astimezone(policy.time_zone),
            frozen_at=frozen and frozen[0].astimezone(policy.time_zone),
            proposal_hash=frozen and frozen[1],
            implemented_at=read.implemented_at(cycle),
            span=read.span,
            rules=rules,
            late_rules=read.rules(LATE_RULES, read.span.days),
            sellers=read.sellers(),
            from_earlier=earlier,
            from_earlier_debited=earlier_debited,
            charges=read.charges(),
            bands=_bands(source, policy, cycle),
            rates=_rates(source, cycle),
            occurrences=_occurrences(source, policy, cycle),
            by_claims=read.cancelled(by_claim=True),
            otherwise=read.cancelled(by_claim=False),
            undelivered=read.undelivered(still_open),
            reviews=read.reviews(),
            unnotified_counterfeits=_unnotified(source, cycle),
            bad_rows=_bad_rows(source, cycle),
            rows_of_week=_rows_of_week(source, cycle),
            older_open_items=_older_open_items(source, cycle),
        )
    return week


@dataclass(frozen=True)
class Cycle:
    """One line of the list of all weeks; naira after reversals."""

    cycle: date
    decided: int
    implemented: int
    charged: Decimal


def decided_cycles(ledger: Ledger) -> list[Cycle]:
    """Every cycle decided so far, newest first."""
    c, a = schema.cycles.c, schema.actions.c
    e, p = schema.action_events.c, schema.postings.c
    weekly = (a.country == ledger.country, a.rule.in_(WEEKLY_RULES))
    with ledger.reading() as connection:
        decided = connection.execute(
            sa.select(c.cycle, c.actions)
            .where(c.country == ledger.country)
            .order_by(c.cycle.desc())
        ).all()
        implemented: dict[date, int] = {
            row[0]: row[1]
            for row in connection.execute(
                sa.select(a.cycle, sa.func.count())
                .join(schema.action_events, e.action_id == a.action_id)
                .where(*weekly, e.state == "implemented")
                .group_by(a.cycle)
            )
        }
        charged: dict[date, Decimal] = {
            row[0]: row[1]
            for row in connection.execute(
                sa.select(a.cycle, sa.func.sum(p.amount))
                .join(schema.postings, p.action_id == a.action_id)
                .where(*weekly)
                .group_by(a.cycle)
            )
        }
    return [
        Cycle(cycle, actions, implemented.get(cycle, 0), charged.get(cycle, NOTHING))
        for cycle, actions in decided
    ]


# --- from the ledger ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reader:
    """The ledger in one moment, for one cycle's report."""

    connection: sa.Connection
    ledger: Ledger
    policy: Policy
    cycle: date

    @property
    def span(self) -> Span:
        """From the last implementation to this one; one that has not run ends when it is due."""
        since, until = (
            self.implemented_at(cycle)
            or self.policy.slot_calendar.due_at(Slot.WEEKLY_IMPLEMENTATION, cycle)
            for cycle in (self.cycle - WEEK, self.cycle)
        )
        return Span(since, until, (self.policy.local_date(since), self.policy.local_date(until)))

    def is_simulated(self) -> bool:
        ledgers = schema.ledgers.c
        mine = sa.select(ledgers.is_simulated).where(ledgers.country == self.ledger.country)
        return bool(self.connection.execute(mine).scalar())

    def frozen(self) -> tuple[datetime, str] | None:
        c = schema.cycles.c
        row = self.connection.execute(
            sa.select(c.frozen_at, c.proposal_hash).where(
                c.country == self.ledger.country, c.cycle == self.cycle
            )
        ).one_or_none()
        return (row[0], row[1]) if row else None

    def implemented_at(self, cycle: date) -> datetime | None:
        at = self.ledger.slot_effected_at(self.connection, Slot.WEEKLY_IMPLEMENTATION, cycle)
        return at and at.astimezone(self.policy.time_zone)

    def rules(self, rules: Iterable[str], periods: tuple[date, date]) -> list[RuleFigures]:
        """The rules' actions of the cycle, or of the days, of half-open `periods`."""
        s, p = schema.action_states.c, schema.postings.c
        mine = [
            s.country == self.ledger.country,
            s.rule.in_(tuple(rules)),
            s.cycle >= periods[0],
            s.cycle < periods[1],
        ]
        states: dict[str, dict[str, int]] = {}
        for rule, state, count in self.connection.execute(
            sa.select(s.rule, s.state, sa.func.count()).where(*mine).group_by(s.rule, s.state)
        ):
            states.setdefault(rule, {})[state] = count
        posted: dict[tuple[str, str], Decimal] = {
            (rule, kind): amount
            for rule, kind, amount in self.connection.execute(
                sa.select(s.rule, p.kind, sa.func.sum(p.amount))
                .join(schema.postings, p.action_id == s.action_id)
                .where(*mine)
                .group_by(s.rule, p.kind)
            )
        }
        return [
            RuleFigures(
                rule,
                states[rule],
                posted.get((rule, "debit"), NOTHING),
                posted.get((rule, "reversal"), NOTHING),
            )
            for rule in rules
            if rule in states
        ]

    def sellers(self) -> int:
        """Sellers with a weekly action of the cycle."""
        a = schema.actions.c
        return self.connection.execute(
            sa.select(sa.func.count(a.seller_id.distinct())).where(
                a.country == self.ledger.country,
                a.cycle == self.cycle,
                a.rule.in_(WEEKLY_RULES),
            )
        ).scalar_one()

    def implemented_of_earlier_cycles(self) -> tuple[int, Decimal]:
        """What this implementation did of cycles whose notice came too late for their own."""
        a, e = schema.actions.c, schema.action_events.c
        count, amount = self.connection.execute(
            sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(a.amount), 0))
            .select_from(schema.action_events)
            .join(schema.actions, a.action_id == e.action_id)
            .where(
                a.country == self.ledger.country,
                a.cycle < self.cycle,
                a.rule.in_(WEEKLY_RULES),
                e.state == "implemented",
                e.at == self.implemented_at(self.cycle),
            )
        ).one()
        return count, amount

    def charges(self) -> dict[date, dict[str, Decimal]]:
        """Naira by week and rule: the debits of each week's cycle, less what was reversed."""
        a, p = schema.actions.c, schema.postings.c
        first = self.cycle - (WEEKS_OF_CHARGES - 1) * WEEK
        weeks: dict[date, dict[str, Decimal]] = {
            first + n * WEEK: {} for n in range(WEEKS_OF_CHARGES)
        }
        for cycle, rule, amount in self.connection.execute(
            sa.select(a.cycle, a.rule, sa.func.sum(p.amount))
            .join(schema.actions, a.action_id == p.action_id)
            .where(
                a.country == self.ledger.country,
                a.cycle.between(first, self.cycle),
                a.rule.in_(CHARGES),
            )
            .group_by(a.cycle, a.rule)
        ):
            weeks[cycle][rule] = amount
        return weeks

    def cancelled(self, *, by_claim: bool) -> list[Cancelled]:
        """What claims withdrew or reversed in the span, or what was reversed for another cause."""
        a, e = schema.actions.c, schema.action_events.c
        states = ("withdrawn", "reversed") if by_claim else ("reversed",)
        found: dict[str, dict[str, tuple[int, Decimal]]] = {}
        for rule, state, count, amount in self.connection.execute(
            sa.select(a.rule, e.state, sa.func.count(), sa.func.coalesce(sa.func.sum(a.amount), 0))
            .join(schema.actions, a.action_id == e.action_id)
            .where(
                a.country == self.ledger.country,
                e.state.in_(states),
                e.claim_id.is_not(None) if by_claim else e.claim_id.is_(None),
                e.at > self.span.since,
                e.at <= self.span.until,
            )
            .group_by(a.rule, e.state)
        ):
            found.setdefault(rule, {})[state] = (count, amount)
        none = (0, NOTHING)
        return [
            Cancelled(
                rule,
                of_rule.get("withdrawn", none)[0],
                of_rule.get("reversed", none)[0],
                of_rule.get("reversed", none)[1],
            )
            for rule in (*WEEKLY_RULES, *LATE_RULES)
            if (of_rule := found.get(rule))
        ]

    def undelivered(self, still_open: Sequence[Any]) -> Rows:
        """Notices of the span that no server has accepted, and older ones still to be delivered."""
        n, listed = schema.notice_states.c, schema.notice_actions.c
        actions = (
            sa.select(sa.func.count()).where(listed.notice_id == n.notice_id).scalar_subquery()
        )
        rows = self.connection.execute(
            sa.select(
                n.seller_id,
                n.kind,
                n.period,
                n.status,
                n.attempts,
                actions.label("actions"),
                n.notice_id.in_(still_open).label("is_open"),
            )
            .where(
                n.country == self.ledger.country,
                n.status != "sent",
                sa.or_(
                    n.notice_id.in_(still_open),
                    sa.and_(n.planned_at > self.span.since, n.planned_at <= self.span.until),
                ),
            )
            .order_by(n.planned_at, n.kind, n.seller_id)
        )
        return [dict(row) for row in rows.mappings()]

    def reviews(self) -> Rows:
        """Sellers that a person may decide to delist, those with most findings first."""
        r = schema.account_reviews.c
        rows = self.connection.execute(
            sa.select(r.seller_id, r.quality_returns, r.dropoff_failures, r.counterfeits)
            .where(r.country == self.ledger.country, r.cycle == self.cycle)
            .order_by(
                r.counterfeits.desc(),
                (r.quality_returns + r.dropoff_failures).desc(),
                r.seller_id,
            )
        )
        return [dict(row) for row in rows.mappings()]


# --- from the lake --------------------------------------------------------------------------------


def _bands(source: Source, policy: Policy, cycle: date) -> list[BandFigures]:
    """Active sellers by the band they were decided into; those that have none by the reason why."""
    sellers = _sellers(source, cycle)
    counts = dict(sellers.group_by("standing").len().iter_rows())
    by_band = dict(sellers.group_by("band").len().iter_rows())
    figures, over, reaches = [], Decimal(0), False
    for number, band in enumerate(policy.order_regulation.bands.on(cycle)):
        has_limits = band.daily_order_limit is not None or band.daily_share_pct is not None
        figures.append(
            BandFigures(
                number,
                _band_label(over, reaches, band.up_to_pct, bool(band.includes_upper)),
                _limits(band) if has_limits else "",
                by_band.get(number, 0) if has_limits else counts.get("unregulated", 0),
            )
        )
        over, reaches = band.up_to_pct or over, not band.includes_upper
    if counts.get("delisted"):
        figures.append(BandFigures(None, "account delisted", "", counts["delisted"]))
    return [
        *figures,
        BandFigures(None, "exempt", "Jumia Express", counts.get("exempt", 0)),
        BandFigures(None, "nothing shipped", "nor cancelled", counts.get("idle", 0)),
    ]


def _sellers(source: Source, cycle: date) -> pl.DataFrame:
    """Active sellers with `cancellation_rate_pct`, `band` and `standing`, which is why no band."""
    active = model_rows(source, cycle, "metrics.seller_week")
    decided = model_rows(source, cycle, "decisions.order_regulations")
    delisted = model_rows(source, cycle, "ledger.account_delistings")
    if active is None or decided is None or delisted is None:
        return pl.DataFrame(
            schema={
                "seller_id": pl.String,
                "cancellation_rate_pct": pl.Decimal(9, 4),
                "band": pl.Int32,
                "standing": pl.String,
            }
        )
    gone = delisted.filter(pl.col("is_standing"))["seller_id"].unique()
    return active.join(decided.select("seller_id", "band"), on="seller_id", how="left").select(
        "seller_id",
        "cancellation_rate_pct",
        "band",
        pl.when("is_exempt")
        .then(pl.lit("exempt"))
        .when(pl.col("cancellation_rate_pct").is_null())
        .then(pl.lit("idle"))
        .when(pl.col("band").is_not_null())
        .then(pl.lit("regulated"))
        .when(pl.col("seller_id").is_in(gone.implode()))
        .then(pl.lit("delisted"))
        .otherwise(pl.lit("unregulated"))
        .alias("standing"),
    )


def _rates(source: Source, cycle: date) -> pl.DataFrame:
    sellers = _sellers(source, cycle)
    counted = sellers.filter(pl.col("standing").is_in(["regulated", "unregulated"]))
    return counted.select("cancellation_rate_pct", pl.col("band").fill_null(0))


def _band_label(over: Decimal, reaches: bool, up_to: Decimal | None, included: bool) -> str:
    """`below 2.5%`, `2.5% to 5%`, `over 5% to 10%`, `over 10%`."""
    start = f"{over.normalize():f}%" if reaches else f"over {over.normalize():f}%"
    if up_to is None:
        return f"{start} and more" if reaches else start
    if not over:
        return f"{'up to' if included else 'below'} {up_to.normalize():f}%"
    return f"{start} to {'' if included else 'below '}{up_to.normalize():f}%"


def _limits(band: Any) -> str:
    """The band's daily order limit in words."""
    if band.daily_order_limit is not None:
        return f"{band.daily_order_limit} orders a day"
    return f"{band.daily_share_pct.normalize():f}% of shipped"


def _occurrences(source: Source, policy: Policy, cycle: date) -> dict[int | None, int]:
    """Regulated products by occurrence; the last number stands for it and all later ones."""
    last = policy.product_delisting.occurrence.on(cycle)
    decided = model_rows(source, cycle, "decisions.sales_regulations")
    counts: dict[int | None, int] = {**dict.fromkeys(range(1, last + 1), 0), None: 0}
    for occurrence in [] if decided is None else decided["occurrence"]:
        counts[occurrence and min(occurrence, last)] += 1
    return counts


def _unnotified(source: Source, cycle: date) -> Rows:
    """Proven counterfeits whose seller was never told: never charged, for somebody to look at."""
    found = model_rows(source, cycle, "events.counterfeit_findings")
    if found is None:
        return []
    shown = found.filter(pl.col("notified_at").is_null()).sort("event_at", "case_id")
    return shown.select(
        "case_id", "seller_id", "order_item_id", _local("event_at", source)
    ).to_dicts()


def _bad_rows(source: Source, cycle: date) -> Rows:
    found = model_rows(source, cycle, "warehouse.quarantine")
    if found is None:
        return []
    return (
        found.group_by("table_name", "faults")
        .agg(pl.len().alias("rows"))
        .sort("rows", "table_name", "faults", descending=[True, False, False])
        .to_dicts()
    )


def _rows_of_week(source: Source, cycle: date) -> tuple[int, int]:
    """Order items of the observed week, and how many of them are bad."""
    share = model_rows(source, cycle, "warehouse.bad_row_share")
    if share is None:
        return 0, 0
    rows, bad = share.row(0)
    return rows, bad


def _older_open_items(source: Source, cycle: date) -> Rows:
    found = model_rows(source, cycle, "warehouse.older_open_items")
    if found is None:
        return []
    return (
        found.sort("oldest_pending_at", "seller_id")
        .select("seller_id", "open_items", _local("oldest_pending_at", source))
        .to_dicts()
    )


def _local(column: str, source: Source) -> pl.Expr:
    return pl.col(column).dt.convert_time_zone(source.time_zone.key)
