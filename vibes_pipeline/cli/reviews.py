"""`vibes reviews`: the accounts listed for review, one of them, and a person's decision on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vibes_pipeline.answers.words import moment_in_words
from vibes_pipeline.cli.common import JSON, say, say_all, say_json, style_option
from vibes_pipeline.cli.desk import Desk, deciding
from vibes_pipeline.cli.explain import text_argument
from vibes_pipeline.cli.run import log_level_of
from vibes_pipeline.errors import UsageError, did_you_mean, near
from vibes_pipeline.listing import counted

if TYPE_CHECKING:
    from vibes_pipeline.answers.reviews import Listed


@click.group(name="reviews", invoke_without_command=True)
@click.option("--all", "is_all", is_flag=True, help="Also those decided since they were listed.")
@style_option
@click.pass_context
def command(context: click.Context, is_all: bool, style: str) -> None:
    """List the accounts that wait for a review, the one listed last first; show one; decide one.

    Each with the events that listed it, what it sold and cancelled in that week, the naira charged
    for such events, and the last decision.
    """
    if context.invoked_subcommand is not None:
        return
    from vibes_pipeline.answers.reviews import document, in_brief, listed

    desk = Desk.open()
    every = listed(desk.run, desk.ledger)
    found = [one for one in every if is_all or one.is_for_a_person]
    if style == JSON:
        say_json([document(one, desk.policy) for one in found])
        return
    for one in found:
        say_all(in_brief(one, desk.policy))
        say("")
    waiting = sum(one.is_for_a_person for one in every)
    say(
        f"{counted(len(every), 'account')} listed by {moment_in_words(desk.run.now, desk.policy)}, "
        f"{waiting} of them to be decided"
    )


@command.command(name="show")
@click.argument("seller_id", metavar="SELLER")
@style_option
def show(seller_id: str, style: str) -> None:
    """Show an account: each listing, each event's charge, what either decision would do."""
    from vibes_pipeline.answers.reviews import full_document, in_full

    desk = Desk.open()
    one = _find(desk, seller_id)
    if style == JSON:
        say_json(full_document(one, desk.moment))
    else:
        say_all(in_full(one, desk.moment))


@command.command(name="decide")
@click.argument("seller_id", metavar="SELLER")
@click.argument("word", metavar="delist|keep")
@deciding
@click.pass_context
def decide(
    context: click.Context,
    seller_id: str,
    word: str,
    decided_by: str,
    note: str | None,
    yes: bool,
    at: str | None,
) -> None:
    """Decide on an account: show what that does, ask, record it, run the claims slot.

    The latest decision counts: to keep an account undoes its delisting at once.
    """
    from vibes_pipeline.answers.reviews import in_brief, would_do
    from vibes_pipeline.slots.claims.deciding import on_account

    desk = Desk.open_at(at)
    decision = on_account(text_argument(seller_id), word, decided_by, note)
    one = _find(desk, seller_id)
    desk.require_possible(decision)
    say_all(in_brief(one, desk.policy))
    say(would_do(one, desk.moment, decision.decision))
    desk.record(decision, is_sure=yes, log_level=log_level_of(context))


def _find(desk: Desk, seller_id: str) -> Listed:
    from vibes_pipeline.answers.reviews import listed_one
    from vibes_pipeline.ledger.waiting import reviews

    if one := listed_one(desk.run, desk.ledger, seller_id):
        return one
    every = [review.seller_id for review in reviews(desk.ledger)]
    raise UsageError(
        f"the ledger of {desk.ledger.country} lists no seller {seller_id!r} for review"
        f"{did_you_mean(near(seller_id, every))}; `vibes reviews --all` lists them"
    )
