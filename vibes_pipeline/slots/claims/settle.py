"""The step with which every slot begins: apply claims and account decisions at once (§2, §11).

Each claim, and each decision on one, is one transaction: a crash leaves it untouched or done. The
ledger knows what is done already, so a failed run loses nothing and the next repeats nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from vibes_pipeline.engine.models import closure
from vibes_pipeline.engine.protocol import Engine
from vibes_pipeline.engine.scratch import ScratchEngine
from vibes_pipeline.ledger import claims as ledger_claims
from vibes_pipeline.ledger import recorded, schema
from vibes_pipeline.ledger.frames import read_frame
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.notice_kinds import NoticeKind
from vibes_pipeline.ledger.undecipherable import Undecipherable
from vibes_pipeline.slots.claims import quiet, stated, undecipherable
from vibes_pipeline.slots.claims.intake import Claim, judge
from vibes_pipeline.slots.claims.quiet import State
from vibes_pipeline.slots.claims.remedy import Case, Effect, about, carry_out, remedy_for
from vibes_pipeline.slots.claims.stated import ORDERS, UNSETTLED
from vibes_pipeline.slots.run import SlotRun

KEPT = "claims.keep_decisions"
UNDECIPHERABLE = "claims.undecipherable"
# The models that read the warehouse. An upheld claim also reads the partitions of decided cycles.
READ = (UNSETTLED, ORDERS, KEPT, UNDECIPHERABLE, quiet.NEXT_MOMENT)


@dataclass(frozen=True)
class Settled:
    """What the step did: claims by their new state, actions undone, accounts kept.

    `waited` names the claims whose decision had waited too long when it was applied.
    `undecipherable` are the values in the warehouse that cannot be read; `untold` says why
    operators could not be mailed about them.
    """

    states: Counter[str] = field(default_factory=Counter)
    actions_undone: int = 0
    accounts_kept: int = 0
    waited: tuple[str, ...] = ()
    undecipherable: tuple[Undecipherable, ...] = ()
    untold: str | None = None


@dataclass(frozen=True)
class Found:
    """What the warehouse and the ledger have for the step; `kept` is (seller, decision)."""

    unsettled: Sequence[Unsettled]
    kept: Sequence[tuple[str, str]]
    undecipherable: Sequence[Undecipherable]


@dataclass(frozen=True)
class Unsettled:
    """A claim that waits to be taken in, or whose decision waits to be applied."""

    claim: Claim
    needs_intake: bool
    rejected_at: datetime | None
    upheld_at: datetime | None

    @property
    def decisions(self) -> list[tuple[datetime, str]]:
        """Decisions not recorded yet, in order of time; none after the claim was upheld."""
        given = [(self.rejected_at, "rejected"), (self.upheld_at, "upheld")]
        ordered = sorted((at, decision) for at, decision in given if at is not None)
        upheld = [decision for _, decision in ordered].index("upheld") if self.upheld_at else None
        return ordered if upheld is None else ordered[: upheld + 1]


def settle(run: SlotRun, ledger: Ledger) -> Settled:
    """Take in new claims; apply the decisions on claims and accounts made by the slot's instant.

    `LedgerError` when the ledger has an event after that instant: no action may be undone at an
    instant before it was done.
    """
    ledger.require_not_before(run.now)
    found = _find(run, ledger)
    opened_at = (ledger.opened_at() if found.unsettled else None) or run.now
    states: Counter[str] = Counter()
    undone, waited = 0, []
    for waiting in found.unsettled:
        claim = waiting.claim
        if waiting.needs_intake:
            is_told = claim.raised_at is None or claim.raised_at >= opened_at
            if (state := _take_in(run, ledger, claim, is_told)) is not None:
                states[state] += 1
    for decided_at, claim, decision in _in_order_of_decision(found.unsettled):
        is_told = decided_at >= opened_at
        fallen = _decide(run, ledger, claim, decision, decided_at, is_told)
        if fallen is None:
            continue
        undone += fallen
        states[decision] += 1
        if is_told and run.now - decided_at > _patience(run):
            waited.append(claim.claim_id)
    for seller_id, decision_id in found.kept:
        _keep(run, ledger, seller_id, decision_id)
    untold = undecipherable.record_and_tell(run, ledger, found.undecipherable)
    return Settled(
        states, undone, len(found.kept), tuple(waited), tuple(found.undecipherable), untold
    )


def is_waiting(run: SlotRun, ledger: Ledger, *, patience_seconds: float) -> bool:
    """Whether anything is to be settled; `WarehouseError` if the warehouse stays busy."""
    warehouse = replace(run.engine.warehouse, patience_seconds=patience_seconds)
    impatient = replace(run, engine=replace(run.engine, warehouse=warehouse))
    found = _find(impatient, ledger)
    return bool(
        found.unsettled or found.kept or undecipherable.has_changed(ledger, found.undecipherable)
    )


def _patience(run: SlotRun) -> timedelta:
    today = run.policy.local_date(run.now)
    return timedelta(hours=run.policy.claims.decision_waits_at_most_hours.on(today))


def _find(run: SlotRun, ledger: Ledger) -> Found:
    """What waits to be settled; the look-up leaves no file: the lake holds what slots decided."""
    state = State.of(run, ledger)
    if (last := quiet.recall(ledger, state, run.now)) is not None:
        return Found([], [], last.undecipherable)
    engine = ScratchEngine.over(run.engine)
    found = Found(
        _find_unsettled(engine, run, ledger),
        _find_kept(engine, run, ledger),
        undecipherable.found(engine.read(UNDECIPHERABLE)),
    )
    if not found.unsettled and not found.kept:
        quiet.keep(ledger, state, run, engine, found.undecipherable)
    return found


def _find_unsettled(engine: Engine, run: SlotRun, ledger: Ledger) -> list[Unsettled]:
    """Claims that wait, in the order in which they were raised."""
    stated.write_ledger(engine, ledger)
    for model in closure([UNSETTLED, UNDECIPHERABLE]):
        engine.materialize(model, run.view)
    waiting = engine.read(UNSETTLED)
    if waiting.is_empty():
        return []
    with_orders = stated.with_orders(engine, run, waiting)
    with ledger.reading() as connection:
        found = [
            Unsettled(
                stated.claim_of(row, connection, ledger.country),
                row["needs_intake"],
                row["rejected_at"],
                row["upheld_at"],
            )
            for row in with_orders.iter_rows(named=True)
        ]
    return sorted(found, key=_raised_at)


def _find_kept(engine: Engine, run: SlotRun, ledger: Ledger) -> list[tuple[str, str]]:
    """(seller, decision) where the latest decision keeps an account whose delisting stands."""
    delisted = ledger_claims.standing_account_delistings(ledger)
    if delisted.is_empty():
        return []
    engine.write("ledger.account_delistings", delisted)
    decided = read_frame(ledger, recorded.select_account_decisions(ledger.country))
    engine.write("ledger.recorded_account_decisions", decided)
    for model in closure([KEPT]):
        engine.materialize(model, run.view)
    return list(engine.read(KEPT).select("seller_id", "decision_id").iter_rows())


def _raised_at(waiting: Unsettled) -> tuple[float, str]:
    raised_at = waiting.claim.raised_at
    return (raised_at.timestamp() if raised_at else 0.0, waiting.claim.claim_id)


def _in_order_of_decision(unsettled: Sequence[Unsettled]) -> list[tuple[datetime, Claim, str]]:
    """All decisions in order of time: the effects must not depend on when claims were taken in."""
    decisions = [
        (decided_at, waiting.claim, decision)
        for waiting in unsettled
        for decided_at, decision in waiting.decisions
    ]
    return sorted(decisions, key=lambda made: (made[0], made[1].claim_id, made[2]))


def _take_in(run: SlotRun, ledger: Ledger, claim: Claim, is_told: bool) -> str | None:
    """Record a claim's state and, if the seller is told, plan the receipt; return the state.

    None when another slot has recorded it since this slot looked.
    """
    judgement = judge(claim, run.policy, run.now)
    with ledger.writing(is_simulated=run.is_simulated, now=run.now) as connection:
        event_id = ledger_claims.record_intake(
            connection,
            ledger.country,
            {
                "claim_id": claim.claim_id,
                "state": judgement.state,
                **{name: getattr(claim, name) for name in schema.CLAIM_COLUMNS},
                "faults": dict(judgement.faults),
                "content_hash": claim.content_hash,
            },
            run.now,
        )
        if event_id is None:
            return None
        if is_told:
            case = Case(connection, run, claim)
            _plan_notice(case, NoticeKind.CLAIM_RECEIPT, event_id, claim.content_hash)
    return judgement.state


def _decide(
    run: SlotRun,
    ledger: Ledger,
    claim: Claim,
    decision: str,
    decided_at: datetime,
    is_told: bool,
) -> int | None:
    """Record a decision with all its effects, plan its mail; return how many actions it cancelled.

    None when another slot has recorded it since this slot looked.
    """
    with ledger.writing(is_simulated=run.is_simulated, now=run.now) as connection:
        case = Case(connection, run, claim)
        remedy = remedy_for(case) if decision == "upheld" else None
        event_id = ledger_claims.record_decision(
            connection,
            ledger.country,
            claim.claim_id,
            decision,
            decided_at,
            run.now,
            is_matched=decision == "rejected" or (remedy is not None and remedy.is_found),
        )
        if event_id is None:
            return None
        effect = carry_out(case, remedy) if remedy is not None else Effect()
        if is_told:
            listed = {*effect.cancelled, *effect.staying, *about(case)}
            _plan_notice(case, NoticeKind.CLAIM_OUTCOME, event_id, decision, listed)
    return len(effect.cancelled)


def _keep(run: SlotRun, ledger: Ledger, seller_id: str, decision_id: str) -> None:
    """Undo a seller's account delisting, because a later decision keeps the account (§8)."""
    with ledger.writing(is_simulated=run.is_simulated, now=run.now) as connection:
        standing = ledger_claims.standing_of_seller(
            connection, ledger.country, seller_id, "account_delisting"
        )
        ledger_claims.undo(
            connection,
            [action["action_id"] for action in standing],
            run.now,
            run.policy.time_zone,
            cause=f"account decision {decision_id}: keep",
        )


def _plan_notice(
    case: Case, kind: NoticeKind, event_id: int, occasion: str, listed: Collection[UUID] = ()
) -> None:
    """Plan the mail to a known seller; an outcome lists the actions cancelled and those staying."""
    if not case.claim.is_known_seller or case.claim.seller_id is None:
        return
    ledger_claims.plan_claim_notice(
        case.connection,
        country=case.country,
        kind=kind,
        claim_id=case.claim.claim_id,
        seller_id=case.claim.seller_id,
        claim_event_id=event_id,
        occasion=occasion,
        actions=listed,
        now=case.run.now,
        time_zone=case.run.policy.time_zone,
    )
