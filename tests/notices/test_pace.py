"""How many mails a second may begin, all connections together."""

from __future__ import annotations

import threading
import time

from vibes_pipeline.notices.senders import Pace


def test_so_many_mails_a_second_begin_whoever_sends_them() -> None:
    pace, stop, begun = Pace(50), threading.Event(), list[float]()

    def send() -> None:
        for _ in range(3):
            assert pace.turn(stop)
            begun.append(time.monotonic())

    began_at = time.monotonic()
    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The first at once, the sixth a tenth of a second later.
    assert max(begun) - began_at >= 5 / 50


def test_who_waits_for_a_turn_is_not_kept_from_stopping() -> None:
    pace, stop = Pace(0.001), threading.Event()
    assert pace.turn(stop)
    threading.Timer(0.05, stop.set).start()
    assert not pace.turn(stop)


def test_without_a_rate_nobody_waits() -> None:
    pace, stop = Pace(None), threading.Event()
    assert all(pace.turn(stop) for _ in range(1000))
    stop.set()
    assert not pace.turn(stop)
