"""What waits as of an instant: one row per cause, for a person who acts or for information (§17).

Read from the ledger in one moment, and from the newest cycle's partitions where the ledger lacks
it; never from the warehouse. Ids are sellers' text: whoever shows them cleans and escapes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by

from vibes_pipeline.answers.claims.queue import queue
from vibes_pipeline.calendar import DueSlot
from vibes_pipeline.exports.tables import Source, model_rows
from vibes_pipeline.ledger import inquiry, schema, views, waiting
from vibes_pipeline.ledger.at_hand import is_any_of, is_one_of
from vibes_pipeline.ledger.history import holds_counterfeit_charge
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notices import select_open
from vibes_pipeline.ledger.states import STANDING, Status
from vibes_pipeline.notices.outbox import RESENDS_OF_UNKNOWN
from vibes_pipeline.operations.causes import TOLD, Cause
from vibes_pipeline.policy import Policy
from vibes_pipeline.reports import lake
from vibes_pipeline.rules import CHARGES, Rule
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.catch_up import PUNCTUAL, missing_slots

SAMPLE = 3
# What keeps a notice back; whatever is not listed is tried again by itself.
KEPT_BACK = {
    Status.UNDELIVERABLE: Cause.NOTICES_WITHOUT_ADDRESS,
    Status.FAILED: Cause.NOTICES_REFUSED,
    Status.STORED: Cause.NOTICES_STORED,
}


@dataclass(frozen=True)
class Waits:
    """How many wait for one cause: since when the oldest does, and the naira at stake, if any.

    `sample` names the oldest few: claims, sellers (of notices too), slots, references or cases.
    """

    cause: Cause
    count: int = 0
    oldest_at: datetime | None = None
    amount: Decimal | None = None
    sample: tuple[str, ...] = ()

    @property
    def is_for_a_person(self) -> bool:
        """Whether somebody must act; else it is for information."""
        return TOLD[self.cause].is_for_a_person

    @property
    def what(self) -> str:
        """What waits, in words that follow the count."""
        told = TOLD[self.cause]
        return told.one if self.count == 1 else told.several

    @property
    def look_at(self) -> str:
        """The command that shows it or ends it."""
        return TOLD[self.cause].look_at


def what_waits(
    ledger: Ledger, settings: Settings, policy: Policy, now: datetime
) -> tuple[Waits, ...]:
    """A row for every cause, also where nothing waits, in the order of `Cause`; times are local.

    `CalendarError` when `now` is outside the years whose holidays are listed.
    """
    now = now.astimezone(policy.time_zone)
    with ledger.reading() as connection:
        reader = _Reader(connection, ledger, settings, policy, now)
        found = {waits.cause: waits for waits in reader.all()}
    late = [d for d in missing_slots(ledger, policy, now) if now - d.due_at > PUNCTUAL]
    found[Cause.SLOTS_LATE] = _of_slots(late)
    return tuple(found.get(cause, Waits(cause)) for cause in Cause)


def _of_slots(late: Sequence[DueSlot]) -> Waits:
    names = (f"{due.slot} of {due.period}" for due in late[:SAMPLE])
    oldest_at = late[0].due_at if late else None
    return Waits(Cause.SLOTS_LATE, len(late), oldest_at, sample=tuple(names))


@dataclass(frozen=True)
class _Reader:
    """The ledger in one moment, and the partitions of its newest cycle."""

    connection: sa.Connection
    ledger: Ledger
    settings: Settings
    policy: Policy
    now: datetime

    def all(self) -> Iterator[Waits]:
        """Every cause of which something waits, and some of which nothing does."""
        yield from self.claims()
        yield self.unmatched_claims()
        yield self.undecipherable()
        yield self.missing_evidence()
        yield from self.notices()
        c = schema.cycles.c
        newest = self.connection.execute(
            sa.select(sa.func.max(c.cycle)).where(c.country == self.ledger.country)
        ).scalar()
        if newest is not None:
            zone, folder = self.policy.time_zone, self.settings.lake
            source = Source(self.ledger, folder, zone, newest, connection=self.connection)
            yield self.account_reviews(source)
            yield self.held(source)
            yield _not_notified(source)
            yield _older_open_items(source)
            yield _bad_rows(source)

    def claims(self) -> Iterator[Waits]:
        """Claims that wait for a decision; at stake are the standing charges that they name."""
        undecided = queue(self.ledger, self.policy, self.now, only_undecided=True)
        claims = [c for c in undecided if c.is_for_a_person]
        for cause, is_overdue in (
            (Cause.CLAIMS_OVER_TARGET, True),
            (Cause.CLAIMS_WITHIN_TARGET, False),
        ):
            found = [queued.claim for queued in claims if queued.is_overdue == is_overdue]
            if found:
                oldest_at = found[0].raised_at or found[0].taken_in_at
                names = [claim.claim_id for claim in found]
                summed = (len(found), oldest_at, names[:SAMPLE])
                yield self._waits(cause, summed, self._at_stake(names))

    def _at_stake(self, claims: Sequence[str]) -> Decimal | None:
        """The standing charges that some claims name, each counted once."""
        c, a = views.claim_states.c, views.action_states.c
        of_seller = sa.and_(c.country == a.country, c.seller_id == a.seller_id)
        charges = sa.union(
            *(
                sa.select(a.action_id, a.amount)
                .join_from(views.claim_states, views.action_states, sa.and_(of_seller, is_named))
                .where(
                    c.country == self.ledger.country,
                    is_any_of(c.claim_id, claims),
                    a.rule.in_(CHARGES),
                    a.state.in_(STANDING),
                )
                for is_named in inquiry.names(c, a)
            )
        ).subquery()
        return self.connection.execute(sa.select(sa.func.sum(charges.c.amount))).scalar()

    def unmatched_claims(self) -> Waits:
        """Claims upheld when nothing was found that they are about; nothing ends it."""
        c, d = views.claim_states.c, schema.claim_decisions.c
        mine = d.country == self.ledger.country
        unmatched = sa.select(d.claim_id).where(mine, d.is_matched.is_(False))
        of = (
            c.country == self.ledger.country,
            c.is_matched.is_(False),
            is_one_of(c.claim_id, unmatched),
        )
        return self._one(Cause.UNMATCHED_CLAIMS, c.applied_at, c.claim_id, of)

    def undecipherable(self) -> Waits:
        """What of claims and account decisions cannot be read, and is not corrected."""
        u = views.undecipherable_states.c
        of = (u.country == self.ledger.country, u.state != "corrected")
        return self._one(Cause.UNDECIPHERABLE, u.seen_at, u.row_id, of)

    def missing_evidence(self) -> Waits:
        """Open actions whose evidence the last slot that looked for it did not find."""
        w = views.awaiting_evidence.c
        of = (w.country == self.ledger.country,)
        amount = sa.func.sum(w.amount)
        return self._one(Cause.MISSING_EVIDENCE, w.missing_since, w.reference, of, amount)

    def notices(self) -> Iterator[Waits]:
        """Notices not delivered, by what keeps them back; at stake is what waits for them."""
        n, a = select_open(self.ledger.country, self.now).subquery().c, schema.actions.c
        cause = sa.case(
            *((n.status == status, cause.value) for status, cause in KEPT_BACK.items()),
            (
                sa.and_(n.status == Status.UNKNOWN, n.unknowns > RESENDS_OF_UNKNOWN),
                Cause.NOTICES_UNKNOWN.value,
            ),
            else_=Cause.NOTICES_DEFERRED.value,
        ).label("cause")
        amount = (
            sa.select(sa.func.sum(a.amount))
            .where(n.is_alert, a.action_id == sa.any_(n.actions))
            .scalar_subquery()
            .label("amount")
        )
        of_each = sa.select(cause, n.planned_at, n.seller_id, amount).subquery().c
        rows = self.connection.execute(
            sa.select(
                of_each.cause,
                *_summed(of_each.planned_at, of_each.seller_id),
                sa.func.sum(of_each.amount),
            ).group_by(of_each.cause)
        )
        for name, *summed, at_stake in rows:
            yield self._waits(Cause(name), summed, at_stake)

    def account_reviews(self, source: Source) -> Waits:
        """Sellers listed and, since then, neither decided on nor delisted.

        Of the decisions in the order warehouse those count that the newest cycle saw.
        """
        assert source.cycle is not None
        a = views.action_states.c
        delisted = set(
            self.connection.execute(
                sa.select(a.seller_id).where(
                    a.country == self.ledger.country,
                    a.rule == Rule.ACCOUNT_DELISTING,
                    a.state.in_(STANDING),
                )
            ).scalars()
        )
        frame = model_rows(source, source.cycle, "warehouse.latest_account_decisions")
        rows = [] if frame is None else frame.select("seller_id", "decided_at").iter_rows()
        seen: dict[str, datetime] = dict(rows)

        def is_decided(review: waiting.Review) -> bool:
            decided_at = (review.recorded_at, seen.get(review.seller_id))
            return any(at is not None and at >= review.listed_at for at in decided_at)

        listed = [r for r in waiting.reviews(self.ledger) if r.seller_id not in delisted]
        found = [review for review in listed if not is_decided(review)]
        found.sort(key=lambda review: (review.listed_at, review.seller_id))
        names = [review.seller_id for review in found[:SAMPLE]]
        oldest_at = found[0].listed_at if found else None
        return self._waits(Cause.ACCOUNT_REVIEWS, (len(found), oldest_at, names), None)

    def held(self, source: Source) -> Waits:
        """Cases that the newest cycle put on hold and whose claim is undecided still."""
        assert source.cycle is not None
        found = model_rows(source, source.cycle, "claims.held_counterfeit_cases")
        if found is None or found.is_empty():
            return Waits(Cause.COUNTERFEITS_HELD)
        c = views.claim_states.c
        undecided = self.connection.execute(
            sa.select(c.claim_id).where(
                c.country == self.ledger.country,
                is_any_of(c.claim_id, found["claim_id"].unique().to_list()),
                holds_counterfeit_charge(),
            )
        ).scalars()
        held = found.filter(pl.col("claim_id").is_in(list(undecided)))
        cases = held.unique("case_id").sort("event_at", "case_id").to_dicts()
        return _of_rows(Cause.COUNTERFEITS_HELD, cases, "event_at", "case_id", source)

    def _one(
        self,
        cause: Cause,
        at: sa.ColumnElement[Any],
        name: sa.ColumnElement[Any],
        of: Iterable[sa.ColumnElement[bool]],
        amount: sa.ColumnElement[Any] | None = None,
    ) -> Waits:
        """The one row of a cause; `at` and `name` are columns of what waits."""
        at_stake = sa.null() if amount is None else amount
        row = self.connection.execute(sa.select(*_summed(at, name), at_stake).where(*of)).one()
        *summed, total = row
        return self._waits(cause, summed, total)

    def _waits(self, cause: Cause, summed: Sequence[Any], amount: Decimal | None) -> Waits:
        count, oldest_at, sample = summed
        local = oldest_at and oldest_at.astimezone(self.policy.time_zone)
        return Waits(cause, count, local, amount, tuple(name or "" for name in sample or ()))


def _summed(
    at: sa.ColumnElement[Any], name: sa.ColumnElement[Any]
) -> tuple[sa.ColumnElement[Any], ...]:
    """Count, oldest instant and the names of the oldest few."""
    oldest = sa.func.array_agg(aggregate_order_by(name, at, name), type_=sa.ARRAY(sa.Text))
    return sa.func.count(), sa.func.min(at), oldest[1:SAMPLE]


def _not_notified(source: Source) -> Waits:
    assert source.cycle is not None
    rows = lake.unchargeable_counterfeits(source, source.cycle)
    return _of_rows(Cause.COUNTERFEITS_NOT_NOTIFIED, rows, "event_at", "case_id", source)


def _of_rows(
    cause: Cause, rows: Sequence[Mapping[str, Any]], at: str, name: str, source: Source
) -> Waits:
    """Of rows that stand in order of time."""
    oldest_at = rows[0][at].astimezone(source.time_zone) if rows else None
    return Waits(cause, len(rows), oldest_at, sample=tuple(row[name] for row in rows[:SAMPLE]))


def _older_open_items(source: Source) -> Waits:
    """Open items of all sellers; the sample names those with the oldest."""
    assert source.cycle is not None
    sellers = lake.older_open_items(source, source.cycle)
    oldest_at = sellers[0]["oldest_pending_at"] if sellers else None
    count = sum(row["open_items"] for row in sellers)
    names = tuple(row["seller_id"] for row in sellers[:SAMPLE])
    return Waits(Cause.OLDER_OPEN_ITEMS, count, oldest_at, sample=names)


def _bad_rows(source: Source) -> Waits:
    """Bad rows that the newest cycle saw; the sample says of which tables and why."""
    assert source.cycle is not None
    found = lake.bad_rows(source, source.cycle)
    sample = tuple(f"{row['table_name']}: {row['faults']}" for row in found[:SAMPLE])
    return Waits(Cause.BAD_ROWS, sum(row["rows"] for row in found), sample=sample)
