"""The job with which a person records a decision: its config is a form in the launchpad.

Here belongs the form alone; what is done with it is `slots.claims.deciding`'s. The config of a run
holds who decided, and nothing else that Dagster keeps or logs of the run does.
"""

from enum import Enum

import dagster as dg
from pydantic import Field

from vibes_pipeline.calendar import Slot, parse_local
from vibes_pipeline.clock import SimulatedClock, WallClock
from vibes_pipeline.defs.lineage import ON_CALL, OPERATIONS
from vibes_pipeline.defs.resources import Country
from vibes_pipeline.ledger.run_locks import running
from vibes_pipeline.policy import load_policy
from vibes_pipeline.slots.claims import deciding
from vibes_pipeline.slots.claims.settle import Settled
from vibes_pipeline.slots.steps import SETTLE, run_slot


class Word(Enum):
    """The words of decisions, as the form offers them."""

    upheld = "upheld"
    rejected = "rejected"
    delist = "delist"
    keep = "keep"


class PersonsDecision(dg.Config):
    """What a person decided, and of what."""

    decision: Word = Field(
        description="Of a claim upheld or rejected, of an account listed for review delist or keep."
    )
    subject_id: str = Field(description="The claim's id; for delist and keep the seller's.")
    decided_by: str = Field(description="The name of the person who decided.")
    note: str = Field(default="", description="Why, on one line.")
    at: str | None = Field(
        default=None,
        description=(
            "Leave it empty. Only for a simulated ledger: the local time of the decision, such as "
            "2026-11-24T10:00."
        ),
    )


@dg.op(
    description=(
        "Records the decision in the ledger, which refuses one that nobody could have made, and "
        "runs the claims slot, which applies it. `vibes claims show` and `vibes reviews show` tell "
        "beforehand what it does."
    )
)
def recorded_decision(
    context: dg.OpExecutionContext, config: PersonsDecision, country: dg.ResourceParam[Country]
) -> None:
    settings, ledger = country.settings, country.ledger
    policy = load_policy(settings.country, settings.policy)
    clock = SimulatedClock(parse_local(config.at, policy.time_zone)) if config.at else WallClock()
    word = config.decision.value
    read = deciding.on_claim if word in deciding.ON_CLAIMS else deciding.on_account
    decision = read(config.subject_id.strip(), word, config.decided_by, config.note)
    with running(ledger, context.run_id):
        decided_at = deciding.record(ledger, policy, decision, clock)
        done = run_slot(
            Slot.CLAIMS, policy.local_date(clock.now()), policy, settings, ledger, clock
        )
    settled = done[SETTLE.asset]
    assert isinstance(settled, Settled)
    context.add_output_metadata(
        {
            "decided_at": decided_at.astimezone(policy.time_zone).isoformat(),
            "claims": settled.states.total(),
            "actions_undone": settled.actions_undone,
            "accounts_kept": settled.accounts_kept,
        }
    )


@dg.job(
    description=(
        "A person decides a claim, or an account listed for review: fill in the form in the "
        "launchpad."
    ),
    owners=[ON_CALL, OPERATIONS],
)
def record_decision() -> None:
    recorded_decision()
