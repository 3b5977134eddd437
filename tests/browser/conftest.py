"""A small run of all slots, what shows it, and a browser to look with.

Skipped where there is no Chromium, or the tool that drives it cannot start it.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from cli import troubles
from cli.servers import answers, free_port, until
from cli.shell import Shell, new_shell
from patience import PATIENCE_SECONDS
from rules.marketplace import Marketplace

from vibes_pipeline.ledger.ledger import Ledger

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
# Nothing is fetched, and a container without user namespaces can start it.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SCRIPT = "<script>document.title='owned'</script>"
# The weekly slots, and between them one day of the late ones.
SPANS = (
    (troubles.ALERT_AT, troubles.ALERT_AT),
    ("2026-11-19T06:00", "2026-11-19T23:00"),
    (troubles.IMPLEMENTATION_AT, troubles.IMPLEMENTATION_AT, "--slot", "weekly-implementation"),
)


def market() -> Marketplace:
    """The marketplace of troubles, with an item to cancel on Thursday and a seller without mail."""
    made_ = troubles.market()
    slow = {"seller_id": "S-slow", "sku": "K-slow", "pending_at": "Wed+1 09:00"}
    made_.item({**slow, "order_item_id": "I-open"})
    unreached = made_.seller(seller_id=f"S-{SCRIPT}", email=None)
    made_.item({**troubles.OLD, "seller_id": unreached, **_back()})
    return made_


def _back() -> dict[str, str]:
    return {"order_item_id": "I-lost", "returned_at": "Tue 10:00", "return_reason": "wrong_item"}


@pytest.fixture(scope="session")
def shell(
    administration: sa.Engine, with_dagster: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    """A shell after a cycle and a day of late orders; the implementation wrote the report."""
    folder = tmp_path_factory.mktemp("pages")
    with new_shell(administration, with_dagster, market().write(folder / "raw"), folder) as opened:
        for start, end, *only in SPANS:
            replayed = opened("replay", "--from", start, "--until", end, *only, "--into-ui")
            assert replayed.status == 0, replayed.err
        yield opened


@pytest.fixture(scope="session")
def ledger_of_shell(shell: Shell) -> Iterator[Ledger]:
    opened = shell.ledger()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def ui(shell: Shell) -> Iterator[str]:
    """Where the shell's web UI is."""
    port = free_port()
    server = shell.start("up", "--only", "webserver", "--port", str(port))
    until(lambda: answers(port), server)
    yield f"http://127.0.0.1:{port}"
    server.send_signal(signal.SIGTERM)
    server.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: `pip install -e .[test]`"
    )
    if CHROMIUM is None:
        pytest.skip("there is no chromium to look at pages with")
    with playwright.sync_playwright() as driver:
        try:
            started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        except playwright.Error as error:
            pytest.skip(f"chromium cannot be started: {str(error).splitlines()[0]}")
        yield started
        started.close()
