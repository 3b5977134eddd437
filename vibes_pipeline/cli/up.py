"""`vibes up`: the Dagster UI, its daemon and, if none is configured, PostgreSQL, in one.

With `--only` it is one of the two, for a service manager that runs each as a service of its own.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading

import click

from vibes_pipeline.cli.common import console, settings_and_policy
from vibes_pipeline.errors import UsageError
from vibes_pipeline.paths import workspace_file

POLL_SECONDS = 0.5
WEBSERVER, DAEMON = "webserver", "daemon"
# Both take the workspace and the level of their log; only the first two listen.
SERVERS = {None: "dagster dev", WEBSERVER: "dagster_webserver", DAEMON: "dagster._daemon run"}


@click.command(name="up")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The UI has no login: keep it on loopback.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option(
    "--only",
    type=click.Choice([WEBSERVER, DAEMON]),
    help="One of the two, for a service of its own.",
)
def command(host: str, port: int, only: str | None) -> None:
    """Bring up the web UI and the daemon that ticks the schedules; Ctrl-C stops both.

    Over a simulated ledger, such as the demo's, the schedules tick and say why they skip.
    """
    settings, policy = settings_and_policy()
    if only != DAEMON:
        _require_free(host, port)

    from vibes_pipeline import dagster_home
    from vibes_pipeline.ledger.ledger import Ledger

    console.print("starting PostgreSQL" if settings.postgres_url is None else "connecting")
    dagster_home.prepare(settings)
    ledger = Ledger.open(settings, policy.country)
    mode = {True: "simulated", False: "live", None: "not used yet"}[ledger.is_simulated()]
    ledger.close()
    console.print(
        f"the ledger of {policy.country} is {mode}; state lives in {settings.home}", markup=False
    )
    if only == DAEMON:
        console.print("the daemon ticks (Ctrl-C stops it)")
    else:
        console.print(f"the UI will be at [bold]http://{host}:{port}[/bold] (Ctrl-C stops it)")
    sys.exit(_serve(_server(only, host, port)))


def _server(only: str | None, host: str, port: int) -> list[str]:
    """The arguments to Python that start Dagster's server, or the one of its two that is wanted."""
    arguments = [
        "-m",
        *SERVERS[only].split(),
        "-w",
        str(workspace_file()),
        "--log-level",
        "warning",
    ]
    return arguments if only == DAEMON else [*arguments, "--host", host, "--port", str(port)]


def _serve(server_arguments: list[str]) -> int:
    """Run Dagster's server until it ends or we are told to stop; its exit status."""
    stopping = threading.Event()
    # Before the server starts: it inherits neither our handlers nor a shell's ignored interrupt.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: stopping.set())
    server = subprocess.Popen(
        [sys.executable, *server_arguments],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        # The terminal's Ctrl-C comes to us alone; Dagster ends its servers on an interrupt.
        start_new_session=True,
    )
    while server.poll() is None:
        if stopping.wait(timeout=POLL_SECONDS):
            console.print("stopping")
            server.send_signal(signal.SIGINT)
            server.wait()
            return 0
    return server.returncode


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"{host}:{port} cannot be used ({error.strerror}); choose another with --port"
            ) from None
