"""Ctrl-C and SIGTERM, delayed to a moment at which they do no harm.

Python raises an interrupt as an exception, at any place. Where compiled code calls back into
Python, the exception makes that code panic, loudly, or is lost. So code that calls compiled code
for a short time holds interrupts. Code that must end its threads holds them too, and looks whether
one has come.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Raise SIGTERM as Ctrl-C is raised while the block runs: it leaves something to clear up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def interrupts_held() -> Iterator[threading.Event]:
    """Hold an interrupt that comes within the block, and raise it at the block's end.

    Gives an event that is set once an interrupt has come.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        # Python interrupts only the main thread.
        yield came
        return
    numbers: list[int] = []

    def hold(number: int, _: FrameType | None) -> None:
        numbers.append(number)
        came.set()

    handlers = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if numbers:
            signal.raise_signal(numbers[0])
