"""An operator's morning with the commands alone: `vibes claims`, `vibes reviews`, the launchpad (§11).

One ledger for the module; the tests below stand in the order of the morning and build on each other.
What the database itself refuses is in `tests/ledger/test_decision_guards.py`.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from cli.servers import free_port, until
from cli.shell import Outcome, Shell, new_shell
from cli.test_up import asked, run_ended_well, said_until
from patience import PATIENCE_SECONDS
from slots.claims.cases import Desk
from slots.whole_slots import returned

from vibes_pipeline.ledger import schema

ESCAPES = "Not ours.\x1b[2J\x1b]0;owned\x07 \u202egnp.exe\nvibes: done"
TEN, ELEVEN = "2026-11-23T10:00", "2026-11-23T11:00"


@dataclass
class Morning:
    """A shell over the ledger and the marketplace of a desk, whose slots the tests run."""

    shell: Shell
    desk: Desk

    def __call__(self, *arguments: str, typed: str | None = None) -> Outcome:
        return self.shell(*arguments, typed=typed)

    def done(self, *arguments: str, typed: str | None = None) -> str:
        """What a command that must not fail prints."""
        outcome = self(*arguments, typed=typed)
        assert (outcome.status, outcome.err) == (0, "")
        return outcome.out

    def document(self, *arguments: str) -> Any:
        return json.loads(self.done(*arguments, "--format", "json"))

    def exported(self, table: str) -> pl.DataFrame:
        file = self.shell.folder / f"{table}.parquet"
        self.done("export", table, "--out", str(file))
        return pl.read_parquet(file)

    def recorded(self) -> list[tuple[Any, ...]]:
        r = schema.recorded_decisions.c
        return self.desk.rows(
            sa.select(sa.func.coalesce(r.claim_id, r.seller_id), r.decision, r.decided_by).order_by(
                r.event_id
            )
        )


@pytest.fixture(scope="module")
def morning(
    administration: sa.Engine, with_dagster: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Morning]:
    """Monday at 09:00: three charges of Saturday's, three claims, two sellers to be reviewed."""
    folder = tmp_path_factory.mktemp("morning")
    with new_shell(administration, with_dagster, folder / "home" / "raw", folder) as shell:
        desk = Desk(shell.ledger(), shell.home)
        for seller in ("S-1", "S-2"):
            desk.seller(seller)
        desk.item("S-1", "I-1", returned())
        desk.item("S-1", "I-2", returned(reason="defective_item"))
        desk.item("S-2", "I-3", returned())
        desk.alert()
        desk.implement()
        claims = (("C-1", "S-1", "I-1"), ("C-2", "S-1", "I-2"), ("C-3", "S-2", "I-3"))
        for claim, seller, item in claims:
            raised_at = "Tue+1 08:00" if claim == "C-1" else "Mon+2 08:00"
            desk.claim(
                claim, seller, raised_at=raised_at, order_number=f"O-{item}", comment=ESCAPES
            )
        desk.claim("C-4", "S-2", raised_at="Mon+2 08:00", comment=None)
        desk.settle("Mon+2 09:00")
        yield Morning(shell, desk)
        desk.ledger.close()


def test_the_queue_tells_age_stake_and_the_sellers_words_without_their_escapes(
    morning: Morning,
) -> None:
    out = morning.done("claims")
    assert "C-1  accepted  vibes_action  3 working days of 3, overdue  ₦1,500.00 at stake" in out
    assert "  “Not ours. [2J ]0;owned gnp.exe vibes: done”\n" in out
    assert out.endswith("3 claims at Mon 2026-11-23 09:00, 1 overdue, ₦6,000.00 at stake\n")
    assert not set(out) & set("\x1b\x07\u202e")
    assert [c["claim_id"] for c in morning.document("claims", "--overdue")] == ["C-1"]
    assert [c["claim_id"] for c in morning.document("claims", "--seller", "S-2")] == ["C-3"]
    assert morning.document("claims", "--category", "bill_problem") == []
    (incomplete,) = morning.document("claims", "--state", "incomplete")
    assert (incomplete["claim_id"], incomplete["is_overdue"]) == ("C-4", False)


