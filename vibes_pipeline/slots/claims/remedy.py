"""What an upheld claim is about, and which actions of its seller it cancels at once (§11).

Here belongs the way from a claim to the actions it cancels. The claim excuses events; that cancels
the charges and late cancellations that rest on them, regulations that come out milder without them,
and delistings that lose their ground. `effect_of` finds them and writes nothing, so it also tells
beforehand what upholding would undo; `carry_out` records it, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any, get_args
from uuid import UUID

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger import claims as ledger_claims
from vibes_pipeline.ledger.claims import Excuse, excuse_rows
from vibes_pipeline.ledger.frames import read
from vibes_pipeline.ledger.history import select_excuses
from vibes_pipeline.ledger.states import OPEN, STANDING
from vibes_pipeline.policy.rules import Event
from vibes_pipeline.rules import ITEM_RULES
from vibes_pipeline.slots.claims.intake import Claim, category_of
from vibes_pipeline.slots.claims.recompute import REGULATIONS, DecidedCycle, policy_decided_under
from vibes_pipeline.slots.run import SlotRun
from vibes_pipeline.warehouse.contract import LONGEST_ID

ALL_EVENTS: tuple[str, ...] = get_args(Event)


@dataclass(frozen=True)
class Remedy:
    """What a claim is about: events to excuse, or actions themselves to cancel.

    `is_found` says whether the warehouse or the ledger has any of it yet.
    """

    excuses: Sequence[Excuse] = ()
    actions: Sequence[UUID] = ()
    is_found: bool = True


@dataclass(frozen=True)
class Effect:
    """The actions that an upheld claim cancels, and the regulations that stay as they came out."""

    cancelled: list[UUID] = field(default_factory=list)
    staying: list[UUID] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """A claim being looked at or settled: in which transaction, at which slot's instant."""

    connection: sa.Connection
    run: SlotRun
    claim: Claim

    @property
    def country(self) -> str:
        return self.run.policy.country

    @cached_property
    def rule_events(self) -> Mapping[str, Sequence[str]]:
        """The events that each rule rests on, by the policy of the claim's day."""
        day = self.claim.day(self.run.policy, self.run.now)
        return {
            rule.value: events
            for rule, events in self.run.policy.claims.rule_events.on(day).items()
        }


# What a claim is about ---------------------------------------------------------------------------


def remedy_for(case: Case) -> Remedy | None:
    """What an upheld claim excuses or cancels; None when its seller has nothing of it."""
    claim = case.claim
    if claim.seller_id is None:
        return None
    if claim.action_reference is not None:
        return _of_one(_referenced(case), case.rule_events)
    category = category_of(claim, case.run.policy, case.run.now)
    if category is None:
        return None
    match category.excuses.those_of:
        case "charge":
            if claim.transaction_type not in category.excuses.transaction_types:
                return Remedy()
            return _of_one(_billed(case), case.rule_events)
        case "rule":
            return _of_order(case, _of_named_rule(case))
        case _:
            return _of_order(case, category.excuses.events)


def _of_one(
    actions: Sequence[Mapping[str, Any]], rule_events: Mapping[str, Sequence[str]]
) -> Remedy | None:
    """For one action: excuse its item's events, or cancel it if it has no item; else None."""
    if len(actions) != 1:
        return None
    (action,) = actions
    if action["order_item_id"] is None:
        return Remedy(actions=[action["action_id"]])
    excuse = Excuse(
        action["seller_id"],
        rule_events[action["rule"]],
        order_item_id=action["order_item_id"],
    )
    return Remedy(excuses=[excuse])


def _of_named_rule(case: Case) -> Sequence[str]:
    """The events of the rule that the reason names; all without a reason, none if unknown."""
    reason = case.claim.reason
    return ALL_EVENTS if reason is None else case.rule_events.get(reason, ())


def _of_order(case: Case, events: Sequence[str]) -> Remedy | None:
    """Excuse the seller's events in the order, even while the warehouse lacks its items.

    A load that lacks the items must not undo what a person upheld. In another seller's order this
    excuses nothing: an excuse is for the items of the claim's seller alone.
    """
    claim = case.claim
    if claim.seller_id is None or claim.order_number is None or not events:
        return None
    if any(len(name or "") > LONGEST_ID for name in (claim.order_number, claim.sku)):
        return None
    excuse = Excuse(claim.seller_id, events, claim.order_number, claim.sku)
    is_found = claim.claimed_items > 0 or bool(_resting_on(case, excuse))
    return Remedy(excuses=[excuse], is_found=is_found)


def _referenced(case: Case) -> list[dict[str, Any]]:
    """The seller's actions with the claim's action reference."""
    claim = case.claim
    return ledger_claims.actions_by_reference(
        case.connection, case.country, claim.seller_id or "", claim.action_reference or ""
    )


def _billed(case: Case) -> list[dict[str, Any]]:
    """The seller's standing charges with the claim's amount and statement period."""
    claim = case.claim
    try:
        period = date.fromisoformat(claim.statement_period or "")
    except ValueError:
        return []
    return ledger_claims.charges_on_statement(
        case.connection, case.country, claim.seller_id or "", claim.amount, period
    )


# What a claim cancels ----------------------------------------------------------------------------


def effect_of(case: Case, remedy: Remedy) -> Effect:
    """What the remedy would cancel and what would stay, as the transaction sees the ledger."""
    effect = Effect()
    _cancel(case, effect, struck_by(case, remedy))
    for excuse in remedy.excuses:
        _recompute(case, effect, remedy, excuse)
    return effect


