"""Accounts listed for review: what listed each, what was decided, what a decision would do (§8).

Here belong the rows, their documents for tools and their lines for people. Text of sellers is
hostile: it is put on one line, without control characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.answers.claims.case import naira
from vibes_pipeline.answers.moment import Moment
from vibes_pipeline.answers.words import moment_in_words, wrapped
from vibes_pipeline.engine.models import closure
from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.exports.tables import Source, model_rows
from vibes_pipeline.ledger import recorded, schema, views, waiting
from vibes_pipeline.ledger.frames import read_frame
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.states import OPEN, STANDING
from vibes_pipeline.ledger.waiting import COUNTS, Review
from vibes_pipeline.listing import counted
from vibes_pipeline.notices.cleaning import clean
from vibes_pipeline.policy import Policy
from vibes_pipeline.rules import CHARGES, Rule
from vibes_pipeline.slots.run import SlotRun

LATEST = "warehouse.latest_account_decisions"
SELLER_WEEK = "metrics.seller_week"
# What lists a seller, by its column: what the counts are called.
EVENTS: Mapping[str, tuple[str, str]] = {
    "quality_returns": ("quality return", "quality returns"),
    "dropoff_failures": ("drop-off failure", "drop-off failures"),
    "counterfeits": ("counterfeit", "counterfeits"),
}
WEEK = ("shipped_items", "shipped_orders", "cancelled_items", "cancellation_rate_pct")


@dataclass(frozen=True)
class Listed:
    """A seller listed for review.

    `decision` is the latest by now, of the order warehouse or of the ledger, and `decided_at` its
    instant. `week` has what was sold and cancelled in the newest cycle that listed the seller,
    empty once its partitions are deleted. `charged` is the naira of the standing charges for such
    events, `delisting` the account delisting that stands.
    """

    review: Review
    decision: str | None
    decided_at: datetime | None
    week: Mapping[str, Any]
    charges: Sequence[Mapping[str, Any]]
    delisting: Mapping[str, Any] | None
    listings: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @property
    def is_for_a_person(self) -> bool:
        """Whether nobody has decided since a cycle listed the seller last, nor is it delisted."""
        is_decided = self.decided_at is not None and self.decided_at >= self.review.listed_at
        return not is_decided and self.delisting is None

    @property
    def charged(self) -> Decimal:
        return naira([c for c in self.charges if c["state"] in STANDING])


def listed(run: SlotRun, ledger: Ledger, seller_id: str | None = None) -> list[Listed]:
    """Every seller that cycles have listed, as of the run's instant, the one listed last first."""
    reviews = [r for r in waiting.reviews(ledger) if seller_id in (None, r.seller_id)]
    if not reviews:
        return []
    latest = {row["seller_id"]: row for row in _latest_decisions(run, ledger).to_dicts()}
    weeks = _weeks(run, ledger, {r.newest_cycle for r in reviews})
    charges, delistings = _actions(run, ledger, seller_id)
    return [
        Listed(
            review,
            latest.get(review.seller_id, {}).get("decision"),
            latest.get(review.seller_id, {}).get("decided_at"),
            weeks.get((review.newest_cycle, review.seller_id), {}),
            charges.get(review.seller_id, []),
            delistings.get(review.seller_id),
        )
        for review in reviews
    ]


def listed_one(run: SlotRun, ledger: Ledger, seller_id: str) -> Listed | None:
    """One of them, with each cycle that listed the seller; None if none did."""
    found = listed(run, ledger, seller_id)
    if not found:
        return None
    rows = waiting.listings(ledger, seller_id)
    weeks = _weeks(run, ledger, {row["cycle"] for row in rows})
    return replace(
        found[0],
        listings=[{**row, "week": weeks.get((row["cycle"], seller_id), {})} for row in rows],
    )


def _latest_decisions(run: SlotRun, ledger: Ledger) -> pl.DataFrame:
    engine = ScratchEngine.over(run.engine)
    decided = read_frame(ledger, recorded.select_account_decisions(ledger.country))
    engine.write("ledger.recorded_account_decisions", decided)
    for model in closure([LATEST]):
        engine.materialize(model, run.view)
    return engine.read(LATEST)


def _weeks(
    run: SlotRun, ledger: Ledger, cycles: set[date]
) -> Mapping[tuple[date, str], Mapping[str, Any]]:
    source = Source(ledger, run.settings.lake, run.policy.time_zone)
    frames = {cycle: model_rows(source, cycle, SELLER_WEEK) for cycle in cycles}
    return {
        (cycle, row["seller_id"]): {name: row[name] for name in WEEK}
        for cycle, frame in frames.items()
        if frame is not None
        for row in frame.iter_rows(named=True)
    }


def _actions(
    run: SlotRun, ledger: Ledger, seller_id: str | None
) -> tuple[dict[str, list[Mapping[str, Any]]], dict[str, Mapping[str, Any]]]:
    """The charges for events that list a seller, and the account delistings that stand."""
    rule_events = run.policy.claims.rule_events.on(run.policy.local_date(run.now))
    of_reviews = set(rule_events[Rule.ACCOUNT_DELISTING])
    rules = [rule for rule in CHARGES if of_reviews & set(rule_events[Rule(rule)])]
    s, r = views.action_states.c, schema.account_reviews.c
    sellers = sa.select(r.seller_id).where(r.country == ledger.country)
    select = sa.select(views.action_states).where(
        s.country == ledger.country,
        s.seller_id.in_(sellers) if seller_id is None else s.seller_id == seller_id,
        sa.or_(s.rule.in_(rules), sa.and_(s.rule == "account_delisting", s.state.in_(STANDING))),
    )
    charges: dict[str, list[Mapping[str, Any]]] = {}
    delistings: dict[str, Mapping[str, Any]] = {}
    with ledger.reading() as connection:
        for row in connection.execute(select.order_by(s.event_at, s.action_id)).mappings():
            if row["rule"] in CHARGES:
                charges.setdefault(row["seller_id"], []).append(dict(row))
            else:
                delistings[row["seller_id"]] = dict(row)
    return charges, delistings


