"""Threads that send, each over a connection of its own, and that an interrupt ends within seconds.

Here belong their start and their end; what they send and record is the outbox's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.transports import Connection, Transport

# After an interrupt: so long a server may still answer the message at hand, and so long a thread
# that was cut off from its server may still record that.
ANSWERS_WITHIN_SECONDS = 2.0
RECORDS_WITHIN_SECONDS = 1.0
_LOOKS_EVERY_SECONDS = 0.2


class Sender(threading.Thread):
    """One connection and the work over it; `failure` is what ended the work, if not its end.

    A daemon: a process that ends does not wait for a server that does not answer.
    """

    def __init__(
        self, transport: Transport, work: Callable[[Connection], None], stop: threading.Event
    ) -> None:
        super().__init__(name="outbox", daemon=True)
        self._transport = transport
        self._work = work
        self._stop_all = stop
        self._way: Connection | None = None
        self.has_ended = threading.Event()
        self.unreachable: MailError | None = None
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._send()
        except BaseException as failure:
            self.failure = failure
            self._stop_all.set()
        finally:
            self.has_ended.set()

    def _send(self) -> None:
        try:
            self._way = self._transport.connect()
        except MailError as unreachable:
            # The others may be connected: some servers let nobody open several at a time.
            self.unreachable = unreachable
            return
        try:
            self._work(self._way)
        finally:
            self._way.close()

    def give_up(self) -> None:
        """End what waits for the server's answer; called by another thread."""
        if self._way is not None:
            self._way.give_up()


def run_to_the_end(
    senders: Sequence[Sender], stop: threading.Event, interrupted: threading.Event
) -> None:
    """Let them work until nothing is left, or end them soon once `interrupted` is set.

    Raises what ended a sender's work, and `MailError` when none of them reached the server.
    """
    for sender in senders:
        sender.start()
    for sender in senders:
        # An interrupt wakes nobody who waits without end: the system may tell another thread.
        while not sender.has_ended.wait(_LOOKS_EVERY_SECONDS):
            if interrupted.is_set():
                _end_soon(senders, stop)
                return
    for sender in senders:
        if sender.failure is not None:
            raise sender.failure
    unreachable = [sender.unreachable for sender in senders if sender.unreachable]
    if len(unreachable) == len(senders):
        raise unreachable[0]


def _end_soon(senders: Sequence[Sender], stop: threading.Event) -> None:
    stop.set()
    _wait(senders, ANSWERS_WITHIN_SECONDS)
    for sender in senders:
        sender.give_up()
    _wait(senders, RECORDS_WITHIN_SECONDS)


def _wait(senders: Sequence[Sender], seconds: float) -> None:
    until = time.monotonic() + seconds
    for sender in senders:
        sender.has_ended.wait(max(until - time.monotonic(), 0))