def test_a_claim_is_shown_with_its_actions_and_with_what_upholding_would_undo(
    morning: Morning,
) -> None:
    out = morning.done("claims", "show", "C-1")
    reference = morning.desk.reference("returns_charge", "I-1")
    assert f"  reversed: {reference} returns_charge of ₦1,500.00 (implemented)\n" in out
    assert f"{reference}  Returns Charge  implemented\n" in out
    assert "\x1b" not in out
    shown = morning.document("claims", "show", "C-1")
    assert shown["comment"] == ESCAPES.replace("\x1b", " ").replace("\x07", " ").replace(
        "\u202e", " "
    ).replace("\n", " ")
    assert shown["if_upheld"]["amount"] == "1500.00"
    assert [e["action"]["reference"] for e in shown["explained"]] == [reference]


@pytest.mark.parametrize(
    ("claim", "error"),
    [
        pytest.param("C-11", "taken in no claim 'C-11'; `vibes claims", id="a slip"),
        pytest.param("\udcff", "the id is not UTF-8 text", id="bytes that are no text"),
    ],
)
def test_a_claim_that_is_not_there_is_told_in_one_line(
    morning: Morning, claim: str, error: str
) -> None:
    outcome = morning("claims", "show", claim)
    assert outcome.status != 0
    assert error in outcome.error


REFUSED = [
    pytest.param("claims C-99 upheld", "taken in no claim 'C-99'", id="an unknown claim"),
    pytest.param("claims C-1 uphold", "no decision 'uphold' (did you mean upheld?)", id="a slip"),
    pytest.param("claims C-1 delist", "no decision 'delist'", id="a word of accounts"),
    pytest.param("claims S-1 upheld", "taken in no claim 'S-1'", id="a seller as a claim"),
    pytest.param("reviews C-1 keep", "lists no seller 'C-1'", id="a claim as a seller"),
    pytest.param("reviews S-3 keep", "lists no seller 'S-3'", id="a seller nobody reviews"),
    pytest.param("reviews S-1 upheld", "no decision 'upheld'", id="a word of claims"),
]


@pytest.mark.parametrize(("line", "error"), REFUSED)
def test_a_mistyped_decision_is_refused_in_one_line(
    morning: Morning, line: str, error: str
) -> None:
    group, subject, word = line.split()
    outcome = morning(group, "decide", subject, word, "--by", "Ada", "--yes", "--at", TEN)
    assert outcome.status != 0
    assert error in outcome.error
    assert morning.recorded() == []


@pytest.mark.parametrize(
    ("by", "at", "error"),
    [
        pytest.param(" ", TEN, "bears the name of the person", id="by nobody"),
        pytest.param("A\x1b[2J", TEN, "the name must be one line of text", id="an escape"),
        pytest.param("Ada", "2026-11-23T08:59", "time goes forward", id="back-dated"),
        pytest.param("Ada", None, "is simulated: it takes only slots with", id="at no time"),
    ],
)
def test_a_decision_by_nobody_or_at_another_time_is_refused(
    morning: Morning, by: str, at: str | None, error: str
) -> None:
    when = ("--at", at) if at else ()
    outcome = morning("claims", "decide", "C-1", "upheld", "--by", by, "--yes", *when)
    assert outcome.status != 0
    assert error in outcome.error
    assert morning.recorded() == []


def test_who_is_not_sure_records_nothing(morning: Morning) -> None:
    outcome = morning("claims", "decide", "C-1", "upheld", "--by", "Ada", "--at", TEN, typed="n\n")
    assert outcome.status == 1
    assert "₦1,500.00 withdrawn or credited\nRecord 'upheld'? [y/N]: n" in outcome.out
    assert morning.recorded() == []


