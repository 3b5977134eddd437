"""The outbox's journal: a line before and one after each mail, until the ledger has both.

The ledger records attempts many at a time; a process that is killed has not recorded its last ones.
The journal tells the next sender of them: an attempt with both lines has the outcome of the second,
one with the first alone is the mail whose answer nobody saw. Here belong the file and its reading.
It holds no address, only the hash that the ledger has too.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger.deliveries import Delivery
from vibes_pipeline.ledger.states import Status

BROKEN_OFF = "the sender ended before the server's answer was recorded"
_ONLY_OWNER = 0o600


@dataclass
class Journal:
    """The journal of one ledger's outbox, for the one sender that holds the outbox.

    `mark` tells the ledger from every other. With `is_durable` a mail is not begun before its line
    is on the disk, so that a power cut loses no more than a kill.
    """

    file: Path
    mark: str
    is_durable: bool

    def __post_init__(self) -> None:
        self._mutex = threading.Lock()
        self._descriptor: int | None = None
        self._refusal: OSError | None = None

    # --- what an earlier sender left ---

    def left(self, now: datetime) -> list[Delivery]:
        """The attempts that an earlier sender may not have recorded, in the order of their mails.

        One whose answer nobody saw is `unknown` as of now. `MailError` when the file cannot be
        read, is damaged or belongs to another ledger: then nothing may be sent, for nobody knows
        what was.
        """
        try:
            text = self.file.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as failure:
            raise self._unusable(f"cannot be read ({failure.strerror})") from None
        # Whoever is killed while writing a line has not begun what the line tells of.
        whole = text[: text.rfind(b"\n") + 1]
        attempts: dict[tuple[UUID, int], Delivery] = {}
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                told = json.loads(line)
                if number == 1:
                    self._require_ours(told)
                    continue
                delivery = _told(told)
                key = (delivery.notice_id, delivery.attempt)
                attempts[key] = _joined(attempts.get(key), delivery)
            except (ValueError, TypeError, KeyError, AttributeError):
                raise self._unusable(f"is damaged in line {number}") from None
        return [
            replace(d, status=Status.UNKNOWN, at=now, detail=BROKEN_OFF) if d.at is None else d
            for d in attempts.values()
        ]

    def clear(self) -> None:
        """Forget all of it: the ledger has it."""
        with self._mutex:
            self._close()
            try:
                self.file.unlink(missing_ok=True)
            except OSError as failure:
                raise self._unusable(f"cannot be removed ({failure.strerror})") from None

    # --- what this sender does ---

    def begin(self, delivery: Delivery) -> None:
        """Tell of a mail that is about to be handed over; `MailError` when that cannot be kept."""
        self._append(_line(delivery), is_durable=self.is_durable)

    def end(self, delivery: Delivery) -> None:
        """Tell what became of a mail; told again of the same attempt, the last time counts."""
        self._append(_line(delivery), is_durable=False)

    def close(self) -> None:
        """Write no more; what is in the file stays."""
        with self._mutex:
            self._close()

    def _append(self, line: bytes, *, is_durable: bool) -> None:
        try:
            with self._mutex:
                if self._refusal is not None:
                    # Nothing may follow half a line.
                    raise self._refusal
                try:
                    descriptor = self._opened()
                    _write(descriptor, line)
                except OSError as refusal:
                    self._refusal = refusal
                    raise
            if is_durable:
                os.fdatasync(descriptor)
        except OSError as failure:
            raise MailError(
                f"the journal {self.file} cannot be written ({failure.strerror}); make room there: "
                "what is not sent is tried again"
            ) from None

    def _opened(self) -> int:
        if self._descriptor is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
            self._descriptor = os.open(self.file, flags, _ONLY_OWNER)
            _write(self._descriptor, json.dumps({"ledger": self.mark}).encode() + b"\n")
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _require_ours(self, head: Mapping[str, Any]) -> None:
        if head["ledger"] != self.mark:
            raise self._unusable("belongs to another ledger")

    def _unusable(self, why: str) -> MailError:
        return MailError(
            f"the journal {self.file} {why}: it tells which mails were sent last, so nothing is "
            "sent before that is known. If the ledger is the one that it was written for, mend the "
            "file; if not, or if it cannot be mended, move it away, and mails that it tells of and "
            "the ledger does not may go out once more"
        )


def _write(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]


def _line(delivery: Delivery) -> bytes:
    told: dict[str, Any] = {"notice": str(delivery.notice_id), "attempt": delivery.attempt}
    if delivery.at is None:
        told |= {
            "began_at": _text(delivery.began_at),
            "address_hash": delivery.address_hash,
            "actions": [str(action) for action in delivery.actions],
            "slot_now": _text(delivery.slot_now),
        }
    else:
        told |= {
            "status": str(delivery.status),
            "at": _text(delivery.at),
            "code": delivery.code,
            "detail": delivery.detail,
        }
    return json.dumps(told).encode() + b"\n"


def _told(line: Mapping[str, Any]) -> Delivery:
    notice_id, attempt = UUID(line["notice"]), int(line["attempt"])
    if "status" in line:
        return Delivery(
            notice_id,
            attempt,
            None,
            Status(line["status"]),
            _instant(line["at"]),
            line["code"],
            line["detail"],
        )
    return Delivery(
        notice_id,
        attempt,
        _instant(line["began_at"]),
        address_hash=line["address_hash"],
        actions=[UUID(action) for action in line["actions"]],
        slot_now=_instant(line["slot_now"]),
    )


def _joined(begun: Delivery | None, told: Delivery) -> Delivery:
    """An attempt with its outcome; the beginning is always told first."""
    if told.at is None:
        return told
    if begun is None:
        raise ValueError("an outcome without a beginning")
    return replace(begun, status=told.status, at=told.at, code=told.code, detail=told.detail)


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
