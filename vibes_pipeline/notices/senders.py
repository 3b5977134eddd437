"""Threads that send, each over a connection of its own, and that an interrupt ends within seconds.

Here belong their start and their end; what they send and record is the outbox's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.transports import Connection, Transport

# After an interrupt: so long a server may still answer the message at hand, and so long what is
# known by then may still be recorded.
ANSWERS_WITHIN_SECONDS = 1.2
RECORDS_WITHIN_SECONDS = 0.7
_LOOKS_EVERY_SECONDS = 0.2


class Worker(threading.Thread):
    """Work in a thread; `failure` is what ended it, if not its end, and then stops all others.

    A daemon: a process that ends does not wait for a server that does not answer.
    """

    def __init__(self, work: Callable[[], None], stop: threading.Event) -> None:
        super().__init__(name="outbox", daemon=True)
        self._work = work
        self._stop_all = stop
        self.has_ended = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._work()
        except BaseException as failure:
            self.failure = failure
            self._stop_all.set()
        finally:
            self.has_ended.set()


class Sender(Worker):
    """One connection and the work over it."""

    def __init__(
        self, transport: Transport, work: Callable[[Connection], None], stop: threading.Event
    ) -> None:
        super().__init__(self._send, stop)
        self._transport = transport
        self._work_over = work
        self._way: Connection | None = None
        self.unreachable: MailError | None = None

    def _send(self) -> None:
        try:
            self._way = self._transport.connect()
        except MailError as unreachable:
            # The others may be connected: some servers let nobody open several at a time.
            self.unreachable = unreachable
            return
        try:
            self._work_over(self._way)
        finally:
            self._way.close()

    def give_up(self) -> None:
        """End what waits for the server's answer; called by another thread."""
        if self._way is not None:
            self._way.give_up()


class Pace:
    """Lets so many mails a second begin, all connections together; without a rate, any number."""

    def __init__(self, rate: float | None) -> None:
        self._seconds_apart = 1 / rate if rate else 0.0
        self._next_at = 0.0
        self._mutex = threading.Lock()

    def turn(self, stop: threading.Event) -> bool:
        """Wait for one's turn; False if all are to stop."""
        if not self._seconds_apart:
            return not stop.is_set()
        with self._mutex:
            now = time.monotonic()
            begins_at = max(self._next_at, now)
            self._next_at = begins_at + self._seconds_apart
        return not stop.wait(begins_at - now)


def run_to_the_end(
    senders: Sequence[Sender],
    clerk: Worker,
    stop: threading.Event,
    interrupted: threading.Event,
) -> None:
    """Let them work until nothing is left, or end them soon once `interrupted` is set.

    The clerk, who records what the senders did, ends after them. Raises what ended a thread's work,
    and `MailError` when no sender reached the server.
    """
    workers = [*senders, clerk]
    for worker in workers:
        worker.start()
    for worker in workers:
        # An interrupt wakes nobody who waits without end: the system may tell another thread.
        while not worker.has_ended.wait(_LOOKS_EVERY_SECONDS):
            if interrupted.is_set():
                _end_soon(senders, clerk, stop)
                return
    for worker in workers:
        if worker.failure is not None:
            raise worker.failure
    unreachable = [sender.unreachable for sender in senders if sender.unreachable]
    if len(unreachable) == len(senders):
        raise unreachable[0]


def _end_soon(senders: Sequence[Sender], clerk: Worker, stop: threading.Event) -> None:
    stop.set()
    _wait(senders, ANSWERS_WITHIN_SECONDS)
    for sender in senders:
        sender.give_up()
    _wait([*senders, clerk], RECORDS_WITHIN_SECONDS)


def _wait(workers: Sequence[Worker], seconds: float) -> None:
    until = time.monotonic() + seconds
    for worker in workers:
        worker.has_ended.wait(max(until - time.monotonic(), 0))
