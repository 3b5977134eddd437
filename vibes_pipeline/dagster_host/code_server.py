"""The process that holds the definitions for `vibes up`, and keeps them those of the day.

What Dagster is told of the policy is fixed when the code is loaded. So the code is loaded anew as
soon as another day, or another policy file, would tell it something else: Dagster's code server
starts a new process, asks that one from then on, and lets the old one end after its runs. (`Reload`
in the UI does the same, but needs a webserver, and the daemon may run without one.)
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import yaml
from dagster._api.list_repositories import sync_list_repositories_grpc
from dagster._cli.proxy_server_manager import ProxyServerManager
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._grpc.client import DagsterGrpcClient

from vibes_pipeline.defs.day_at_hand import DayAtHand
from vibes_pipeline.errors import VibesError
from vibes_pipeline.paths import workspace_file
from vibes_pipeline.settings import Settings

# How often the definitions loaded are compared with those of the day.
LOOKED_AT_SECONDS = 5.0
RELOADED_WITHIN_SECONDS = 180
STANDARD_ERROR = 2
LOG_BYTES = 50_000_000

Told = tuple[object, ...]
logger = logging.getLogger(__name__)


@contextmanager
def code_server(log_level: str, instance: dg.DagsterInstance, log: Path | None) -> Iterator[Path]:
    """A server of the day's definitions; the workspace file that names it to other servers.

    The server starts the runs, and Dagster writes each event of theirs on standard error: into the
    file `log`, if one is given.
    """
    loaded = DayAtHand.today(Settings.from_environment()).told()
    with ExitStack() as stack:
        with errors_into(log):
            started = stack.enter_context(
                ProxyServerManager(
                    instance, WorkspaceFileTarget(paths=[str(workspace_file())]), log_level
                )
            )
        folder = stack.enter_context(TemporaryDirectory(prefix="vibes-workspace-"))
        (spec,) = started.get_code_server_specs()
        file = Path(folder) / "workspace.yaml"
        file.write_text(yaml.safe_dump({"load_from": [spec]}))
        place = spec["grpc_server"]
        server = DagsterGrpcClient(place.get("port"), place.get("socket"), place["host"])
        ending = threading.Event()
        stack.callback(ending.set)
        threading.Thread(target=_keep, args=(loaded, server, ending), daemon=True).start()
        yield file


@contextmanager
def errors_into(log: Path | None) -> Iterator[None]:
    """Let processes started in the block write standard error at the end of a file.

    A file over `LOG_BYTES` is renamed to `.old.log` first; one old file is kept.
    """
    if log is None:
        yield
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))
    sys.stderr.flush()
    terminal = os.dup(STANDARD_ERROR)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), STANDARD_ERROR)
        yield
    finally:
        os.dup2(terminal, STANDARD_ERROR)
        os.close(terminal)


def _keep(loaded: Told, server: DagsterGrpcClient, ending: threading.Event) -> None:
    """Let the server load the definitions anew whenever the day at hand has others."""
    while not ending.wait(LOOKED_AT_SECONDS):
        try:
            told = DayAtHand.today(Settings.from_environment()).told()
        except VibesError:
            # A policy that cannot be read: the slots say so, the definitions stay as they are.
            continue
        # What could not be loaded is tried again at the next look.
        if told != loaded and _reload(server):
            loaded = told


def _reload(server: DagsterGrpcClient) -> bool:
    """Whether the server has loaded its code anew."""
    try:
        server.reload_code(timeout=RELOADED_WITHIN_SECONDS)
        sync_list_repositories_grpc(server)
    except dg.DagsterError as error:
        logger.warning("the definitions of the day could not be loaded: %s", error)
        return False
    return True
