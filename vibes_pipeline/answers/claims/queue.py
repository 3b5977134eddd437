"""The queue of claims: how long each has waited, against the policy's target (Rulebook §17).

Here belongs what the ledger alone tells, without a look at the order warehouse.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vibes_pipeline.ledger import waiting
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.waiting import ClaimInQueue
from vibes_pipeline.policy import Policy

# What intake leaves to a person; the other undecided states were answered at intake.
FOR_A_PERSON = "accepted"


@dataclass(frozen=True)
class Waiting:
    """A claim, and how long it has waited, or waited until it was decided.

    `working_days` are those that have passed whole since the day on which it was raised. A claim is
    overdue once these are as many as the policy's target: the target's last working day is over.
    """

    claim: ClaimInQueue
    working_days: int
    target_working_days: int

    @property
    def is_for_a_person(self) -> bool:
        """Whether it waits for a decision; not if one is recorded that no slot has applied yet."""
        return self.claim.state == FOR_A_PERSON and self.claim.recorded is None

    @property
    def is_overdue(self) -> bool:
        return self.is_for_a_person and self.working_days >= self.target_working_days


def queue(
    ledger: Ledger, policy: Policy, now: datetime, *, only_undecided: bool = False
) -> list[Waiting]:
    """Every claim of the ledger with its wait as of `now`, the oldest first.

    With `only_undecided` those accepted at intake and not decided: what they cost does not grow
    with the claims of the past.
    """
    claims = waiting.claims(ledger, only_undecided=only_undecided)
    return [_waiting(claim, policy, now) for claim in claims]


def in_queue(ledger: Ledger, policy: Policy, now: datetime, claim_id: str) -> Waiting | None:
    """One of them; None of a claim that the ledger has not taken in."""
    found = waiting.claims(ledger, claim_id=claim_id)
    return _waiting(found[0], policy, now) if found else None


def _waiting(claim: ClaimInQueue, policy: Policy, now: datetime) -> Waiting:
    # The seller states when it was raised: a day before the policy's first must not stop the queue.
    raised_on = max(
        policy.local_date(claim.raised_at or claim.taken_in_at), policy.calendar.first_day
    )
    until = policy.local_date(claim.decided_at or now)
    return Waiting(
        claim,
        policy.calendar.working_days_between(raised_on, until),
        policy.claims.claim_target_working_days.on(raised_on),
    )