# What a decision would do ------------------------------------------------------------------------


def would_do(one: Listed, moment: Moment, word: str) -> str:
    """What a decision would do, in a sentence."""
    standing = one.delisting
    if word == "keep":
        if standing is None:
            return "keep: the account stays; no delisting of it stands"
        becomes = "withdrawn" if standing["state"] in OPEN else "reversed"
        return f"keep: the account delisting {standing['reference']} is {becomes} at once"
    if standing is not None:
        return f"delist: the account delisting {standing['reference']} stands already"
    alert = moment_in_words(moment.alert_of(moment.next_cycle), moment.policy)
    return (
        f"delist: the alert of cycle {moment.next_cycle}, due {alert}, tells the seller; the "
        "account is delisted at the first implementation that gives the notice"
    )


# For people ---------------------------------------------------------------------------------------


def in_brief(one: Listed, policy: Policy) -> Iterator[str]:
    """A seller of the list on a few lines."""
    review = one.review
    yield (
        f"{clean(review.seller_id)}  {_state(one)}  {policy.money(one.charged)} charged  "
        f"listed {counted(review.listings, 'time')}, last in cycle {review.newest_cycle}"
    )
    yield f"  events so far: {_counts(vars(review))}"
    if one.week:
        yield f"  in that week: {_week(one.week)}"
    if one.decision is not None and one.decided_at is not None:
        by = note = ""
        if review.recorded_at == one.decided_at:
            by = f" by {clean(review.recorded_by or '')}"
            note = f" (“{clean(review.note)}”)" if review.note else ""
        yield from wrapped(
            f"last decision: {one.decision}{by} at {moment_in_words(one.decided_at, policy)}{note}"
        )


def in_full(one: Listed, moment: Moment) -> Iterator[str]:
    """One seller with each listing, each event's charge, and what either decision would do."""
    policy = moment.policy
    yield from in_brief(one, policy)
    yield ""
    yield "Listed for review"
    for listing in one.listings:
        week = f"; {_week(listing['week'])}" if listing["week"] else ""
        yield from wrapped(f"cycle {listing['cycle']}: {_counts(listing)}{week}")
    yield ""
    yield "Charges for such events"
    for charge in one.charges:
        at = moment_in_words(charge["event_at"], policy)
        named = (charge["order_number"], charge["order_item_id"], charge["sku"])
        order, item, sku = (clean(name or "") for name in named)
        yield from wrapped(
            f"{charge['reference']} {charge['rule']} of {policy.money(charge['amount'])} "
            f"({charge['state']}): order {order}, item {item}, SKU {sku}, {at}"
        )
    if not one.charges:
        yield "  none"
    yield ""
    yield "What a decision would do"
    for word in ("delist", "keep"):
        yield from wrapped(would_do(one, moment, word))


def _state(one: Listed) -> str:
    if one.delisting is not None:
        return f"delisting {one.delisting['state']}"
    return "waits" if one.is_for_a_person else f"decided: {one.decision}"


def _counts(row: Mapping[str, Any]) -> str:
    return ", ".join(counted(row[name], *EVENTS[name]) for name in COUNTS)


def _week(week: Mapping[str, Any]) -> str:
    rate = week["cancellation_rate_pct"]
    cancelled = counted(week["cancelled_items"], "item") + " cancelled"
    return (
        f"{counted(week['shipped_items'], 'item')} in "
        f"{counted(week['shipped_orders'], 'order')} shipped, {cancelled}"
        + (f" ({rate:.2f}%)" if rate is not None else "")
    )


# For tools ----------------------------------------------------------------------------------------


def document(one: Listed, policy: Policy) -> dict[str, Any]:
    """The same for tools: local instants with their offset, money and rates as text."""
    review = one.review
    is_recorded = review.recorded_at is not None and review.recorded_at == one.decided_at
    return {
        "seller_id": review.seller_id,
        "is_waiting": one.is_for_a_person,
        "listings": review.listings,
        "newest_cycle": review.newest_cycle.isoformat(),
        **{name: getattr(review, name) for name in COUNTS},
        "week": {name: _plain(value) for name, value in one.week.items()},
        "charged": str(one.charged),
        "decision": one.decision,
        "decided_at": one.decided_at and one.decided_at.astimezone(policy.time_zone).isoformat(),
        "decided_by": review.recorded_by if is_recorded else None,
        "note": review.note if is_recorded else None,
        "delisting": one.delisting
        and {name: str(one.delisting[name]) for name in ("reference", "state", "cycle")},
    }


def full_document(one: Listed, moment: Moment) -> dict[str, Any]:
    """One seller's document with each listing and each event's charge."""
    charged = ("reference", "rule", "state", "amount", "order_number", "order_item_id", "sku")
    return {
        **document(one, moment.policy),
        "cycles": [
            {
                "cycle": listing["cycle"].isoformat(),
                **{name: listing[name] for name in COUNTS},
                "week": {name: _plain(value) for name, value in listing["week"].items()},
            }
            for listing in one.listings
        ],
        "charges": [{name: _plain(charge[name]) for name in charged} for charge in one.charges],
        "would_do": {word: would_do(one, moment, word) for word in ("delist", "keep")},
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value
