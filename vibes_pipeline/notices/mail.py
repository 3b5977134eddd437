"""A mail as it leaves the wording: bytes, which SMTP and the Maildir write as they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr

_FILE_NAME = re.compile(r"[0-9A-Za-z-]+")


@dataclass(frozen=True)
class Unbuilt:
    """A mail that could not be built; the traceback says why."""

    cause: str


@dataclass(frozen=True)
class Mail:
    """One mail: its file's name in a Maildir, the envelope's sender, and all its bytes.

    `name` is the part of the Message-ID before the @. Lines of `content` end with CR LF.
    """

    name: str
    sender: str
    content: bytes

    @classmethod
    def of(cls, message: EmailMessage) -> Mail:
        """The mail of a message that is built header by header."""
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        if not _FILE_NAME.fullmatch(name):
            raise ValueError("the Message-ID does not begin with an id")
        _, sender = parseaddr(str(message["From"]))
        return cls(name, sender, message.as_bytes(policy=message.policy + SMTP))
