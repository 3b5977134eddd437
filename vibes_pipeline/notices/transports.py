"""Where mail goes: to an SMTP server, or into a Maildir.

A transport knows nothing of notices, retries or the ledger. It tells the outbox exactly one of
four things: accepted (the server's 250 to the whole message, nothing less), `Deferred`, `Refused`
or `Unknown` (Rulebook §2, the notice guarantee). How one is decided over SMTP is `smtp`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vibes_pipeline.errors import MailError
from vibes_pipeline.files import disk_refusal
from vibes_pipeline.notices.address import usable_address
from vibes_pipeline.notices.mail import Mail
from vibes_pipeline.notices.replies import Command, Unwritable, plain
from vibes_pipeline.notices.smtp import SmtpTransport
from vibes_pipeline.notices.smtp_session import LIMIT_SECONDS


class Connection(Protocol):
    """An open connection to what takes mails, used by one thread."""

    def send(self, mail: Mail, to: str) -> str:
        """The server's reply, such as "250 2.0.0 OK"; else Deferred, Refused or Unknown."""
        ...

    def give_up(self) -> None:
        """Called by another thread: a `send` that waits is to end at once, and none to begin."""
        ...

    def close(self) -> None: ...


class Transport(Protocol):
    """Where mail goes; connect as often as there are threads that send."""

    def connect(self) -> Connection:
        """An open connection; MailError if there is no reaching it."""
        ...


def transport_for(
    *,
    smtp_url: str | None,
    mail_catcher_url: str | None,
    is_simulated: bool,
    maildir_path: Path,
    limit_seconds: Mapping[Command, float] = LIMIT_SECONDS,
) -> Transport:
    """The transport a ledger uses; a simulated one never writes to sellers (Rulebook §2)."""
    if is_simulated and mail_catcher_url:
        return SmtpTransport.from_url(
            mail_catcher_url, setting="VIBES_MAIL_CATCHER_URL", limit_seconds=limit_seconds
        )
    if smtp_url and not is_simulated:
        return SmtpTransport.from_url(smtp_url, limit_seconds=limit_seconds)
    return MaildirTransport(maildir_path)


@dataclass(frozen=True)
class MaildirTransport:
    """A folder that mail clients read (tmp, new, cur): where mail goes when no server may."""

    path: Path

    def connect(self) -> MaildirConnection:
        try:
            for folder in ("tmp", "new", "cur"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise MailError(
                f"the mail folder {self.path} cannot be made ({_why(failure)}); check VIBES_HOME"
            ) from None
        return MaildirConnection(self.path)


@dataclass(frozen=True)
class MaildirConnection:
    path: Path

    def send(self, mail: Mail, to: str) -> str:
        """Write the mail under its notice's id: sent again, it replaces itself."""
        usable_address(to)
        written = self.path / "tmp" / mail.name
        try:
            # A file's lines end as this system's do.
            written.write_bytes(mail.content.replace(b"\r\n", b"\n"))
            written.replace(self.path / "new" / mail.name)
        except OSError as failure:
            with suppress(OSError):
                written.unlink(missing_ok=True)
            way_out = "; make room there" if disk_refusal(failure) else ""
            raise Unwritable(
                None, f"the mail folder {self.path} cannot be written ({_why(failure)}){way_out}"
            ) from None
        return f"250 2.0.0 kept in the mail folder as {mail.name}"

    def give_up(self) -> None:
        pass

    def close(self) -> None:
        pass


def _why(failure: OSError) -> str:
    return plain(failure.strerror or str(failure))
