"""Reading a week's figures: from the ledger in one moment, and from the cycle's partitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from vibes_pipeline.calendar import DAY, WEEK, Slot
from vibes_pipeline.exports.tables import Source
from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.ledger import Ledger, LedgerMode
from vibes_pipeline.ledger.notices import open_notices
from vibes_pipeline.ledger.states import CANCELLED, State, Status
from vibes_pipeline.policy import Policy
from vibes_pipeline.reports import lake
from vibes_pipeline.reports.figures import (
    NOTHING,
    Cancelled,
    Cycle,
    Rows,
    RuleFigures,
    Span,
    Week,
)
from vibes_pipeline.reports.standings import standings
from vibes_pipeline.rules import CHARGES, LATE_RULES, WEEKLY_RULES
from vibes_pipeline.settings import Settings

WEEKS_OF_CHARGES = 8


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
        return Week(
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
            bands=lake.bands(source, policy, cycle),
            rates=lake.rates(source, cycle),
            occurrences=lake.occurrences(source, policy, cycle),
            by_claims=read.cancelled(by_claim=True),
            otherwise=read.cancelled(by_claim=False),
            undelivered=read.undelivered(still_open),
            claims=read.waiting_claims(),
            undecipherable=read.undecipherable(),
            awaiting_evidence=read.awaiting_evidence(),
            reviews=read.reviews(),
            unchargeable_counterfeits=lake.unchargeable_counterfeits(source, cycle),
            bad_rows=lake.bad_rows(source, cycle),
            rows_of_week=lake.rows_of_week(source, cycle),
            older_open_items=lake.older_open_items(source, cycle),
            standings=standings(connection, policy) if read.is_newest() else None,
        )


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
                .where(*weekly, e.state == State.IMPLEMENTED)
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
        return self.ledger.mode_seen_by(self.connection) is LedgerMode.SIMULATED

    def is_newest(self) -> bool:
        """Whether no later cycle is decided."""
        c = schema.cycles.c
        later = sa.select(c.cycle).where(c.country == self.ledger.country, c.cycle > self.cycle)
        return self.connection.execute(later.limit(1)).scalar() is None

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

    def waiting_claims(self) -> Rows:
        """Claims raised by the report's end that are undecided, or upheld about nothing found."""
        c = views.claim_states.c
        rows = self.connection.execute(
            sa.select(c.claim_id, c.category, c.seller_id, c.state, c.raised_at)
            .where(
                c.country == self.ledger.country,
                c.raised_at <= self.span.until,
                sa.or_(c.decision.is_(None), c.is_matched.is_(False)),
            )
            .order_by(c.raised_at, c.claim_id)
        ).mappings()
        return self._localized(rows, "raised_at")

    def awaiting_evidence(self) -> Rows:
        """Open actions whose evidence the last slot that looked for it did not find."""
        w = views.awaiting_evidence.c
        rows = self.connection.execute(
            sa.select(
                w.reference,
                w.rule,
                w.seller_id,
                w.order_item_id,
                w.missing_since,
                w.slots_in_vain,
            )
            .where(w.country == self.ledger.country, w.missing_since <= self.span.until)
            .order_by(w.missing_since, w.reference)
        ).mappings()
        return self._localized(rows, "missing_since")

    def undecipherable(self) -> Rows:
        """What of claims and account decisions cannot be read, seen by the report's end."""
        u = views.undecipherable_states.c
        rows = self.connection.execute(
            sa.select(u.table_name, u.row_id, u.seller_id, u.faults, u.written)
            .where(
                u.country == self.ledger.country,
                u.state != "corrected",
                u.seen_at <= self.span.until,
            )
            .order_by(u.seen_at, u.table_name, u.row_id)
        ).mappings()
        return [dict(row) for row in rows]

    def rules(self, rules: Iterable[str], periods: tuple[date, date]) -> list[RuleFigures]:
        """The rules' actions of the cycle, or of the days, of half-open `periods`."""
        s, p = views.action_states.c, schema.postings.c
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
                e.state == State.IMPLEMENTED,
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
        states = CANCELLED if by_claim else (State.REVERSED,)
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
                of_rule.get(State.WITHDRAWN, none)[0],
                of_rule.get(State.REVERSED, none)[0],
                of_rule.get(State.REVERSED, none)[1],
            )
            for rule in (*WEEKLY_RULES, *LATE_RULES)
            if (of_rule := found.get(rule))
        ]

    def undelivered(self, still_open: Sequence[Any]) -> Rows:
        """Notices of the span that no server has accepted, and older ones still to be delivered."""
        n, listed = views.notice_states.c, schema.notice_actions.c
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
                n.status != Status.SENT,
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

    def _localized(self, rows: Iterable[sa.RowMapping], column: str) -> Rows:
        zone = self.policy.time_zone
        return [{**row, column: row[column].astimezone(zone)} for row in rows]
