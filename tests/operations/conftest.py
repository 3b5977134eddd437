"""One ledger for a module, in which something waits for every cause; a mail server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from notices.mail_server import Post, serving
from operations import scene

from vibes_pipeline.ledger import database
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.settings import Settings


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings.from_environment({"VIBES_HOME": str(tmp_path_factory.mktemp("home"))})


@pytest.fixture(scope="module")
def crowded(module_ledger_url: sa.URL, settings: Settings) -> Iterator[Ledger]:
    ledger = Ledger(database.connect(module_ledger_url), "NG")
    scene.fill(ledger, settings)
    yield ledger
    ledger.close()


@pytest.fixture
def post() -> Iterator[Post]:
    with serving() as server:
        yield server
