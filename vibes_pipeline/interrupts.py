"""Ctrl-C and SIGTERM, made to strike where they can do no harm.

An interrupt is an exception that may be raised anywhere in Python; raised where compiled code calls
back into Python, it makes that code panic, loudly. What calls such code and is soon done holds it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold an interrupt that comes within the block, and let it strike at the block's end."""
    if threading.current_thread() is not threading.main_thread():
        # Python interrupts the main thread alone.
        yield
        return
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Within the block SIGTERM interrupts as Ctrl-C does, so that what is at hand is ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