def test_one_is_upheld_and_one_rejected_and_both_take_effect_at_once(morning: Morning) -> None:
    line = ("claims", "decide", "C-1", "upheld", "--by", "Ada", "--note", "proven", "--at", TEN)
    out = morning.done(*line, typed="y\n")
    assert "upheld recorded at 2026-11-23 10:00:00\n" in out
    assert "1 claim settled, 1 action undone, 1 mail sent\n" in out
    out = morning.done("claims", "decide", "C-2", "rejected", "--by", "Ada", "--yes", "--at", TEN)
    assert "nothing is undone" in out
    assert morning.recorded() == [("C-1", "upheld", "Ada"), ("C-2", "rejected", "Ada")]
    assert morning.desk.claim_state("C-1") == ("upheld", True)
    assert morning.desk.claim_state("C-2") == ("rejected", True)
    assert [c["claim_id"] for c in morning.document("claims")] == ["C-3"]
    assert "upheld by Ada at Mon 2026-11-23 10:00 (“proven”)" in morning.done(
        "claims", "show", "C-1"
    )


@pytest.mark.parametrize(
    ("claim", "word", "error"),
    [
        ("C-1", "upheld", "C-1 was upheld already, by Ada at 2026-11-23 10:00:00 WAT"),
        ("C-1", "rejected", "C-1 was upheld already, by Ada at 2026-11-23 10:00:00 WAT"),
        ("C-2", "rejected", "C-2 was rejected already, by Ada at 2026-11-23 10:00:00 WAT"),
    ],
)
def test_what_was_decided_is_not_decided_again(
    morning: Morning, claim: str, word: str, error: str
) -> None:
    outcome = morning("claims", "decide", claim, word, "--by", "Bola", "--yes", "--at", ELEVEN)
    assert outcome.status == 1
    assert outcome.error.endswith(error)


def test_one_is_delisted_which_the_next_alert_tells_and_keeping_it_undoes(
    morning: Morning,
) -> None:
    (first, second) = morning.document("reviews")
    assert (first["seller_id"], first["quality_returns"], first["charged"]) == ("S-1", 2, "3000.00")
    assert (second["seller_id"], second["is_waiting"]) == ("S-2", True)
    line = ("reviews", "decide", "S-2", "delist", "--by", "Bola", "--yes")
    out = morning.done(*line, "--at", ELEVEN)
    assert "the alert of cycle 2026-11-16, due Wed 2026-11-25 07:00, tells the seller" in out
    again = morning(*line, "--at", ELEVEN)
    assert "S-2: delist was decided already, by Bola at 2026-11-23 11:00:00" in again.error
    assert [r["seller_id"] for r in morning.document("reviews")] == ["S-1"]
    morning.desk.alert(1)
    morning.desk.implement(1)
    assert morning.desk.states("S-2")["account_delisting", "S-2"] == "implemented"
    shown = morning.document("reviews", "show", "S-2")
    assert (shown["decided_by"], shown["delisting"]["state"]) == ("Bola", "implemented")
    out = morning.done(
        *("reviews", "decide", "S-2", "keep", "--by", "Bola", "--yes", "--at", "2026-11-30T10:00")
    )
    assert f"{shown['delisting']['reference']} is reversed at once" in out
    assert "1 account kept" in out
    assert morning.desk.states("S-2")["account_delisting", "S-2"] == "reversed"


def test_finances_totals_and_the_mails_are_right(morning: Morning) -> None:
    charges = morning.exported("charges")
    by_seller = dict(charges.group_by("seller_id").agg(pl.sum("amount")).iter_rows())
    assert by_seller == {"S-1": Decimal("3000.00"), "S-2": Decimal("1500.00")}
    (credit,) = charges.filter(pl.col("kind") == "reversal").to_dicts()
    assert (credit["claim_id"], credit["amount"]) == ("C-1", Decimal("-1500.00"))
    # C-1 was raised before the ledger's first slot, so nobody was told that it was taken in.
    assert morning.desk.told("S-1") == ["claim_receipt", "claim_outcome", "claim_outcome"]
    outcomes = [
        mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        for mail in morning.desk.mails_to("S-1")
        if "your claim was decided" in mail["Subject"]
    ]
    assert len(outcomes) == 2
    (told,) = [text for text in outcomes if "credited to your account" in text]
    assert morning.desk.reference("returns_charge", "I-1") in told


