"""`vibes explain`: why, and why not."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vibes_pipeline.calendar import parse_cycle
from vibes_pipeline.cli.common import JSON, console, say, settings_and_policy, style_option
from vibes_pipeline.errors import UsageError
from vibes_pipeline.listing import counted
from vibes_pipeline.notices.cleaning import clean

if TYPE_CHECKING:
    from vibes_pipeline.answers.moment import Moment


class Explain(click.Group):
    """A first word that names no subcommand is what is to be explained."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return None, reference, args


@click.group(name="explain", cls=Explain, subcommand_metavar="REFERENCE | COMMAND [ARGS]...")
def command() -> None:
    """Say why a rule struck, or why it did not.

    REFERENCE is the reference that a mail quotes, or the id of an action, a posting, a notice or a
    claim. Nothing is changed.
    """


@click.command(name="reference")
@click.argument("named", metavar="REFERENCE")
@style_option
def reference(named: str, style: str) -> None:
    """Explain an action, from the row in the warehouse to the posting."""
    moment = _moment(None)
    from vibes_pipeline.answers.actions import explain
    from vibes_pipeline.answers.page import lines

    explained = explain(moment, text_argument(named))
    if style == JSON:
        documents = [one.document for one in explained]
        _print_json(documents[0] if len(documents) == 1 else documents)
        return
    if not explained:
        say(f"claim {clean(named)} is about no action of the ledger")
    for number, one in enumerate(explained):
        if number:
            say("")
            say("-" * 78)
        for line in lines(one):
            say(line)


@command.command(name="item")
@click.argument("item", metavar="[ID]", required=False)
@click.option(
    "--at", metavar="LOCAL", help="As of this local time, such as 2026-11-18T07:00. [default: now]"
)
@click.option("--all", "is_all", is_flag=True, help="Every item that is known, to a file.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="With --all: a .jsonl file, one line per item."
)
@style_option
def of_item(item: str | None, at: str | None, is_all: bool, out: Path | None, style: str) -> None:
    """Say of an order item, charge rule by charge rule, why it is charged or not."""
    if is_all is (item is not None) or is_all is not (out is not None):
        raise UsageError("name one item, or --all with --out FILE.jsonl")
    if out is not None:
        from vibes_pipeline.answers.items import write_all
        from vibes_pipeline.exports.files import check_target

        check_target(out, (".jsonl",))
        written = write_all(_moment(at), out)
        console.print(f"{counted(written, 'item')} explained in {out}", markup=False)
        return
    moment = _moment(at)
    from vibes_pipeline.answers.items import explain_item

    answer = explain_item(moment, text_argument(item or ""))
    if style == JSON:
        _print_json(answer)
        return
    from vibes_pipeline.answers.words import moment_in_words

    say(f"item {clean(answer['order_item_id'])} at {moment_in_words(moment.at, moment.policy)}")
    for rule in answer["rules"]:
        say(f"  {rule['rule']:<24}{rule['code']:<20}{rule['text']}")


@command.command(name="seller")
@click.argument("seller", metavar="ID")
@click.option("--cycle", metavar="DATE", required=True, help="The cycle, named by its Monday.")
@style_option
def of_seller(seller: str, cycle: str, style: str) -> None:
    """Say why a seller got an order regulation in a cycle, or not."""
    from vibes_pipeline.answers.cycles import explain_seller

    answer = explain_seller(_moment(None), text_argument(seller), parse_cycle(cycle))
    _print_cycle("seller", seller, cycle, answer, style)


@command.command(name="product")
@click.argument("product", metavar="SKU")
@click.option("--cycle", metavar="DATE", required=True, help="The cycle, named by its Monday.")
@style_option
def of_product(product: str, cycle: str, style: str) -> None:
    """Say why a product got a sales regulation in a cycle, or not."""
    from vibes_pipeline.answers.cycles import explain_product

    answer = explain_product(_moment(None), text_argument(product), parse_cycle(cycle))
    _print_cycle("product", product, cycle, answer, style)


def _print_cycle(what: str, name: str, cycle: str, answer: Mapping[str, Any], style: str) -> None:
    if style == JSON:
        _print_json(answer)
        return
    say(f"{what} {clean(name)} in cycle {cycle}")
    say(f"  {answer['rule']:<24}{answer['code']:<20}{answer['text']}")
    for fact, value in answer["facts"].items():
        if value is not None:
            say(f"  {fact}: {clean(str(value))}")


def _moment(at: str | None) -> Moment:
    """The instant asked for, over the ledger that is there."""
    from vibes_pipeline.ledger.ledger import Ledger

    settings, policy = settings_and_policy()
    with ThreadPoolExecutor(max_workers=1) as ahead:
        # The embedded server starts while the rest is imported.
        opened = ahead.submit(Ledger.open_existing, settings, policy.country)
        from vibes_pipeline.answers.instant import asked_instant
        from vibes_pipeline.answers.moment import Moment

        ledger = opened.result()
    return Moment.of(ledger, settings, policy, asked_instant(at, ledger, policy))


def text_argument(argument: str) -> str:
    """An argument that is text; so Python marks bytes that are none in the terminal's encoding."""
    if argument != argument.encode(errors="ignore").decode():
        raise UsageError("the id is not UTF-8 text; set LC_ALL=C.UTF-8 and write it as such")
    return argument


def _print_json(answer: object) -> None:
    sys.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False, default=str) + "\n")
