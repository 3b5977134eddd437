"""What claims are about: what the seller wrote, what is at stake, what upholding would undo (§11).

The slot's own code finds it, in a transaction that only reads: the answer and what the slot does
cannot differ while ledger and warehouse stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from vibes_pipeline.answers.claims.queue import Waiting
from vibes_pipeline.ledger import claims as ledger_claims
from vibes_pipeline.ledger.claims import Excuse
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.states import OPEN, STANDING, State
from vibes_pipeline.rules import CHARGES
from vibes_pipeline.slots.claims import stated
from vibes_pipeline.slots.claims.intake import Claim
from vibes_pipeline.slots.claims.remedy import (
    Case,
    about,
    effect_of,
    remedy_for,
    struck_by,
)
from vibes_pipeline.slots.run import SlotRun

Action = Mapping[str, Any]


@dataclass(frozen=True)
class Queued:
    """A claim of the queue with what it is about.

    `stated` is None while the order warehouse does not hold it. `at_stake` is the naira of the
    standing charges that upholding would cancel; `actions` are those it names, with their states.
    """

    waiting: Waiting
    stated: Claim | None
    at_stake: Decimal
    actions: Sequence[Action]


@dataclass(frozen=True)
class Preview:
    """What upholding would do at the run's instant.

    `is_found` is whether the claim is about anything of its seller's; without it the claim would be
    upheld, and shown to operators as unmatched. An action of `undone` has the state it would get.
    """

    is_found: bool = False
    excuses: Sequence[Excuse] = ()
    undone: Sequence[Action] = field(default_factory=list)
    staying: Sequence[Action] = field(default_factory=list)

    @property
    def amount(self) -> Decimal:
        """The naira that would be withdrawn or credited."""
        return naira(self.undone)


def with_stakes(run: SlotRun, ledger: Ledger, waiting: Sequence[Waiting]) -> list[Queued]:
    """The claims of the queue with what each is about, as of the run's instant."""
    ids = {one.claim.claim_id for one in waiting}
    raised = stated.raised(run, ledger, ids) if ids else {}
    with ledger.reading() as connection:
        found = []
        for one in waiting:
            claim = raised.get(one.claim.claim_id)
            if claim is None:
                found.append(Queued(one, None, Decimal("0.00"), []))
                continue
            case = Case(connection, run, claim)
            remedy = remedy_for(case)
            struck = struck_by(case, remedy) if remedy else []
            actions = ledger_claims.by_ids(connection, {*struck, *about(case)})
            standing = [a for a in actions if a["action_id"] in struck and a["state"] in STANDING]
            found.append(Queued(one, claim, naira(standing), actions))
    return found


def preview(run: SlotRun, ledger: Ledger, claim_id: str) -> Preview:
    """What upholding the claim would undo, at the run's instant; `VibesError` as the slot's."""
    claim = stated.raised_one(run, ledger, claim_id)
    if claim is None:
        return Preview()
    with ledger.reading() as connection:
        case = Case(connection, run, claim)
        remedy = remedy_for(case)
        if remedy is None:
            return Preview()
        effect = effect_of(case, remedy)
        undone = ledger_claims.by_ids(connection, effect.cancelled)
        staying = ledger_claims.by_ids(connection, effect.staying)
    return Preview(
        remedy.is_found,
        remedy.excuses,
        [{**a, "becomes": _becomes(a)} for a in undone],
        staying,
    )


def naira(actions: Sequence[Action]) -> Decimal:
    """The sum of the charges among the actions."""
    return sum((a["amount"] for a in actions if a["rule"] in CHARGES), Decimal("0.00"))


def _becomes(action: Action) -> State:
    return State.WITHDRAWN if action["state"] in OPEN else State.REVERSED
