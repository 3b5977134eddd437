"""What the documents tell to do is done, in their order, over the marketplace that they make.

One story: the policy owner's, who makes a marketplace and replays it under two policies; then what
the others ask of it. The services, live slots, `psql` and the import of real orders have tests of
their own; here each command that is left must run as it is written.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from cli.shell import Outcome, Shell, new_shell
from documents import DOCUMENTS, PROJECT, Command, code_blocks, shown_in
from served import TEMPLATE

POLICY_OWNER = PROJECT / "docs" / "policy_owner.md"
# Tested elsewhere: what starts servers or slots, and what is only for a live ledger.
ELSEWHERE = {
    *(("up",), ("run",), ("import",), ("demo",)),
    *(("mail", "resend"), ("mail", "accept-key")),
    *(("claims", "decide"), ("reviews", "decide")),
}
DATA_ENGINEER = PROJECT / "docs" / "data_engineer.md"
AGAIN = next(c for c in shown_in(DATA_ENGINEER) if c.assignments.get("VIBES_HOME") == "./again")
OF_OLIST = PROJECT / "docs" / "olist.md"
# The home that the commands without one are given.
HOME = "as-is"


@dataclass
class Reader:
    """Somebody who does what the documents say, in one folder; each home has its own ledger."""

    folder: Path
    administration: sa.Engine
    homes: ExitStack
    shells: dict[str, Shell] = field(default_factory=dict)

    def does(self, command: Command) -> Outcome:
        given = dict(command.assignments)
        shell = self._at(given.pop("VIBES_HOME", HOME).removeprefix("./"))
        given.pop("VIBES_POSTGRES_URL", None)
        given.pop("VIBES_WAREHOUSE", None)
        return shell.with_(**given)(*command.arguments)

    def _at(self, home: str) -> Shell:
        if home not in self.shells:
            place = self.folder / home
            market = self.folder / "market.duckdb"
            opened = new_shell(self.administration, TEMPLATE, market, place)
            self.shells[home] = self.homes.enter_context(opened).with_(VIBES_HOME=place)
        return self.shells[home]


@pytest.fixture(scope="module")
def reader(administration: sa.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("reader")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as homes:
        patch.chdir(folder)
        yield Reader(folder, administration, homes)


def amended() -> str:
    """The policy with the value that the document adds, where it says."""
    blocks = code_blocks(POLICY_OWNER.read_text(encoding="utf-8"))
    added = next(content for language, content in blocks if language == "yaml")
    text = (PROJECT / "vibes_pipeline" / "policy" / "ng.yaml").read_text(encoding="utf-8")
    charge = text.index("\nout_of_stock_charge:")
    cap = text.index("\n  cap:", charge)
    end = re.compile(r"\n  \w", re.M).search(text, cap + 1)
    assert end is not None
    return f"{text[: end.start()].rstrip()}\n{added}{text[end.start() + 1 :]}"


@pytest.fixture(scope="module")
def told(reader: Reader) -> list[Outcome]:
    """What came of the policy owner's commands."""
    (reader.folder / "amended.yaml").write_text(amended(), encoding="utf-8")
    outcomes = [reader.does(command) for command in shown_in(POLICY_OWNER)]
    assert [outcome.err for outcome in outcomes if outcome.status] == []
    return outcomes


def test_an_amended_rate_is_read_and_changes_the_charges_that_the_document_shows(
    told: list[Outcome], reader: Reader
) -> None:
    text = POLICY_OWNER.read_text(encoding="utf-8")
    understood = re.findall(r"^│ .*$", text, re.M)
    assert understood
    for line in understood:
        assert any(line in outcome.out for outcome in told), line
    shown = re.findall(r"^\| (\d{4}-\d\d-\d\d) \| (\d+) \| ([\d,.]+) \| ([\d,.]+) \|", text, re.M)
    asked = [command for command in shown_in(POLICY_OWNER) if "sql" in command.arguments][1:]
    as_is, with_amendment = (
        list(csv.reader(StringIO(reader.does(_as_csv(command)).out)))[1:] for command in asked
    )
    assert [
        [period, postings, debits, other]
        for (period, postings, debits), (_, _, other) in zip(as_is, with_amendment, strict=True)
    ] == [[a, b, c.replace(",", ""), d.replace(",", "")] for a, b, c, d in shown]


def _as_csv(command: Command) -> Command:
    return Command([*command.arguments, "--format", "csv"], command.assignments)


def everything_else() -> Iterator[Command]:
    """The commands of all other documents, each once."""
    # `sql` without a question is a conversation; one replay is looked at below.
    seen = [["sql"], AGAIN.arguments, *(c.arguments for c in shown_in(POLICY_OWNER))]
    for document in DOCUMENTS:
        if document in (POLICY_OWNER, OF_OLIST):
            continue
        for command in shown_in(document):
            first, second = tuple(command.arguments[:1]), tuple(command.arguments[:2])
            if not {first, second} & ELSEWHERE and command.arguments not in seen:
                seen.append(command.arguments)
                yield command


# One test, for what they are asked of takes a minute to be made.
def test_every_other_command_runs_as_it_is_written(told: list[Outcome], reader: Reader) -> None:
    refused = {}
    for command in everything_else():
        arguments = command.arguments
        done = reader.does(command)
        if done.status:
            refused[" ".join(arguments)] = done.err
        elif "--out" in arguments:
            written = reader.folder / arguments[arguments.index("--out") + 1]
            assert written.stat().st_size > 0
    assert refused == {}


def test_a_cycle_replayed_again_from_the_same_warehouse_has_the_same_hash(
    told: list[Outcome], reader: Reader
) -> None:
    again, here = (c for c in shown_in(DATA_ENGINEER) if "proposal_hash" in " ".join(c.arguments))
    assert reader.does(AGAIN).status == 0
    first = reader.does(_as_csv(again)).out.splitlines()
    assert len(first) == 3
    assert set(first) < set(reader.does(_as_csv(here)).out.splitlines())
