"""What people type: decisions however they are written, and what cannot be read (§11, §13).

Over a real ledger; the operators' mail goes to a real server, the mail catcher of a simulated ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa
from notices.mail_server import Post, serving
from rules.marketplace import Marketplace
from slots.claims.cases import Desk, burden, order
from slots.whole_slots import returned

from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger import views
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.settings import Settings
from vibes_pipeline.slots.claims.moments import claim_moments
from vibes_pipeline.slots.claims.settle import is_waiting, settle
from vibes_pipeline.warehouse.source import Warehouse

RETURN = "returns_charge"
OPERATORS = ("night@operators.example", "day@operators.example")
RAISED, DECIDED, SETTLED = "Tue+1 10:00", "Tue+1 11:00", "Tue+1 12:00"
NO_WORD = "decision is neither upheld nor rejected"
OUTSIDE = "is outside the years 1970 to 2200"


@dataclass
class OddMarketplace(Marketplace):
    """Claims some of whose instants are at the ends of the type, by claim and column."""

    odd: dict[tuple[str, str], str] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        written = super().write(folder)
        file = folder / "claims.parquet"
        with duckdb.connect() as connection:
            for (claim_id, column), at in self.odd.items():
                connection.execute(f"CREATE TABLE stored AS FROM '{file}'")
                connection.execute(
                    f"UPDATE stored SET {column} = TIMESTAMPTZ '{at}' WHERE claim_id = ?",
                    [claim_id],
                )
                connection.execute(f"COPY stored TO '{file}' (FORMAT parquet)")
                connection.execute("DROP TABLE stored")
        return written


@dataclass
class OperatedDesk(Desk):
    """A desk whose operators are written to over a server."""

    market: OddMarketplace = field(default_factory=OddMarketplace)
    post: Post = field(default_factory=Post)
    operators: tuple[str, ...] = OPERATORS

    def settings(self) -> Settings:
        return Settings.from_environment(
            {
                "VIBES_HOME": str(self.home),
                "VIBES_WAREHOUSE": str(self.market.write(self.home / "raw")),
                "VIBES_MAIL_FROM": "vibes@mail.example",
                "VIBES_MAIL_CATCHER_URL": self.post.url,
                "VIBES_OPERATORS": ", ".join(self.operators),
            }
        )

    def shown(self, at: str = SETTLED) -> dict[str | None, str]:
        """Why each row that the step shows as undecipherable is so."""
        return {value.row_id: value.faults for value in self.settle(at).undecipherable}

    def waits(self, at: str) -> bool:
        run = self.begin(Slot.CLAIMS, at)
        return is_waiting(run, self.ledger, patience_seconds=0.0)

    def mails(self) -> list[str]:
        """What one operator was written."""
        return [mail.get_content() for mail in self.post.mails_to(OPERATORS[0])]


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    with serving() as server:
        yield server


@pytest.fixture
def desk(ledger: Ledger, tmp_path: Path, post: Post) -> OperatedDesk:
    """A seller with an item that came back, before operators with an empty mailbox."""
    post.received.clear()
    post.answers = {}
    made = OperatedDesk(ledger, tmp_path, post=post)
    made.item(made.seller("S-1"), "I-1", returned())
    return made


# --- how a decision is read -----------------------------------------------------------------------

BLANKS = ("\u00a0", "\u200b", "\u2060\ufeff", "\u3000", "\u2800", "\u3164", "\t\r\n", "\0")


def test_a_decision_is_read_without_regard_to_case_and_the_blanks_around_it(
    desk: OperatedDesk,
) -> None:
    written = ["Upheld ", " UPHELD", "uPhElD", *(f"{b}Upheld{b}" for b in BLANKS)]
    for number, word in enumerate(written):
        desk.claim(f"C-{number}", "S-1", raised_at=RAISED, order_number="O-I-1")
        desk.decide(f"C-{number}", word, DECIDED)
    desk.claim("C-r", "S-1", raised_at=RAISED, order_number="O-I-1")
    desk.decide("C-r", " REJECTED\u00a0", DECIDED)
    settled = desk.settle(SETTLED)
    assert settled.states["upheld"] == len(written)
    assert settled.states["rejected"] == 1
    assert settled.undecipherable == ()


@pytest.mark.parametrize("blank", [None, "", "  ", "\u00a0", "\u200b"])
def test_what_is_blank_is_no_decision_yet(desk: OperatedDesk, blank: str | None) -> None:
    row = desk.claim("C-1", "S-1", raised_at=RAISED, order_number="O-I-1")
    row["decision"] = blank
    assert desk.shown() == {}
    assert desk.claim_state("C-1") == ("accepted", None)


# Given: the decision as written, and when; expected: why it is none.
UNREADABLE: list[tuple[str, str | None, str]] = [
    ("Uphled", DECIDED, NO_WORD),
    ("up held", DECIDED, NO_WORD),
    ("up\u200bheld", DECIDED, NO_WORD),
    ("upheld!", DECIDED, NO_WORD),
    ("yes", None, f"{NO_WORD}; decided_at is null"),
    ("upheld", None, "decided_at is null"),
    ("rejected", "Tue+1 09:59:59", "decided_at is before raised_at"),
    ("upheld", RAISED, ""),
    ("Uphled", "Tue+1 12:00:01", ""),  # of the future: not there yet
]


def test_what_cannot_be_read_is_not_applied_but_shown_as_written(desk: OperatedDesk) -> None:
    expected = {}
    for number, (word, at, faults) in enumerate(UNREADABLE):
        claim_id = f"C-{number}"
        desk.claim(claim_id, "S-1", raised_at=RAISED, order_number="O-I-9")
        desk.decide(claim_id, word, at)
        if faults:
            expected[claim_id] = faults
    settled = desk.settle(SETTLED)
    assert {value.row_id: value.faults for value in settled.undecipherable} == expected
    assert {value.seller_id for value in settled.undecipherable} == {"S-1"}
    assert settled.states["upheld"] == 1
    assert settled.states["incomplete"] == len(UNREADABLE)  # taken in all the same
    first = settled.undecipherable[0]
    assert first.written.endswith('decision "Uphled"')
    assert "decided_at 2026-11-17 11:00:00+01" in first.written


def test_a_decision_is_applied_once_it_is_corrected_and_then_shown_no_more(
    desk: OperatedDesk,
) -> None:
    desk.alert()
    desk.claim("C-1", "S-1", raised_at="Thu+1 09:00", order_number="O-I-1")
    desk.decide("C-1", "Uphled", "Thu+1 10:00")
    assert desk.shown("Thu+1 11:00") == {"C-1": NO_WORD}
    assert desk.states("S-1") == {(RETURN, "I-1"): "alerted"}
    desk.decide("C-1", "Upheld", "Thu+1 10:00")
    assert desk.waits("Thu+1 12:00")
    assert desk.shown("Thu+1 12:00") == {}
    assert desk.states("S-1") == {(RETURN, "I-1"): "withdrawn"}
    assert not desk.waits("Thu+1 12:00")


def test_one_row_of_a_claim_that_cannot_be_read_hides_no_other(desk: OperatedDesk) -> None:
    row = desk.claim("C-1", "S-1", raised_at=RAISED, order_number="O-I-1")
    desk.market.raw["claims"].append({**row, "decision": "Uphled", "decided_at": DECIDED})
    row["decision"], row["decided_at"] = "upheld", DECIDED
    assert desk.shown() == {"C-1": NO_WORD}
    assert desk.claim_state("C-1") == ("upheld", True)


def test_another_country_s_claims_are_not_shown(desk: OperatedDesk) -> None:
    desk.seller("S-KE", country="KE")
    desk.claim("C-KE", "S-KE", raised_at=RAISED, decision="Uphled", decided_at=DECIDED)
    desk.market.account_decision("S-KE", DECIDED, decision="ban")
    assert desk.shown() == {}


# --- instants that are none -----------------------------------------------------------------------

ODD = ("infinity", "-infinity", "0044-03-15 (BC) 00:00:00+00", "294000-01-01 00:00:00+00")
ODD += ("1969-12-31 23:59:59.999999+00", "2201-01-01 00:00:00+00")


def test_a_claim_with_an_instant_that_is_none_is_not_taken_in_and_stops_no_slot(
    desk: OperatedDesk,
) -> None:
    burden(desk, "S-2")
    of_order = {"order_number": order("S-2"), "decision": "upheld", "decided_at": DECIDED}
    expected = {}
    for column in ("raised_at", "decided_at"):
        for at in ODD:
            claim_id = f"C-{column} {at}"
            desk.claim(claim_id, "S-2", raised_at=RAISED, **of_order)
            desk.market.odd[claim_id, column] = at
            expected[claim_id] = f"{column} {OUTSIDE}"
    desk.late_alert("Fri 06:00")
    desk.late_cancel("Fri 23:00")
    assert desk.shown() == expected
    desk.alert()
    desk.implement()
    assert {desk.claim_state(claim_id) for claim_id in expected} == {None}
    assert desk.states("S-2")[RETURN, "S-2-1"] == "implemented"
    assert len(desk.mails()) == 2, "of all those odd at once: in the first slot, and of what came"


def test_a_replay_survives_them_and_decisions_that_cannot_be_read(desk: OperatedDesk) -> None:
    for at in ODD:
        for column in ("raised_at", "decided_at"):
            desk.claim(f"{column} {at}", "S-1", raised_at="Tue+1 10:00", decision="Uphled")
            desk.market.odd[f"{column} {at}", column] = at
    desk.claim("C-1", "S-1", raised_at="Wed+1 10:00", decision="Uphled")
    folder = desk.market.write(desk.home / "raw")
    start, end = desk.market.at("Mon 00:00"), desk.market.at("Sun+2 00:00")
    moments = claim_moments(Warehouse(folder), start, end)
    assert moments == [desk.market.at("Tue+1 10:00"), desk.market.at("Wed+1 10:00")]


# --- accounts -------------------------------------------------------------------------------------


def test_account_decisions_are_read_likewise_and_what_cannot_be_is_shown(
    desk: OperatedDesk,
) -> None:
    for seller, word in (("S-2", " DELIST\u00a0"), ("S-3", "delsit"), ("S-4", "delist")):
        desk.market.check(desk.item(desk.seller(seller), f"I-{seller}")["order_item_id"])
        at = None if seller == "S-4" else DECIDED
        desk.market.account_decision(seller, at, decision_id=f"D-{seller}", decision=word)
    desk.market.account_decision("S-9", DECIDED, decision_id="D-S-9")
    desk.market.account_decision("S-3", "Sat+1 10:00", decision_id="D-future", decision="ban")
    assert desk.shown() == {
        "D-S-3": "decision is not a listed one",
        "D-S-4": "decided_at is null",
        "D-S-9": "seller is unknown or set aside",
    }
    desk.alert()
    assert desk.states("S-2")["account_delisting", "S-2"] == "alerted"
    assert ("account_delisting", "S-3") not in desk.states("S-3")
    desk.market.account_decision("S-2", "Thu+1 10:00", decision_id="D-keep", decision="Keep ")
    assert desk.settle("Thu+1 12:00").accounts_kept == 1
    assert desk.states("S-2")["account_delisting", "S-2"] == "withdrawn"


# --- operators are told, once ---------------------------------------------------------------------

HOSTILE = "Uphled\r\nBcc: all@shop.example\r\n\u202e<script>\0" + "x" * 500


def test_operators_are_mailed_once_of_each_value_and_again_when_it_comes_again(
    desk: OperatedDesk,
) -> None:
    desk.claim("C-1", "S-1", raised_at=RAISED, order_number="O-I-1")
    desk.settle(RAISED)
    desk.decide("C-1", HOSTILE, DECIDED)
    assert desk.waits(SETTLED)
    desk.settle(SETTLED)
    assert not desk.waits(SETTLED)
    assert desk.shown("Tue+1 13:00") != {}
    assert [desk.post.copies()[operator] for operator in OPERATORS] == [1, 1]
    (mail,) = desk.post.mails_to(OPERATORS[1])
    assert mail["Subject"] == "VIBES NG: 1 value undecipherable in claims and account decisions"
    (line,) = (line for line in mail.get_content().splitlines() if line.startswith("- "))
    assert line.startswith(f"- claim C-1 (seller S-1): {NO_WORD}; written: raised_at 2026-11-17")
    assert 'decision "Uphled Bcc: all@shop.example <script>' in line
    assert "\u202e" not in line
    assert len(line) < 300
    # Another value is another mail; the first is told no more.
    desk.decide("C-1", "Uphold", DECIDED)
    desk.settle("Tue+1 14:00")
    assert "Uphold" in desk.mails()[1]
    # Taken back, it is shown no more; written again, it is told again.
    desk.decide("C-1", "", None)
    assert desk.waits("Tue+1 15:00")
    assert desk.shown("Tue+1 15:00") == {}
    assert not desk.waits("Tue+1 15:00")
    desk.decide("C-1", "Uphold", DECIDED)
    desk.settle("Tue+1 16:00")
    assert len(desk.mails()) == 3
    u = views.undecipherable_states.c
    states = desk.rows(sa.select(u.state, u.seen_at).order_by(u.seen_at))
    assert states == [
        ("corrected", desk.market.at(SETTLED)),
        ("told", desk.market.at("Tue+1 16:00")),
    ]


def test_while_the_mail_server_is_away_the_slot_goes_on_and_the_next_one_tells(
    desk: OperatedDesk, post: Post
) -> None:
    desk.claim("C-1", "S-1", raised_at=RAISED, decision="Uphled", decided_at=DECIDED)
    desk.upheld("C-2", "S-1", DECIDED, order_number="O-I-1")
    desk.post = Post(port=9)  # nobody listens there
    settled = settle(desk.begin(Slot.CLAIMS, SETTLED), desk.ledger)
    assert settled.states["upheld"] == 1
    assert "127.0.0.1" in (settled.untold or "")
    assert not desk.waits(SETTLED), "the same value would run the slot again and again"
    desk.post = post
    assert desk.settle("Tue+1 13:00").untold is None
    assert len(desk.mails()) == 1


def test_one_operator_who_cannot_be_written_to_does_not_have_the_others_told_again(
    desk: OperatedDesk,
) -> None:
    desk.operators = ("nobody at home", OPERATORS[0])
    desk.claim("C-1", "S-1", raised_at=RAISED, decision="Uphled", decided_at=DECIDED)
    untold = desk.settle(SETTLED).untold
    assert untold == "VIBES_OPERATORS: address 1 cannot be used: it holds a space"
    assert desk.settle("Tue+1 13:00").untold is None
    assert len(desk.mails()) == 1


def test_without_operators_nobody_is_told_until_there_are_some(desk: OperatedDesk) -> None:
    desk.operators = ()
    desk.claim("C-1", "S-1", raised_at=RAISED, decision="Uphled", decided_at=DECIDED)
    assert desk.shown() != {}
    assert not desk.waits(SETTLED)
    assert desk.mails() == []
    desk.operators = OPERATORS
    desk.settle("Tue+1 13:00")
    assert len(desk.mails()) == 1
