"""The status beside Dagster's UI: as a page, as a document for tools, and for Prometheus.

All three show one status, which is read at most once in some seconds, however many ask.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from time import monotonic

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from vibes_pipeline.errors import VibesError
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.operations import metrics, status_page
from vibes_pipeline.operations.status import Sources, Status, read_status
from vibes_pipeline.operations.status_text import document
from vibes_pipeline.operations.verdict import Verdict
from vibes_pipeline.policy import Policy, load_policy
from vibes_pipeline.settings import Settings

KEPT_SECONDS = 10.0
WAITING_KEPT_SECONDS = 60.0
# A monitor that looks at the answer's number alone learns of a failure too.
SERVICE_UNAVAILABLE = 503
FRESH = {"Cache-Control": "no-store"}
METRICS = "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class Shown:
    """The status that is shown; `policy` is the newest valid one."""

    settings: Settings
    ledger: Ledger
    policy: Policy
    _sources: Sources = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _read: tuple[float, Status] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._sources = Sources(self.settings, WAITING_KEPT_SECONDS)

    def status(self) -> Status:
        """The present one, or one some seconds old."""
        with self._lock:
            if self._read is None or monotonic() - self._read[0] > KEPT_SECONDS:
                status = self._present()
                self._read = monotonic(), status
            return self._read[1]

    def _present(self) -> Status:
        fault = None
        try:
            self.policy = load_policy(self.settings.country, self.settings.policy)
        except VibesError as error:
            # The file may be amended while we run; slots fail until it is valid again.
            fault = str(error)
        status = read_status(self.ledger, self.policy, self._sources)
        return replace(status, fault=fault or status.fault)


def routes(shown: Shown) -> list[Route]:
    """The opening page, `/status.json` and `/metrics`."""

    # Not coroutines: the server runs them in threads, for they wait for the database.
    def page(request: Request) -> Response:
        return HTMLResponse(status_page.render(shown.status()), headers=FRESH)

    def tools(request: Request) -> Response:
        told = document(shown.status())
        is_failing = told["verdict"] == Verdict.FAILING
        return JSONResponse(told, SERVICE_UNAVAILABLE if is_failing else 200, headers=FRESH)

    def scrape(request: Request) -> Response:
        return Response(metrics.exposition(shown.status()), media_type=METRICS, headers=FRESH)

    return [Route("/", page), Route("/status.json", tools), Route("/metrics", scrape)]
