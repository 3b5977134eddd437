"""A mail server, a relay and a clock of one's own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ledger import made
from mail_server import Post, serving
from outbox_sender import SetClock
from relay import Relay, relaying


@pytest.fixture
def post() -> Iterator[Post]:
    with serving() as server:
        yield server


@pytest.fixture
def relay() -> Iterator[Relay]:
    with relaying() as server:
        yield server


@pytest.fixture
def clock() -> SetClock:
    return SetClock(made.ALERT_AT)