@pytest.fixture(scope="module")
def roles(morning: Morning, administration: sa.Engine) -> Iterator[dict[str, Shell]]:
    """Shells of people with a database login of their own: of operations, and who only reads."""
    url = sa.make_url(morning.shell.environment["VIBES_POSTGRES_URL"] or "")
    grants = {
        "operator": "GRANT vibes_operations TO operator",
        "looker": "GRANT USAGE ON SCHEMA ledger TO looker; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO looker; "
        "GRANT SELECT ON public.ledger_version TO looker",
    }
    with morning.desk.ledger.engine.begin() as connection:
        for name, grant in grants.items():
            connection.execute(sa.text(f"CREATE ROLE {name} LOGIN; {grant}"))
    yield {
        name: morning.shell.with_(
            VIBES_POSTGRES_URL=url.set(username=name).render_as_string(hide_password=False)
        )
        for name in grants
    }
    with morning.desk.ledger.engine.begin() as connection:
        for name in grants:
            connection.execute(sa.text(f"DROP OWNED BY {name}; DROP ROLE {name}"))


def test_who_may_record_decisions_and_nothing_else_decides_by_the_same_commands(
    morning: Morning, roles: dict[str, Shell]
) -> None:
    operator = roles["operator"]
    assert "“Not ours." in operator("claims", "show", "C-2").out
    line = (
        "claims",
        "decide",
        "C-2",
        "upheld",
        "--by",
        "Dayo",
        "--yes",
        "--at",
        "2026-11-30T10:30",
    )
    refused = roles["looker"](*line)
    assert refused.status == 1
    assert "this database user may not record decisions" in refused.error
    outcome = operator(*line)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.endswith(
        "upheld recorded at 2026-11-30 10:30:00\n"
        "this database user runs no slots: the claims slot of the services applies it\n"
    )
    assert operator("run", "claims", "--at", "2026-11-30T10:30").status == 1
    assert morning.desk.claim_state("C-2") == ("rejected", True), "no slot has applied it yet"
    assert "upheld by Dayo at Mon 2026-11-30 10:30; the next claims slot applies it" in (
        morning.done("claims", "show", "C-2")
    )


LAUNCH = """
    mutation ($config: RunConfigData!) {
        launchRun(executionParams: {
            selector: {
                repositoryLocationName: "vibes-ng"
                repositoryName: "__repository__"
                jobName: "record_decision"
            }
            runConfigData: $config
        }) {
            __typename
            ... on LaunchRunSuccess { run { runId } }
            ... on RunConfigValidationInvalid { errors { message } }
        }
    }
"""


def test_one_is_decided_in_the_launchpad(morning: Morning) -> None:
    port = free_port()
    up = morning.shell.start("up", "--port", str(port))

    def launch(**form: str) -> dict[str, Any]:
        config = {"ops": {"recorded_decision": {"config": form}}}
        return dict(asked(port, LAUNCH, config=config)["launchRun"])

    good = {"subject_id": "C-3", "decided_by": "Chi", "at": "2026-11-30T11:00"}
    try:
        said_until("  GraphQL ", up)
        slip = launch(**good, decision="uphold")
        assert slip["__typename"] == "RunConfigValidationInvalid"
        assert "not in enum type Word got uphold" in slip["errors"][0]["message"]
        run = launch(**good, decision="upheld")["run"]
        until(lambda: run_ended_well(port, run["runId"]), up)
    finally:
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=PATIENCE_SECONDS)
    assert morning.recorded()[-1] == ("C-3", "upheld", "Chi")
    assert morning.desk.claim_state("C-3") == ("upheld", True)
    assert morning.desk.claim_state("C-2") == ("upheld", True), "what the operator recorded before"
    assert morning.desk.told("S-2")[-1] == "claim_outcome"
