"""`vibes up`: Dagster's two servers together, or each as a service of its own; ended by a signal."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from cli.servers import answers, free_port, until
from cli.shell import Shell
from patience import PATIENCE_SECONDS
from policy.amendments import NG, amended_text

START = """
    mutation {
        launchRun(executionParams: {
            selector: {
                repositoryLocationName: "vibes-ng"
                repositoryName: "__repository__"
                jobName: "notice_delivery"
            }
            runConfigData: {}
        }) {
            __typename
            ... on LaunchRunSuccess { run { runId } }
        }
    }
"""

SCHEDULES = """
    {
        schedulesOrError(repositorySelector: {
            repositoryLocationName: "vibes-ng"
            repositoryName: "__repository__"
        }) {
            ... on Schedules { results { name cronSchedule } }
        }
    }
"""


@contextmanager
def taken_port() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield str(listener.getsockname()[1])


def ticks(shell: Shell) -> bool:
    ledger = shell.ledger()
    with ledger.reading() as connection:
        kinds = connection.execute(sa.text("SELECT daemon_type FROM daemon_heartbeats")).scalars()
        known = {"SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR"} <= set(kinds)
    ledger.close()
    return known


def children(pid: int) -> dict[str, int]:
    """The processes that a process started, by the module that each runs."""
    shown = subprocess.run(
        ["ps", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True, text=True, check=False
    )
    found = {}
    for line in shown.stdout.splitlines():
        number, *words = line.split()
        found[words[words.index("-m") + 1]] = int(number)
    return found


def asked(port: int, question: str, **variables: object) -> Any:
    """What the webserver's GraphQL answers."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": question, "variables": variables}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)["data"]


def late_alert_cron(port: int) -> str | None:
    """The schedule's times, once the definitions are loaded."""
    found = asked(port, SCHEDULES)["schedulesOrError"].get("results", [])
    return next((s["cronSchedule"] for s in found if s["name"] == "late_alert"), None)


def run_ended_well(port: int, run_id: str) -> bool:
    status = asked(port, f'{{ runOrError(runId: "{run_id}") {{ ... on Run {{ status }} }} }}')
    assert status["runOrError"]["status"] != "FAILURE"
    return bool(status["runOrError"]["status"] == "SUCCESS")


def said_until(begins: str, server: subprocess.Popen[str]) -> list[str]:
    """The lines on standard output up to the first that begins so."""
    assert server.stdout is not None
    lines = [server.stdout.readline().rstrip("\n")]
    while not re.match(begins, lines[-1]):
        assert server.poll() is None, (lines, server.communicate())
        lines.append(server.stdout.readline().rstrip("\n"))
    return lines


def test_both_run_what_is_started_in_the_ui_until_they_are_told_to_end(shell: Shell) -> None:
    port = free_port()
    up = shell.start("up", "--port", str(port))
    said = said_until("  GraphQL ", up)
    assert answers(port), "it says that it is ready when it is"
    assert ticks(shell)
    ui = f"http://127.0.0.1:{port}"
    assert re.fullmatch(r"ready after \d+ s, the daemon ticks \(Ctrl-C stops it\)", said[-6])
    assert [line.split() for line in said[-5:]] == [
        ["status", f"{ui}/"],
        ["lineage", f"{ui}/asset-groups"],
        ["reports", f"{ui}/reports/NG/"],
        ["metrics", f"{ui}/metrics"],
        ["GraphQL", f"{ui}/graphql"],
    ]
    with urllib.request.urlopen(f"{ui}/status.json") as reply:
        told = json.load(reply)
    assert (told["verdict"], told["ledger"]["mode"]) == ("attention", "not used yet")
    heard_at = datetime.fromisoformat(told["daemon_heard_at"])
    assert timedelta() <= datetime.now(UTC) - heard_at < timedelta(minutes=5)
    for address in ("/reports", "/reports/", "/reports/NG", "/reports/NG/"):
        with urllib.request.urlopen(f"{ui}{address}") as reply:
            assert reply.url == f"{ui}/reports/NG/"
            assert "No week has a report yet" in reply.read().decode()
    run = asked(port, START)["launchRun"]["run"]
    until(lambda: run_ended_well(port, run["runId"]), up)
    told = said_until(r"\d\d:\d\d:\d\d notice-delivery done in ", up)
    assert re.fullmatch(r"\d\d:\d\d:\d\d notice-delivery started", told[0])
    assert re.search(r"done in \d+\.\d s: nothing was to be done$", told[1])

    up.send_signal(signal.SIGINT)
    assert up.wait(PATIENCE_SECONDS) == 0
    assert up.stdout is not None
    assert up.stderr is not None
    assert (up.stdout.read().splitlines(), up.stderr.read()) == (["stopping"], "")
    assert "STEP_START" in (shell.home / "log" / "dagster.log").read_text()
    assert not answers(port)


def test_when_one_of_both_dies_the_other_is_ended_and_the_failure_is_told(shell: Shell) -> None:
    port = free_port()
    up = shell.start("up", "--port", str(port))
    until(lambda: answers(port) and ticks(shell), up)
    (group,) = children(up.pid).values()
    os.kill(children(group)["dagster._daemon"], signal.SIGKILL)
    assert up.wait(PATIENCE_SECONDS) == signal.SIGKILL
    assert not answers(port)


def test_the_webserver_alone_to_look_at_starts_nothing_and_tells_an_amended_policy(
    shell: Shell,
) -> None:
    policy, port = shell.folder / "policy.yaml", free_port()
    policy.write_text(NG, encoding="utf-8")
    looking = ("up", "--only", "webserver", "--port", str(port), "--read-only")
    server = shell.with_(VIBES_POLICY=policy).start(*looking)
    until(lambda: answers(port) and late_alert_cron(port) == "0 6 * * *", server)
    assert not ticks(shell)
    assert asked(port, START)["launchRun"]["__typename"] == "UnauthorizedError"
    may_be_made = asked(port, "{ assetNodes { hasMaterializePermission } }")["assetNodes"]
    assert not any(asset["hasMaterializePermission"] for asset in may_be_made)

    policy.write_text("half: written", encoding="utf-8")
    policy.write_text(amended_text(("slots.late_alert", "2026-11-01", '{time: "06:30"}')))
    until(lambda: late_alert_cron(port) == "30 6 * * *", server)
    server.send_signal(signal.SIGTERM)
    assert server.wait(PATIENCE_SECONDS) == 0
    assert not answers(port)


def test_the_daemon_alone_ticks_needs_no_port_and_ends_when_told(shell: Shell) -> None:
    with taken_port() as port:
        assert shell("up", "--only", "webserver", "--port", port).status == 2
        server = shell.start("up", "--only", "daemon", "--port", port, "--debug")
        said = said_until("ready after ", server)
        assert ticks(shell)
    server.send_signal(signal.SIGTERM)
    out, _ = server.communicate(timeout=PATIENCE_SECONDS)
    assert server.returncode == 0
    assert "http://" not in "\n".join([*said, out])
    assert not (shell.home / "log").exists(), "Dagster's events are shown"


def test_only_one_of_the_two_can_be_asked_for(shell: Shell) -> None:
    assert shell("up", "--only", "postgres").status == 2
