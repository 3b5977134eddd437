"""What one reply of a server says of a mail: whom it is about, and whether it is final."""

from __future__ import annotations

import pytest

from vibes_pipeline.notices.replies import About, Command, Deferred, Refused, plain, refusal

MAIL, RCPT, DATA, END = Command.MAIL, Command.RCPT, Command.DATA, Command.END
OF_RECIPIENT = (Refused, About.RECIPIENT)
LIKELY = (Refused, About.LIKELY_RECIPIENT)
IN_DOUBT = (Refused, About.EITHER)
OF_RELAY = (Deferred, About.RELAY)
PASSES = (Deferred, About.EITHER)
TRY_LATER = (Deferred, About.RECIPIENT)


@pytest.mark.parametrize(
    ("command", "reply", "means"),
    [
        # Of this address.
        (RCPT, "550 5.1.1 no such user", OF_RECIPIENT),
        (RCPT, "550 5.1.2 no such domain", OF_RECIPIENT),
        (RCPT, "501 5.1.3 bad address syntax", OF_RECIPIENT),
        (RCPT, "550 5.1.6 has moved", OF_RECIPIENT),
        (RCPT, "556 5.1.10 null MX", OF_RECIPIENT),
        (RCPT, "556 takes no mail", OF_RECIPIENT),
        (RCPT, "550 5.2.1 mailbox disabled", OF_RECIPIENT),
        (DATA, "554 5.1.1 no valid recipients", OF_RECIPIENT),
        (END, "550 #5.1.1 no such user", OF_RECIPIENT),
        # Of this mailbox, by the standard.
        (RCPT, "550 no", LIKELY),
        (RCPT, "551 not here", LIKELY),
        (END, "553 sorry", LIKELY),
        # A mailbox may be emptied, a quota begins anew.
        (RCPT, "552 5.2.2 mailbox full", PASSES),
        (END, "550 5.2.2 submission quota exceeded", PASSES),
        (RCPT, "552 mailbox full", PASSES),
        (RCPT, "554 4.4.7 could not be delivered in time", PASSES),
        # Said of one recipient by some servers, of everyone by others.
        (RCPT, "550 5.7.1 rejected", IN_DOUBT),
        (END, "554 5.7.1 rejected", IN_DOUBT),
        (END, "552 too much", IN_DOUBT),
        (END, "554 no", IN_DOUBT),
        (RCPT, "550 5.0.0 no", IN_DOUBT),
        (RCPT, "550 5.1.0 address rejected", IN_DOUBT),
        (RCPT, "550 5.4.1 access denied", IN_DOUBT),
        (RCPT, "550 5.5.0 mailbox unavailable", IN_DOUBT),
        (END, "550 5.6.0 bad content", IN_DOUBT),
        (RCPT, "550 5.1.1.20 is on a list", LIKELY),
        # Of the mail's size.
        (MAIL, "552 5.3.4 too large", IN_DOUBT),
        (MAIL, "552 too large", IN_DOUBT),
        (END, "552 5.3.4 too large", IN_DOUBT),
        # Of the relay, our login, our address.
        (MAIL, "530 5.7.0 authentication required", OF_RELAY),
        (MAIL, "550 5.1.1 unknown sender", OF_RELAY),
        (MAIL, "554 no", OF_RELAY),
        (RCPT, "550 5.1.8 sender's domain is unknown", OF_RELAY),
        (RCPT, "550 5.4.5 daily quota exceeded", OF_RELAY),
        (RCPT, "554 5.3.2 takes no mail now", OF_RELAY),
        (RCPT, "503 5.5.1 out of order", OF_RELAY),
        (RCPT, "503 out of order", OF_RELAY),
        (RCPT, "530 authentication required", OF_RELAY),
        (RCPT, "535 5.7.8 authentication failed", OF_RELAY),
        (END, "550 5.7.26 unauthenticated sender", OF_RELAY),
        (RCPT, "554 5.7.1 <a@shop.example>: Relay access denied", OF_RELAY),
        (RCPT, "550 5.7.1 Unable to relay", OF_RELAY),
        (RCPT, "550 relay not permitted", OF_RELAY),
        (RCPT, "550 5.1.1 User unknown in relay recipient table", OF_RECIPIENT),
        (RCPT, "550 User unknown in relay recipient table", LIKELY),
        (RCPT, "550 5.7.606 banned sending address", OF_RELAY),
        # 4xx.
        (RCPT, "450 4.2.1 mailbox busy", TRY_LATER),
        (END, "451 later", TRY_LATER),
        (RCPT, "450 4.7.1 greylisted", TRY_LATER),
        (MAIL, "451 later", OF_RELAY),
        (RCPT, "452 4.3.1 disk is full", OF_RELAY),
        (END, "421 4.3.2 shutting down", OF_RELAY),
        # Neither yes nor no.
        (RCPT, "354 go on", OF_RELAY),
        (DATA, "250 OK", OF_RELAY),
    ],
)
def test_a_reply_is_about_the_recipient_the_relay_or_either(
    command: Command, reply: str, means: tuple[type, About]
) -> None:
    said = refusal(command, int(reply[:3]), reply[4:])
    assert (type(said), said.about) == means
    assert str(said) == reply


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"5.1.1 no such user", "5.1.1 no such user"),
        (b"one\ntwo\t\x1b[31mthree\x00", "one two [31mthree"),
        ("caf\u00e9 \u202e".encode(), "caf?"),
        (b"\xff\xfe", "??"),
        (b"<Owner@Shop.example> is none", "<(recipient)> is none"),
        (b"try <new.owner@other.example>; or else", "try <(address)>; or else"),
        (b"x" * 9999, "x" * 500),
    ],
)
def test_a_servers_words_are_short_plain_and_hold_no_address(said: bytes, kept: str) -> None:
    assert plain(said, "owner@shop.example") == kept
