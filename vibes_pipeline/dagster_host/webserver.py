"""Dagster's web UI; beside it the status, with which it opens, and the weeks' reports.

A process of its own, which `servers` starts.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import click
import uvicorn
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from vibes_pipeline.dagster_host.home import persistent_instance
from vibes_pipeline.dagster_host.launching import JobsAlone, reworded_scripts
from vibes_pipeline.dagster_host.servers import LOG_LEVEL
from vibes_pipeline.dagster_host.status_routes import Shown, routes
from vibes_pipeline.defs.day_at_hand import DayAtHand
from vibes_pipeline.files import keep_to_owner
from vibes_pipeline.ledger.ledger import shared_ledger
from vibes_pipeline.reports.page import ADDRESS, weeks_address, write_weeks
from vibes_pipeline.settings import Settings

# A browser's open page holds a websocket, which does not end by itself.
SHUTDOWN_SECONDS = 3


@click.command()
@click.option("--host", required=True)
@click.option("--port", type=int, required=True)
@click.option("--workspace", required=True, help="The file that names the code server.")
@click.option("--read-only", is_flag=True)
def main(host: str, port: int, workspace: str, read_only: bool) -> None:
    """Serve until interrupted."""
    keep_to_owner()
    settings = Settings.from_environment()
    policy = DayAtHand.today(settings).policy
    weeks = weeks_address(policy)
    ledger = shared_ledger(settings, policy.country)
    write_weeks(ledger, settings, policy)
    with (
        persistent_instance(settings) as instance,
        JobsAlone(instance, WorkspaceFileTarget(paths=[workspace]), read_only=read_only) as context,
    ):
        app = create_app_from_workspace_process_context(context, lifespan=_lifespan)
        # Before Dagster's own, the last of which answers any address with the UI.
        app.router.routes[:0] = [
            *routes(Shown(settings, ledger, policy)),
            *(
                Route(place, lambda _: RedirectResponse(weeks))
                for place in (ADDRESS, ADDRESS + "/")
            ),
            Mount(ADDRESS, StaticFiles(directory=settings.reports, html=True)),
            *reworded_scripts(),
        ]
        uvicorn.run(
            app,
            host=host,
            port=port,
            log_level=LOG_LEVEL,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """Let the server end without a traceback when it is interrupted."""
    with suppress(CancelledError):
        yield


if __name__ == "__main__":
    main()
