"""Processes that word mails: as many as there are processors, where there are mails enough for it.

Here belong their start, what goes to them and back, and their end; run as a script this module is
one of them. They know no ledger and no warehouse: a `Wording` holds all that they need.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.mail import Mail, Unbuilt
from vibes_pipeline.notices.message import Wording, composed

# With fewer mails the start of a process takes longer than it saves.
WORTH_A_PROCESS = 400
_ENDS_WITHIN_SECONDS = 1.0


class Workshop:
    """Wordings go to whichever process is free; `close` ends them all."""

    def __init__(self, processes: int) -> None:
        self._processes = [_start() for _ in range(processes)]
        self._free: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        for process in self._processes:
            self._free.put(process)
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="wording")

    def word(self, wording: Wording) -> Future[Sequence[Mail | Unbuilt]]:
        """The mails, once a process has worded them; `MailError` if it ended before."""
        return self._threads.submit(self._worded, wording)

    def close(self) -> None:
        """End the processes; what is being worded is given up."""
        for process in self._processes:
            _close(process)
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            try:
                process.wait(_ENDS_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _worded(self, wording: Wording) -> Sequence[Mail | Unbuilt]:
        process = self._free.get()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            pickle.dump(wording, process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            made: Sequence[Mail | Unbuilt] = pickle.load(process.stdout)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            raise MailError(
                "a process that words mails has ended before its time, for want of memory maybe; "
                "what is not sent is tried again"
            ) from None
        finally:
            self._free.put(process)
        return made


def processes_for(mails: int) -> int:
    """How many processes so many mails are worth; 0: they are worded here."""
    return len(os.sched_getaffinity(0)) if mails >= WORTH_A_PROCESS else 0


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # The same program, however this one was found.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    try:
        process.stdin.close()
    except (OSError, ValueError):
        # It has ended already, or a thread is writing to it, which its end will end.
        process.kill()


def main() -> None:
    """Word what comes, until whoever started this process closes its input or dies."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Its end is its parent's to decide: a service's stop tells all processes at once.
        signal.signal(number, signal.SIG_IGN)
    given, made = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Nothing that is printed may get between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while True:
        try:
            wording = pickle.load(given)
        except EOFError:
            return
        try:
            pickle.dump(composed(wording), made, pickle.HIGHEST_PROTOCOL)
            made.flush()
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
