"""What `vibes up` starts: Dagster's webserver, its daemon, and the code server they share.

One code server serves both, as under `dagster dev`. Left to itself the daemon would start a new one
every minute, to look for changed code, and log each end of the old one. (See `code_server`.)

This is a process (`python -m vibes_pipeline.dagster_host.servers`) in a session of its own, so that
Ctrl-C in a terminal reaches the servers in order, and not the code server first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

import click

from vibes_pipeline.files import keep_to_owner
from vibes_pipeline.settings import Settings

WEBSERVER, DAEMON = "webserver", "daemon"
LOG_LEVEL = "warning"
POLL_SECONDS = 0.5
# Dagster asks for zones before it imports us: an empty path leaves it the pinned wheel alone.
PINNED_ZONES = {"PYTHONTZPATH": ""}
# They end within seconds; one that hangs is killed.
STOPPED_WITHIN_SECONDS = 30


@click.command()
@click.argument("servers", type=click.Choice([WEBSERVER, DAEMON]), nargs=-1)
@click.option("--host", required=True)
@click.option("--port", type=int, required=True)
@click.option("--read-only", is_flag=True)
@click.option("--debug", is_flag=True)
def main(servers: Sequence[str], host: str, port: int, read_only: bool, debug: bool) -> None:
    """Run SERVERS until one of them ends or all are interrupted; tell what they do."""
    keep_to_owner()
    place = ["--host", host, "--port", str(port)]
    looking = ["--read-only"] if read_only else []
    arguments = {
        WEBSERVER: ["-m", "vibes_pipeline.dagster_host.webserver", *place, *looking],
        DAEMON: ["-m", "dagster._daemon", "run", "--log-level", LOG_LEVEL],
    }
    # Their import takes seconds; `vibes up`, which uses `supervise` below, does without them.
    from vibes_pipeline.dagster_host.code_server import code_server
    from vibes_pipeline.dagster_host.home import persistent_instance
    from vibes_pipeline.dagster_host.terminal import Terminal
    from vibes_pipeline.defs.day_at_hand import DayAtHand
    from vibes_pipeline.reports.page import weeks_address

    settings = Settings.from_environment()
    policy = DayAtHand.today(settings).policy
    ui = f"http://{host}:{port}"
    addresses = {
        "status": f"{ui}/",
        "lineage": f"{ui}/asset-groups",
        "reports": ui + weeks_address(policy),
        "metrics": f"{ui}/metrics",
        "GraphQL": f"{ui}/graphql",
    }
    ending = threading.Event()
    with persistent_instance(settings) as instance:
        terminal = Terminal(
            instance,
            policy.time_zone,
            addresses if WEBSERVER in servers else {},
            has_daemon=DAEMON in servers,
        )
        with code_server(LOG_LEVEL, instance, None if debug else settings.dagster_log) as workspace:
            threading.Thread(target=terminal.tell, args=(ending,), daemon=True).start()
            status = supervise([[*arguments[s], "--workspace", str(workspace)] for s in servers])
            ending.set()
    sys.exit(status)


def supervise(
    servers: Sequence[Sequence[str]],
    *,
    on_stop: Callable[[], None] = lambda: None,
    stopped_within_seconds: float = STOPPED_WITHIN_SECONDS,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run Python with each of the arguments until one ends or we are told to stop; exit status.

    `environment` is added to ours.
    """
    stopping = threading.Event()
    # Before they start: they inherit neither our handlers nor a shell's ignored interrupt.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: stopping.set())
    running = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONWARNINGS": "ignore", **PINNED_ZONES, **(environment or {})},
            start_new_session=True,
        )
        for arguments in servers
    ]
    while not stopping.wait(timeout=POLL_SECONDS):
        if ended := [server for server in running if server.poll() is not None]:
            _stop(running, stopped_within_seconds)
            return int(abs(ended[0].returncode))
    on_stop()
    _stop(running, stopped_within_seconds)
    return 0


def _stop(running: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    """Interrupt them, which Dagster's servers end on, and wait until they have ended."""
    for server in running:
        server.send_signal(signal.SIGINT)
    for server in running:
        try:
            server.wait(seconds)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
