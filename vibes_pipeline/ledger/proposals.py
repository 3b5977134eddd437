"""The frozen proposal: a cycle's actions in the ledger, recorded once and checked later (§2).

Here belong the rows. How a decision becomes an action is `actions`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import LedgerError, UsageError
from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.actions import Terms, proposal_hash
from vibes_pipeline.ledger.at_hand import is_open
from vibes_pipeline.ledger.copying import MANY, copy_rows, count_anew, storable
from vibes_pipeline.ledger.events import record_change, record_events
from vibes_pipeline.ledger.frames import in_frame, read_frame
from vibes_pipeline.ledger.history import last_event
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notice_kinds import NoticeKind
from vibes_pipeline.ledger.notices import plan_notices
from vibes_pipeline.ledger.states import State
from vibes_pipeline.rules import CYCLE_BOUND_RULES, LATE_RULES


@dataclass(frozen=True)
class FrozenCycle:
    """A proposal as it stands in the ledger."""

    cycle: date
    frozen_at: datetime
    proposal_hash: str
    actions: int
    policy_version: str


def frozen_cycle(ledger: Ledger, cycle: date) -> FrozenCycle | None:
    """The frozen proposal of a cycle, or None while it is not decided."""
    with ledger.reading() as connection:
        return _frozen(connection, ledger.country, cycle)


def require_not_outrun(ledger: Ledger, cycle: date) -> None:
    """`LedgerError` for a cycle not frozen while a later one is: cycles are decided in order."""
    with ledger.reading() as connection:
        if _frozen(connection, ledger.country, cycle) is None:
            _refuse_outrun(connection, ledger.country, cycle)


def freeze(
    ledger: Ledger,
    proposal: pl.DataFrame,
    reviews: pl.DataFrame,
    reviewed_counterfeits: pl.DataFrame,
    shops: pl.DataFrame,
    terms: Terms,
    *,
    policy_content: str,
    seen_event: int,
    due_at: datetime,
    now: datetime,
    is_simulated: bool,
) -> FrozenCycle:
    """Record a cycle's proposal and plan its alerts, in one transaction; once, ever.

    `proposal` has the actions, as `actions_of` makes them; `reviews` the counts of each seller
    listed, `reviewed_counterfeits` the counterfeit items among them (§8); `shops` the sellers'
    names, `seller_id` and `shop_name`, as the cycle saw them. A cycle frozen before is given back
    unchanged. Regulations of earlier cycles that were not implemented expire. Raises `LedgerError`
    when a later cycle is frozen already, or when the ledger has changed since `seen_event`, the
    newest event that the decisions knew of.
    """
    with ledger.writing(is_simulated=is_simulated, now=now) as connection:
        if before := _frozen(connection, terms.country, terms.cycle):
            return before
        _refuse_outrun(connection, terms.country, terms.cycle)
        _refuse_change(connection, terms, seen_event)
        _expire_regulations(connection, terms, now)
        record_policy(connection, terms, policy_content, now)
        with ThreadPoolExecutor(1) as beside:
            # The server records the actions while they are hashed here.
            hashed = beside.submit(proposal_hash, proposal)
            record_proposed(connection, proposal, now, cause="decided")
        frozen = FrozenCycle(
            terms.cycle, now, hashed.result(), proposal.height, terms.policy_version
        )
        connection.execute(
            insert(schema.cycles).values(
                country=terms.country,
                cycle=frozen.cycle,
                frozen_at=frozen.frozen_at,
                proposal_hash=frozen.proposal_hash,
                actions=frozen.actions,
                policy_version=frozen.policy_version,
            )
        )
        plan_notices(
            connection,
            country=terms.country,
            kind=NoticeKind.WEEKLY_ALERT,
            period=terms.cycle,
            actions=proposal,
            now=now,
        )
        of_cycle = [pl.lit(terms.country).alias("country"), pl.lit(terms.cycle).alias("cycle")]
        copy_rows(connection, schema.account_reviews, reviews.with_columns(of_cycle))
        copy_rows(
            connection, schema.reviewed_counterfeits, reviewed_counterfeits.with_columns(of_cycle)
        )
        _name_shops(connection, terms.country, shops)
        ledger.record_effects(connection, Slot.WEEKLY_ALERT, terms.cycle, due_at, now)
        return frozen


def record_policy(connection: sa.Connection, terms: Terms, content: str, now: datetime) -> None:
    """Keep the text of the policy that actions are decided under; each version once."""
    connection.execute(
        insert(schema.policies)
        .values(
            policy_version=terms.policy_version,
            country=terms.country,
            content=content,
            recorded_at=now,
        )
        .on_conflict_do_nothing()
    )


def record_proposed(
    connection: sa.Connection, proposal: pl.DataFrame, now: datetime, *, cause: str
) -> None:
    """Append actions, each with its first event."""
    copy_rows(connection, schema.actions, proposal)
    if proposal.height >= MANY:
        # The foreign key looks up each event's action, by a plan that may be of an emptier table.
        count_anew(connection, schema.actions)
    record_events(connection, State.PROPOSED, proposal, now, cause=cause)


def is_unchanged(ledger: Ledger, frozen: FrozenCycle) -> bool:
    """Whether the ledger's actions of the cycle still make the hash they were frozen with."""
    actions = read_frame(
        ledger,
        sa.select(*map(in_frame, schema.actions.c)).where(
            schema.actions.c.country == ledger.country,
            schema.actions.c.cycle == frozen.cycle,
            schema.actions.c.rule.not_in(LATE_RULES),
        ),
    )
    return proposal_hash(actions) == frozen.proposal_hash


