"""What the replies to different recipients say together: whom a refusal is about (Rulebook §2).

A refusal alone may be about one recipient or about the relay. The other recipients of the same
delivery tell: where most get through it was the recipient, where few in a row do it was the relay,
whatever its words were. Here belongs that judgement; sending and recording is the outbox's.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from vibes_pipeline.notices.replies import About, DeliveryError, Refused, Unknown, Unwritable

# So many different recipients not let through one after the other: it is not them.
FEW = 5

Attempt = TypeVar("Attempt")


class Settled(NamedTuple, Generic[Attempt]):
    """A refused attempt, and whether the refusal is about its recipient and so for good."""

    attempt: Attempt
    refusal: Refused
    is_final: bool


@dataclass
class Verdicts(Generic[Attempt]):
    """The replies of one delivery, told by its threads as they come.

    A refusal is held until it can be settled: when most recipients have been accepted, when the
    relay turns out to refuse (then it is not final), or at the delivery's end. Fewer than `FEW`
    recipients' are held at a time.
    """

    stop: threading.Event
    _accepted: set[str] = field(default_factory=set)
    _refused: set[str] = field(default_factory=set)
    _in_a_row: set[str] = field(default_factory=set)
    _held: list[tuple[str, Attempt, Refused]] = field(default_factory=list)
    _is_refusing: bool = False
    _last: DeliveryError | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, recipient: str) -> Sequence[Settled[Attempt]]:
        """A mail to the recipient was accepted; what that settles."""
        with self._lock:
            self._accepted.add(recipient)
            self._refused.discard(recipient)
            self._in_a_row.clear()
            return self._settle() if self._most_are_accepted else ()

    def fail(self, recipient: str, failure: DeliveryError) -> None:
        """A mail to the recipient was deferred, or nobody knows what became of it."""
        if failure.about is About.RECIPIENT:
            return
        with self._lock:
            if isinstance(failure, Unwritable):
                self._give_up(failure)
                return
            if failure.about is About.RELAY and not isinstance(failure, Unknown):
                self._last = failure
            self._count(recipient, failure)

    def refuse(
        self, recipient: str, attempt: Attempt, refusal: Refused
    ) -> Sequence[Settled[Attempt]]:
        """A mail to the recipient was refused; what that settles, this refusal not excepted."""
        with self._lock:
            self._held.append((recipient, attempt, refusal))
            self._count(recipient, refusal)
            return self._settle() if self._is_refusing else ()

    def end(self) -> Sequence[Settled[Attempt]]:
        """Nothing more is sent: settle what is held."""
        with self._lock:
            return self._settle()

    @property
    def complaint(self) -> DeliveryError | None:
        """The relay's last word, if it was about itself: it refuses, or let nobody through."""
        return self._last if self._is_refusing or not self._accepted else None

    def _count(self, recipient: str, failure: DeliveryError) -> None:
        self._refused.add(recipient)
        self._in_a_row.add(recipient)
        held = {recipient for recipient, _, _ in self._held}
        if max(len(self._in_a_row), len(held)) >= FEW:
            self._give_up(failure)

    def _give_up(self, failure: DeliveryError) -> None:
        self._is_refusing, self._last = True, failure
        self.stop.set()

    @property
    def _most_are_accepted(self) -> bool:
        return 0 < len(self._accepted) >= len(self._refused)

    def _settle(self) -> Sequence[Settled[Attempt]]:
        held, self._held = self._held, []
        final: set[About] = set()
        if not self._is_refusing:
            final = {About.RECIPIENT}
            if len(self._refused) == 1:
                final |= {About.LIKELY_RECIPIENT}
            if self._most_are_accepted:
                final = set(About)
        settled = [Settled(attempt, said, said.about in final) for _, attempt, said in held]
        in_doubt = [said for _, said, is_final in settled if not is_final]
        if len(in_doubt) > 1:
            self._last = in_doubt[-1]
        return settled