def struck_by(case: Case, remedy: Remedy) -> list[UUID]:
    """What the remedy cancels without any regulation being calculated again: every charge of it."""
    resting = [action for excuse in remedy.excuses for action in _resting_on(case, excuse)]
    return [*remedy.actions, *resting]


def carry_out(case: Case, remedy: Remedy) -> Effect:
    """Record the excuses and undo everything that rests on them."""
    effect = effect_of(case, remedy)
    claim_id = case.claim.claim_id
    ledger_claims.record_excuses(case.connection, case.country, claim_id, remedy.excuses)
    if effect.cancelled:
        ledger_claims.undo(
            case.connection,
            effect.cancelled,
            case.run.now,
            case.run.policy.time_zone,
            cause="claim upheld",
            claim_id=claim_id,
        )
    return effect


def about(case: Case) -> list[UUID]:
    """The standing actions a claim is about, upheld or not: its order's, or the referenced one."""
    claim = case.claim
    if claim.seller_id is None:
        return []
    if claim.action_reference is not None:
        return _ids(a for a in _referenced(case) if a["state"] in STANDING)
    if claim.order_number is None:
        return []
    order = Excuse(claim.seller_id, ALL_EVENTS, claim.order_number, claim.sku)
    return _ids(ledger_claims.standing_on(case.connection, case.country, order, ITEM_RULES))


def _resting_on(case: Case, excuse: Excuse) -> list[UUID]:
    """Standing charges and late cancellations that rest on an excused event."""
    rules = [rule for rule in ITEM_RULES if set(case.rule_events[rule]) & set(excuse.events)]
    return _ids(ledger_claims.standing_on(case.connection, case.country, excuse, rules))


def _cancel(case: Case, effect: Effect, actions: Iterable[UUID]) -> None:
    """Add the actions that stand, and the product delistings that lose their ground by them."""
    new = [
        row
        for row in ledger_claims.by_ids(case.connection, actions)
        if row["state"] in STANDING and row["action_id"] not in effect.cancelled
    ]
    effect.cancelled.extend(_ids(new))
    skus = {row["sku"] for row in new if row["rule"] == "sales_regulation"}
    if skus:
        fallen = ledger_claims.delistings_without_ground(
            case.connection, case.country, skus, without=effect.cancelled
        )
        _cancel(case, effect, fallen)


def _recompute(case: Case, effect: Effect, remedy: Remedy, excuse: Excuse) -> None:
    """Calculate the seller's regulations again; cancel those that come out milder or not at all."""
    recorded = read(case.connection, select_excuses(case.country))
    excuses = pl.concat([recorded, excuse_rows(case.claim.claim_id, remedy.excuses)])
    for rule in REGULATIONS:
        if not set(case.rule_events[rule]) & set(excuse.events):
            continue
        # A cycle is decided at one instant: what its seller would get is the same for all actions.
        made: dict[date, pl.DataFrame] = {}
        for action in _to_recompute(case, rule):
            if action["action_id"] in effect.cancelled:
                continue
            cycle, seller_id = action["cycle"], action["seller_id"]
            if cycle not in made:
                made[cycle] = _decided_cycle(case, action).regulations(rule, seller_id, excuses)
            if _comes_out_milder(action, made[cycle]):
                _cancel(case, effect, [action["action_id"]])
            else:
                effect.staying.append(action["action_id"])


def _to_recompute(case: Case, rule: str) -> list[dict[str, Any]]:
    """The seller's standing regulations; order regulations only if open or in force."""
    connection, country, seller_id = case.connection, case.country, case.claim.seller_id or ""
    standing = ledger_claims.standing_of_seller(connection, country, seller_id, rule)
    if rule != "order_regulation":
        return standing
    newest = ledger_claims.newest_implemented_cycle(connection, country, seller_id, rule)
    days = case.run.policy.order_regulation.in_force_days
    return [
        action
        for action in standing
        if action["state"] in OPEN
        or (
            action["cycle"] == newest
            and case.run.now < action["implemented_at"] + timedelta(days=days.on(action["cycle"]))
        )
    ]


def _decided_cycle(case: Case, action: Mapping[str, Any]) -> DecidedCycle:
    """The cycle of an action as it was decided: at its alert's instant, under its policy."""
    run = case.run
    return DecidedCycle(
        SlotRun.begin(
            Slot.WEEKLY_ALERT,
            action["cycle"],
            policy_decided_under(case.connection, run.policy, action["policy_version"]),
            run.settings,
            now=action["proposed_at"],
            is_simulated=run.is_simulated,
            warehouse=run.engine.warehouse,
        )
    )


def _comes_out_milder(action: Mapping[str, Any], made: pl.DataFrame) -> bool:
    """Whether a regulation is gone, has a lighter band, lost a ground or is no occurrence now."""
    if action["rule"] == "order_regulation":
        return made.is_empty() or made["band"][0] < action["band"]
    of_sku = made.filter(pl.col("sku") == action["sku"])
    if of_sku.is_empty():
        return True
    lost = set(action["grounds"].split(",")) - set(of_sku["grounds"][0].split(","))
    counted, counts = action["occurrence"] is not None, of_sku["occurrence"][0] is not None
    return bool(lost) or (counted and not counts)


def _ids(actions: Iterable[Mapping[str, Any]]) -> list[UUID]:
    return [action["action_id"] for action in actions]
