"""An interrupt that is held strikes once, at the end, and as it would have struck."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from vibes_pipeline.interrupts import interrupts_held


@pytest.fixture(autouse=True)
def interrupted_as_usual() -> Iterator[None]:
    """Python's own handling, which a process that a script starts behind itself is without."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_end_of_the_block(number: int) -> None:
    done = []

    def work() -> None:
        with interrupts_held() as came:
            assert not came.is_set()
            signal.raise_signal(number)
            signal.raise_signal(number)
            assert came.is_set()
            done.append("the block")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["the block"]


def test_without_an_interrupt_nothing_is_changed() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="of the block"), interrupts_held():
        raise ValueError("an error of the block")
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_than_the_main_one_is_never_interrupted() -> None:
    done = []

    def work() -> None:
        with interrupts_held():
            done.append("the block")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["the block"]
