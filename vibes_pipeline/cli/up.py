"""`vibes up`: run the Dagster UI and its daemon; also PostgreSQL, if none is configured.

With `--only` it runs one of the two, so that a service manager can run each as its own service.
"""

from __future__ import annotations

import socket
import sys

import click

from vibes_pipeline.cli.common import console, settings_and_policy_for_slots
from vibes_pipeline.dagster_host.servers import DAEMON, STOPPED_WITHIN_SECONDS, WEBSERVER, supervise
from vibes_pipeline.errors import UsageError


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
@click.option("--read-only", is_flag=True, help="A UI in which nothing can be started or changed.")
@click.option(
    "--debug",
    is_flag=True,
    help="Show Dagster's own events here; otherwise they are in VIBES_HOME/log/dagster.log.",
)
@click.pass_context
def command(
    context: click.Context, host: str, port: int, only: str | None, read_only: bool, debug: bool
) -> None:
    """Bring up the web UI and the daemon that ticks the schedules; Ctrl-C stops both.

    It says when it is ready and where, then when each slot starts, ends, and what it did. Over a
    simulated ledger, such as the demo's, the schedules tick and say why they skip.
    """
    settings, policy = settings_and_policy_for_slots()
    if only != DAEMON:
        _require_free(host, port)

    from vibes_pipeline.dagster_host import home as dagster_home
    from vibes_pipeline.defs.shown_from import shown_since
    from vibes_pipeline.ledger.ledger import Ledger

    console.print("starting PostgreSQL" if settings.postgres_url is None else "connecting")
    dagster_home.prepare(settings)
    ledger = Ledger.open(settings, policy.country)
    environment = {}
    if opened_at := ledger.opened_at():
        environment = shown_since(policy.local_date(opened_at), ledger.first_periods())
    mode = ledger.mode()
    ledger.close()
    console.print(
        f"the ledger of {policy.country} is {mode}; state lives in {settings.home}", markup=False
    )
    console.print("starting the servers")
    wanted = [only] if only else [WEBSERVER, DAEMON]
    options = ["--host", host, "--port", str(port)]
    if read_only:
        options.append("--read-only")
    if debug or context.find_root().params["debug"]:
        options.append("--debug")
    servers = ["-m", "vibes_pipeline.dagster_host.servers", *wanted, *options]
    sys.exit(
        supervise(
            [servers],
            on_stop=lambda: console.print("stopping"),
            # Each server may use its full time to stop, and the code server stops after them.
            stopped_within_seconds=4 * STOPPED_WITHIN_SECONDS,
            environment=environment,
        )
    )


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"{host}:{port} cannot be used ({error.strerror}); choose another with --port"
            ) from None
