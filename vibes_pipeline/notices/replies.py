"""What a mail server's reply says: about whom, and whether it is its last word (Rulebook §2).

Here belongs the reading of one reply, by its code (RFC 5321), its enhanced code (RFC 3463) and the
command that it answers. What the replies to many recipients say together is `verdicts`'s.
"""

from __future__ import annotations

import re
from enum import StrEnum

from vibes_pipeline.errors import MailError

_LONGEST_REPLY = 500
_CLOSING = 421
_TOO_MUCH = 552

# Some servers write `#5.1.0`; an address of four numbers is no code.
_ENHANCED = re.compile(r"#?([245])\.(\d{1,3}\.\d{1,3})(?!\.?\d)")
# Bounded, for a hostile server's text.
_ADDRESS = re.compile(r"[^\s<>()@:;,\"]{1,64}@[^\s<>()@:;,\"]{1,253}")

# Enhanced codes without their first digit, and codes where there is no enhanced one. Whatever is
# not listed may be said of one recipient as well as of all.
_OF_RECIPIENT = frozenset({"1.1", "1.2", "1.3", "1.4", "1.6", "1.10", "2.1"})
_OF_RECIPIENT_BARE = frozenset({556})
# Of the mailbox by RFC 5321, and by some servers of anything.
_OF_MAILBOX_BARE = frozenset({550, 551, 553})
# The sender's address; the relay's directory; the sender's quota.
_OF_RELAY = frozenset({"1.7", "1.8", "4.3", "4.5"})
# The relay's system, the protocol, its security: all of their codes but those that follow.
_OF_RELAY_SUBJECTS = frozenset({"3", "5", "7"})
# A mail too large; some servers' word for an unknown mailbox; a refusal by policy, by a list's or
# a mailbox's owner.
_NOT_OF_RELAY = frozenset({"3.4", "5.0", "7.1", "7.2", "7.17", "7.18"})
_OF_RELAY_BARE = frozenset({500, 501, 502, 503, 504, 521, 530, 534, 535, 538, 555})
# `relaying denied`, `Relay access denied`, `550 relay not permitted`: it does not take our mails,
# whomever they are to. `User unknown in relay recipient table` is of the user.
_NO_RELAYING = re.compile(r"\brelay(?:ing)?\b(?!\s+recipient)", re.IGNORECASE)
# A full mailbox, and some servers' word for the sender's quota: either passes.
_FULL = "2.2"
# Of the mail's size, and so not of every mail; at `MAIL FROM` all else is.
_OF_THE_MAIL = frozenset({"2.3", "3.4"})


class Command(StrEnum):
    """What a reply answers, in the order of a session; `END` is the dot after a mail's content."""

    CONNECT = "the connection"
    GREETING = "the greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL FROM"
    RCPT = "RCPT TO"
    DATA = "DATA"
    BLOCK = "a block of the content"
    END = "the final dot"
    RSET = "RSET"
    QUIT = "QUIT"


_NAMES_A_RECIPIENT = frozenset({Command.RCPT, Command.DATA, Command.END})


class About(StrEnum):
    """Whom a reply is about."""

    RECIPIENT = "the recipient"
    LIKELY_RECIPIENT = "the recipient, unless others get the same"
    RELAY = "the relay"
    EITHER = "either"


class DeliveryError(MailError):
    """One mail was not accepted; `code` is the server's, None where it gave none."""

    def __init__(self, code: int | None, text: str, about: About = About.RELAY) -> None:
        super().__init__(text if code is None else f"{code} {text}")
        self.code = code
        self.text = text
        self.about = about


class Deferred(DeliveryError):
    """Not accepted for now: a 4xx, a relay in trouble, or one lost before it had the whole mail."""


class Unwritable(Deferred):
    """Not accepted for now: the folder that mail goes to cannot be written, so none is."""


class Refused(DeliveryError):
    """Not accepted for good: a 5xx that is or may be about the recipient."""


class Unknown(DeliveryError):
    """The server had the whole mail and gave no usable answer: accepted or not, nobody knows."""

    def __init__(self, text: str) -> None:
        super().__init__(None, text)


def refusal(command: Command, code: int, text: str) -> Deferred | Refused:
    """What a reply other than the expected one says of the mail.

    A reply that is neither 4xx nor 5xx says nothing of any recipient: the relay is out of step.
    """
    enhanced = _ENHANCED.match(text)
    detail = enhanced[2] if enhanced else None
    if 400 <= code < 500:
        is_relays = (
            command not in _NAMES_A_RECIPIENT
            or code == _CLOSING
            or (detail or "").partition(".")[0] == "3"
        )
        return Deferred(code, text, About.RELAY if is_relays else About.RECIPIENT)
    if not 500 <= code < 600:
        return Deferred(code if code > 0 else None, text)
    about = _about(command, code, detail)
    if about is not About.RECIPIENT and _NO_RELAYING.search(text):
        about = About.RELAY
    if about is About.RELAY:
        return Deferred(code, text, about)
    passes = detail == _FULL or (enhanced and enhanced[1] == "4")
    if passes or (detail is None and code == _TOO_MUCH and command is Command.RCPT):
        return Deferred(code, text, About.EITHER)
    return Refused(code, text, about)


def _about(command: Command, code: int, detail: str | None) -> About:
    """Whom a 5xx is about."""
    if command not in _NAMES_A_RECIPIENT:
        is_of_the_mail = detail in _OF_THE_MAIL or (detail is None and code == _TOO_MUCH)
        return About.EITHER if is_of_the_mail else About.RELAY
    if detail is None:
        if code in _OF_RECIPIENT_BARE:
            return About.RECIPIENT
        if code in _OF_MAILBOX_BARE:
            return About.LIKELY_RECIPIENT
        return About.RELAY if code in _OF_RELAY_BARE else About.EITHER
    if detail in _OF_RECIPIENT:
        return About.RECIPIENT
    is_subjects = detail.partition(".")[0] in _OF_RELAY_SUBJECTS and detail not in _NOT_OF_RELAY
    return About.RELAY if is_subjects or detail in _OF_RELAY else About.EITHER


def plain(said: bytes | str, recipient: str = "") -> str:
    """A server's or the system's words, fit to be kept and shown: short, one line, ASCII.

    Servers like to repeat the recipient, or to name another address; neither may be kept.
    """
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    text = text[: 4 * _LONGEST_REPLY]
    if recipient and recipient.lower() in text.lower():
        text = re.sub(re.escape(recipient), "(recipient)", text, flags=re.IGNORECASE)
    return without_addresses(text).encode("ascii", "replace").decode()[:_LONGEST_REPLY]


def without_addresses(text: str) -> str:
    """A text on one line, printable, with no mail address in it."""
    shown = "".join(c if c.isprintable() else " " for c in _ADDRESS.sub("(address)", text))
    return " ".join(shown.split())
