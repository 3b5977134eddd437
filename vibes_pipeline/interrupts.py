"""Ctrl-C and SIGTERM, put off to a moment at which they can do no harm.

An interrupt is an exception that may be raised anywhere in Python; raised where compiled code calls
back into Python, it makes that code panic, loudly, or is lost. What calls such code and is soon
done holds it; so does what has threads to end, which looks at whether one has come.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_held() -> Iterator[threading.Event]:
    """Hold an interrupt that comes within the block, and let it strike at the block's end.

    Gives what is set once one has come.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        # Python interrupts the main thread alone.
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
