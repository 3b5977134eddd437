"""`vibes claims`: the queue of claims, one claim, and a person's decision on it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import click

from vibes_pipeline.answers.words import moment_in_words
from vibes_pipeline.cli.common import JSON, say, say_all, say_json, style_option
from vibes_pipeline.cli.desk import Desk, deciding
from vibes_pipeline.cli.explain import text_argument
from vibes_pipeline.cli.run import log_level_of
from vibes_pipeline.errors import UsageError, VibesError, did_you_mean, near
from vibes_pipeline.listing import counted

if TYPE_CHECKING:
    from vibes_pipeline.answers.claims.case import Preview, Queued
    from vibes_pipeline.answers.claims.queue import Waiting

WAITING, EVERY = "waiting", "all"
STATES = (WAITING, "incomplete", "out_of_time", "redirected", "accepted", "upheld", "rejected")


@click.group(name="claims", invoke_without_command=True)
@click.option(
    "--state",
    type=click.Choice([*STATES, EVERY]),
    default=WAITING,
    show_default=True,
    help="Only claims in this state; waiting: those that a person has to decide.",
)
@click.option("--seller", metavar="ID", help="Only this seller's.")
@click.option("--category", metavar="NAME", help="Only of this category.")
@click.option("--overdue", is_flag=True, help="Only those that have waited longer than the target.")
@style_option
@click.pass_context
def command(
    context: click.Context,
    state: str,
    seller: str | None,
    category: str | None,
    overdue: bool,
    style: str,
) -> None:
    """List the claims that wait for a person, the oldest first; show one; decide one.

    Each with the working days it has waited against the policy's target, the naira of the charges
    that upholding would cancel, what the seller wrote, and the actions that it is about.
    """
    if context.invoked_subcommand is not None:
        return
    from vibes_pipeline.answers.claims.case import with_stakes
    from vibes_pipeline.answers.claims.page import document, in_brief
    from vibes_pipeline.answers.claims.queue import queue

    desk = Desk.open()
    run, policy = desk.run, desk.policy
    wanted = [
        one
        for one in queue(desk.ledger, policy, run.now, only_undecided=state == WAITING)
        if _is_in(one, state)
        and seller in (None, one.claim.seller_id)
        and category in (None, one.claim.category)
        and (one.is_overdue or not overdue)
    ]
    found = with_stakes(run, desk.ledger, wanted)
    if style == JSON:
        say_json([document(one, policy) for one in found])
        return
    for one in found:
        say_all(in_brief(one, policy))
        say("")
    late = sum(one.is_overdue for one in wanted)
    at_stake = policy.money(sum((one.at_stake for one in found), Decimal("0.00")))
    say(
        f"{counted(len(found), 'claim')} at {moment_in_words(run.now, policy)}, {late} overdue, "
        f"{at_stake} at stake"
    )


@command.command(name="show")
@click.argument("claim_id", metavar="ID")
@style_option
def show(claim_id: str, style: str) -> None:
    """Show a claim, each action that it is about, and what upholding it would undo."""
    from vibes_pipeline.answers.actions import explain
    from vibes_pipeline.answers.claims import page
    from vibes_pipeline.answers.page import lines

    claim_id = text_argument(claim_id)
    desk = Desk.open()
    queued = _find(desk, claim_id)
    explained = explain(desk.moment, claim_id)
    preview, why_none = _preview_or_why(desk, queued)
    if style == JSON:
        say_json(
            {
                **page.document(queued, desk.policy),
                "if_upheld": preview and page.preview_document(preview),
                "explained": [one.document for one in explained],
            }
        )
        return
    say_all(page.in_full(queued, preview, desk.policy))
    if why_none is not None:
        say(f"What upholding it would undo cannot be told: {why_none}")
    for one in explained:
        say("")
        say("-" * 78)
        say_all(lines(one))


@command.command(name="decide")
@click.argument("claim_id", metavar="ID")
@click.argument("word", metavar="upheld|rejected")
@deciding
@click.pass_context
def decide(
    context: click.Context,
    claim_id: str,
    word: str,
    decided_by: str,
    note: str | None,
    yes: bool,
    at: str | None,
) -> None:
    """Decide a claim: show what that does, ask, record it in the ledger, run the claims slot.

    A claim that was rejected may be upheld later; one that was upheld stays upheld.
    """
    from vibes_pipeline.answers.claims import page
    from vibes_pipeline.answers.claims.case import preview
    from vibes_pipeline.slots.claims.deciding import on_claim

    desk = Desk.open_at(at)
    decision = on_claim(text_argument(claim_id), word, decided_by, note)
    queued = _find(desk, claim_id)
    desk.require_possible(decision)
    if queued.stated is None:
        raise VibesError(
            f"the order warehouse does not hold claim {claim_id!r} now: load it, then decide"
        )
    say_all(page.in_brief(queued, desk.policy))
    if decision.decision == "upheld":
        say_all(page.would_undo(preview(desk.run, desk.ledger, claim_id), desk.policy))
    else:
        say("If it is rejected, its seller is told so, and nothing is undone.")
    desk.record(decision, is_sure=yes, log_level=log_level_of(context))


def _is_in(one: Waiting, state: str) -> bool:
    """Whether a claim is in a state, or among those that `waiting` or `all` names."""
    if state == WAITING:
        return one.is_for_a_person
    return state in (EVERY, one.claim.state)


def _find(desk: Desk, claim_id: str) -> Queued:
    from vibes_pipeline.answers.claims.case import with_stakes
    from vibes_pipeline.answers.claims.queue import in_queue, queue

    run = desk.run
    asked = in_queue(desk.ledger, desk.policy, run.now, claim_id)
    if asked is None:
        every = [one.claim.claim_id for one in queue(desk.ledger, desk.policy, run.now)]
        raise UsageError(
            f"the ledger of {desk.ledger.country} has taken in no claim {claim_id!r}"
            f"{did_you_mean(near(claim_id, every))}; `vibes claims --state all` lists them"
        )
    return with_stakes(run, desk.ledger, [asked])[0]


def _preview_or_why(desk: Desk, queued: Queued) -> tuple[Preview | None, str | None]:
    """What upholding would undo; None if there is nothing to tell, with the reason if it failed."""
    from vibes_pipeline.answers.claims.case import preview

    if queued.stated is None or queued.waiting.claim.state == "upheld":
        return None, None
    try:
        return preview(desk.run, desk.ledger, queued.waiting.claim.claim_id), None
    except VibesError as error:
        return None, str(error)