def decided(ledger: Ledger, cycle: date | None) -> date:
    """`cycle` if it is decided; the newest decided cycle if `cycle` is None.

    Raises `UsageError`, which names the newest decided cycle, when `cycle` is not decided.
    """
    c = schema.cycles.c
    with ledger.reading() as connection:
        cycles = (
            connection.execute(
                sa.select(c.cycle).where(c.country == ledger.country).order_by(c.cycle)
            )
            .scalars()
            .all()
        )
    if not cycles:
        raise UsageError("no cycle is decided yet; run `vibes run weekly-alert`")
    if cycle is not None and cycle not in cycles:
        raise UsageError(f"cycle {cycle} is not decided; the latest that is, is {cycles[-1]}")
    return cycle or cycles[-1]


def changed_in_words(changed: Sequence[date]) -> str:
    """What is wrong with cycles whose actions are not those that were frozen, and the way out."""
    cycles = ", ".join(map(str, changed))
    return (
        f"the actions of cycle {cycles} in the ledger are not those that were frozen; nothing is "
        "implemented until ledger.actions is restored from a backup"
    )


def changed_cycles(ledger: Ledger, until: date) -> list[date]:
    """The cycles up to `until` whose actions in the ledger are not those that were frozen."""
    a, c = schema.actions.c, schema.cycles.c
    with_open_actions = sa.select(a.cycle).where(
        a.country == ledger.country, a.rule.not_in(LATE_RULES), is_open(a.action_id)
    )
    with ledger.reading() as connection:
        waiting = (
            connection.execute(
                sa.select(c.cycle)
                .where(
                    c.country == ledger.country,
                    c.cycle <= until,
                    c.cycle.in_(with_open_actions) | (c.cycle == until),
                )
                .order_by(c.cycle)
            )
            .scalars()
            .all()
        )
    frozen = [frozen_cycle(ledger, cycle) for cycle in waiting]
    return [f.cycle for f in frozen if f is not None and not is_unchanged(ledger, f)]


def _frozen(connection: sa.Connection, country: str, cycle: date) -> FrozenCycle | None:
    c = schema.cycles.c
    row = connection.execute(
        sa.select(c.cycle, c.frozen_at, c.proposal_hash, c.actions, c.policy_version).where(
            c.country == country, c.cycle == cycle
        )
    ).one_or_none()
    return FrozenCycle(*row) if row else None


def _refuse_outrun(connection: sa.Connection, country: str, cycle: date) -> None:
    newest = connection.execute(
        sa.select(sa.func.max(schema.cycles.c.cycle)).where(schema.cycles.c.country == country)
    ).scalar()
    if newest is not None and newest > cycle:
        raise LedgerError(
            f"cycle {cycle} comes before {newest}, which is frozen already: cycles are "
            "decided in order; replay history on an empty ledger (another VIBES_HOME or database)"
        )


def _refuse_change(connection: sa.Connection, terms: Terms, seen_event: int) -> None:
    if last_event(connection, terms.country) != seen_event:
        raise LedgerError(
            f"the ledger changed while cycle {terms.cycle} was being decided; run the slot again"
        )


def _expire_regulations(connection: sa.Connection, terms: Terms, now: datetime) -> None:
    s = views.action_states.c
    which = sa.and_(
        s.country == terms.country,
        s.cycle < terms.cycle,
        s.rule.in_(CYCLE_BOUND_RULES),
        is_open(s.action_id),
    )
    cause = f"not implemented when {terms.cycle} was frozen"
    record_change(connection, State.EXPIRED, which, now, cause=cause)


def _name_shops(connection: sa.Connection, country: str, shops: pl.DataFrame) -> None:
    """Keep the newest name of every seller whom an action strikes, now or before."""
    named = storable(shops).unique("seller_id", keep="last")
    texts = sa.ARRAY(sa.Text)
    columns = (sa.literal(named[name].to_list(), texts) for name in ("seller_id", "shop_name"))
    seen = sa.func.unnest(*columns).table_valued("seller_id", "shop_name").render_derived()
    struck = (
        sa.select(1)
        .where(schema.actions.c.country == country, schema.actions.c.seller_id == seen.c.seller_id)
        .exists()
    )
    newest = insert(schema.shops).from_select(
        ["country", "seller_id", "shop_name"],
        sa.select(sa.literal(country), seen.c.seller_id, seen.c.shop_name).where(struck),
    )
    name = newest.excluded.shop_name
    connection.execute(
        newest.on_conflict_do_update(
            index_elements=["country", "seller_id"],
            set_={"shop_name": name},
            where=schema.shops.c.shop_name.is_distinct_from(name),
        )
    )
