"""What an outbox needs of the mails of notices: what they list, and their wording, many at a time.

How the mails to sellers are put together is `delivery`'s.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from vibes_pipeline.ledger.notices import OpenNotice
from vibes_pipeline.notices.mail import Mail, Unbuilt

ListedActions = Sequence[Mapping[str, Any]]


class Telling(NamedTuple):
    """A notice and the actions that its mail lists, as rows of `action_states`."""

    notice: OpenNotice
    listed: ListedActions


Worded = Mail | Unbuilt


class Mails(ABC):
    """Builds the mails of notices, as of the instant of an attempt."""

    # How many batches are worded at a time.
    lanes = 1

    @contextmanager
    def ready_for(self, count: int) -> Iterator[None]:
        """Whatever so many mails are worth starting for runs within the block."""
        yield

    def worth_listing(
        self, notice: OpenNotice, listed: ListedActions, at: datetime
    ) -> ListedActions:
        """Those of the actions that the notice should still list."""
        return listed

    def true_until(self, notice: OpenNotice, at: datetime) -> datetime | None:
        """Till when a mail may be sent that was worded as of `at`; None: its words stay true."""
        return None

    def in_time_until(self, notice: OpenNotice, at: datetime) -> datetime | None:
        """Till when an alert must be accepted to give its notice; None: nothing waits for it."""
        return None

    @abstractmethod
    def word(self, tellings: Sequence[Telling], at: datetime) -> Future[Sequence[Worded]]:
        """The mails, in their order; one that cannot be built keeps no other from being sent."""
