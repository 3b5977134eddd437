"""Relays that refuse, break off or talk nonsense: what becomes of a notice, and of the others.

Rulebook §2: a refusal for good is a verdict on a seller's address; what a relay says of itself, or
to everyone, is none, and must cost no seller's notice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

import pytest
from ledger import made
from outbox_sender import SetClock, address, outbox
from planned import freeze_for, statuses
from relay import CUT, Relay, relaying

from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger import schema
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.notices.verdicts import FEW

SELLERS = FEW + 2
D = schema.deliveries.c


@pytest.mark.parametrize(
    ("says", "status", "tried", "mails", "connections"),
    [
        # Before anything is sent.
        ({"greeting": "554 5.7.1 your host is on a list"}, "queued", 0, 0, 1),
        ({"greeting": CUT}, "queued", 0, 0, 1),
        ({"greeting": "SSH-2.0-OpenSSH_9.9"}, "queued", 0, 0, 1),
        ({"EHLO": "550 5.7.1 go away", "HELO": "550 5.7.1 go away"}, "queued", 0, 0, 1),
        # The sender, or the login.
        ({"MAIL": "530 5.7.0 authentication required"}, "deferred", 0, 0, 1),
        ({"MAIL": "553 sender address rejected"}, "deferred", 0, 0, 1),
        ({"MAIL": "250 OK\r\n250 OK"}, "deferred", 0, 0, FEW),
        # Every recipient, whatever the words are.
        ({"RCPT": "550 5.7.1 relaying denied"}, "deferred", FEW, 0, 1),
        ({"RCPT": "550 5.4.5 daily sending quota exceeded"}, "deferred", FEW, 0, 1),
        ({"RCPT": "552 5.2.2 submission quota exceeded"}, "deferred", FEW, 0, 1),
        ({"RCPT": "550 5.1.1 no such user"}, "deferred", FEW, 0, 1),
        ({"RCPT": "421 4.3.2 shutting down"}, "deferred", FEW, 0, FEW),
        ({"RCPT": CUT}, "deferred", FEW, 0, FEW),
        ({"RCPT": "what do you mean?"}, "deferred", FEW, 0, FEW),
        ({"RCPT": "250-one\r\n550 other"}, "deferred", FEW, 0, FEW),
        ({"DATA": "554 5.5.1 no valid recipients"}, "deferred", FEW, 0, 1),
        ({"DATA": "250 OK"}, "deferred", FEW, 0, FEW),
        ({"DATA": "354 go on\r\n250 OK"}, "deferred", FEW, 0, FEW),
        ({"END": "554 5.7.1 looks like spam"}, "deferred", FEW, FEW, 1),
        ({"END": "421 4.3.2 shutting down"}, "deferred", FEW, FEW, FEW),
        # Nobody knows what became of these.
        ({"END": CUT}, "unknown", FEW, FEW, FEW),
        ({"END": "250-OK\r\n451 no"}, "unknown", FEW, FEW, FEW),
        ({"END": "\xe9\xe9\xe9"}, "unknown", FEW, FEW, FEW),
    ],
)
def test_what_a_relay_says_to_everyone_costs_nobody_their_notice_and_ends_the_sending(
    ledger: Ledger,
    relay: Relay,
    clock: SetClock,
    says: dict[str, str],
    status: str,
    tried: int,
    mails: int,
    connections: int,
) -> None:
    freeze_for(ledger, SELLERS)
    relay.says = says
    sender = outbox(ledger, relay.transport(), clock, connections=1)
    with pytest.raises(MailError) as error:
        sender.deliver()
    assert "\n" not in str(error.value)
    left = Counter(statuses(ledger).values())
    expected = Counter({"queued": SELLERS}) if status == "queued" else Counter()
    assert left == (expected or Counter({status: FEW, "queued": SELLERS - FEW}))
    assert (len(relay.recipients), len(relay.mails)) == (tried, mails)
    assert relay.connections == connections
    assert "shop.example" not in "".join(map(str, made.rows(ledger, *D)))

    # The relay is well again: once the pause is over everybody gets their mail, each once.
    relay.says = {}
    before = Counter(relay.mails)
    clock.at += timedelta(minutes=1)
    sender.deliver()
    assert set(statuses(ledger).values()) == {"sent"}
    assert Counter(relay.mails) - before == Counter(address(f"S-{n}") for n in range(SELLERS))


# Told to one seller among many whose mails are accepted.
TO_ONE: Mapping[str, tuple[str, str, str]] = {
    "no such user": ("RCPT", "550 5.1.1 no such user", "failed"),
    "disabled": ("RCPT", "550 5.2.1 mailbox disabled", "failed"),
    "over several lines": ("RCPT", "550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user", "failed"),
    "in doubt": ("RCPT", "550 5.7.1 rejected", "failed"),
    "bare": ("RCPT", "550 no", "failed"),
    "at DATA": ("DATA", "554 no valid recipients", "failed"),
    "at the dot": ("END", "554 5.7.1 rejected", "failed"),
    "eight bits": ("END", "554 \xe9\x80\xff" + "x" * 2000, "failed"),
    "full": ("RCPT", "552 5.2.2 mailbox full", "deferred"),
    "busy": ("RCPT", "450 4.2.1 mailbox busy", "deferred"),
    "later": ("END", "451 later", "deferred"),
    "no relaying": ("RCPT", "554 5.7.1 Relay access denied", "deferred"),
    "the relay's login": ("RCPT", "535 5.7.8 authentication failed", "deferred"),
    "a 421 in the middle": ("RCPT", "421 4.3.2 closing", "deferred"),
    "a 421 at the dot": ("END", "421 4.3.2 closing", "deferred"),
    "cut at RCPT": ("RCPT", CUT, "deferred"),
    "cut at DATA": ("DATA", CUT, "deferred"),
    "out of step": ("DATA", "250 OK", "deferred"),
    "cut at the dot": ("END", CUT, "unknown"),
    "garbage at the dot": ("END", "!!", "unknown"),
    "forever": ("END", "250-and\r\n" * 9000 + "250 so on", "unknown"),
}


@pytest.mark.parametrize("connections", [1, 4])
def test_what_a_relay_says_to_one_of_many_is_that_ones_alone(
    ledger: Ledger, relay: Relay, clock: SetClock, connections: int
) -> None:
    # So many in between that a busy machine puts no few of the refused in a row.
    sellers = freeze_for(ledger, 6 * len(TO_ONE))
    told = dict(zip(sellers[::6], TO_ONE.values(), strict=True))
    relay.to = {address(s): {command: reply} for s, (command, reply, _) in told.items()}
    expected = {s: told[s][2] if s in told else "sent" for s in sellers}
    outcome = outbox(ledger, relay.transport(), clock, connections=connections).deliver()
    assert statuses(ledger) == expected
    assert outcome == Counter(expected.values())
    assert Counter(relay.recipients) == Counter(map(address, sellers))
    details = [detail for (detail,) in made.rows(ledger, D.detail) if detail]
    assert all(len(d) <= 500 and d.isascii() and d.isprintable() for d in details)


def test_a_few_in_a_row_end_the_sending_of_every_connection(
    ledger: Ledger, relay: Relay, clock: SetClock
) -> None:
    freeze_for(ledger, 60)
    relay.says = {"RCPT": "550 5.7.1 relaying denied"}
    with pytest.raises(MailError) as error:
        outbox(ledger, relay.transport(), clock, connections=4).deliver()
    assert FEW <= len(relay.recipients) < FEW + 4
    refused = len(relay.recipients)
    assert str(error.value) == (
        "the mail server takes no mails, whoever they are to (550 5.7.1 relaying denied); "
        f"{refused} deferred, {60 - refused} not attempted; see to the server: what is not sent is "
        "tried again"
    )


def test_a_relay_that_breaks_down_midway_leaves_what_it_took_and_the_rest_waiting(
    ledger: Ledger, relay: Relay, clock: SetClock
) -> None:
    freeze_for(ledger, 40)
    relay.says = {"RCPT": ["250 OK"] * 20 + ["550 5.7.1 blocked"] * 100}
    with pytest.raises(MailError, match=f"; {FEW} deferred, 20 sent, {20 - FEW} not attempted; "):
        outbox(ledger, relay.transport(), clock, connections=1).deliver()
    assert Counter(statuses(ledger).values()) == {"sent": 20, "deferred": FEW, "queued": 20 - FEW}


def test_a_relay_lost_midway_is_not_asked_for_every_notice(ledger: Ledger, clock: SetClock) -> None:
    freeze_for(ledger, 30)
    with relaying() as relay:
        relay.says = {"greeting": ["220 ready"] + ["421 4.3.2 down"] * 99, "END": ["250 OK", CUT]}
        with pytest.raises(MailError, match="is not usable"):
            outbox(ledger, relay.transport(), clock, connections=1).deliver()
    # The mail that was cut off, and each of the few after it, asks for a session once.
    assert relay.connections == FEW
    counted = Counter(statuses(ledger).values())
    assert counted == {"sent": 1, "unknown": 1, "deferred": FEW - 1, "queued": 29 - FEW}


def test_a_relay_that_lets_nobody_open_several_connections_is_used_by_one(
    ledger: Ledger, relay: Relay, clock: SetClock
) -> None:
    sellers = freeze_for(ledger, 8)
    relay.says = {"greeting": ["220 ready"] + ["421 4.7.0 too many connections"] * 3}
    assert outbox(ledger, relay.transport(), clock).deliver() == Counter(sent=8)
    assert Counter(relay.mails) == Counter(map(address, sellers))


def test_the_relays_own_word_to_the_only_seller_is_no_success(
    ledger: Ledger, relay: Relay, clock: SetClock
) -> None:
    freeze_for(ledger, 1)
    relay.says = {"RCPT": "530 5.7.0 authentication required"}
    with pytest.raises(MailError, match=r"\(530 5.7.0 authentication required\); 1 deferred; "):
        outbox(ledger, relay.transport(), clock).deliver()
    assert statuses(ledger) == {"S-0": "deferred"}
