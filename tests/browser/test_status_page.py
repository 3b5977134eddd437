"""The page with which the web UI opens, and what tools are told of the same status."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from browser.conftest import SCRIPT
from browser.test_pages import look
from cli import troubles
from ledger.made import local
from prometheus_client.parser import text_string_to_metric_families
from rules.marketplace import NIGERIA

from vibes_pipeline.calendar import Slot
from vibes_pipeline.ledger.ledger import LedgerMode
from vibes_pipeline.operations.causes import Cause
from vibes_pipeline.operations.runs import LastRun
from vibes_pipeline.operations.slot_states import SlotState, SlotStatus
from vibes_pipeline.operations.status import LedgerStatus, Status
from vibes_pipeline.operations.status_page import render
from vibes_pipeline.operations.waiting import Waits

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SIZES = [pytest.param((1280, 900), id="desktop"), pytest.param((390, 800), id="phone")]
NOW = local("2026-11-18 07:45")
RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"


def failed() -> Status:
    """A live system whose weekly alert failed, for a reason that holds markup."""
    run = LastRun(RUN, NOW, 3, f"there is no warehouse at /srv/{SCRIPT}{'x' * 300}.duckdb")
    due_at = local("2026-11-18 07:00")
    alert = SlotStatus(
        Slot.WEEKLY_ALERT,
        SlotState.FAILED,
        due_at.date(),
        due_at,
        missing=1,
        next_due_at=local("2026-11-25 07:00"),
        last_run=run,
    )
    done = SlotStatus(
        Slot.LATE_ALERT,
        SlotState.DONE,
        due_at.date(),
        due_at,
        done_at=local("2026-11-18 06:00"),
        next_due_at=local("2026-11-19 06:00"),
    )
    return Status(
        NIGERIA,
        NOW,
        {"vibes": "0.1.0"},
        ledger=LedgerStatus(LedgerMode.LIVE, due_at, "0001", "0001"),
        daemon_heard_at=NOW,
        slots=(alert, done),
    )


@pytest.mark.parametrize("size", SIZES)
def test_a_failed_slot_is_what_the_page_opens_with(
    browser: Browser, tmp_path: Path, size: tuple[int, int]
) -> None:
    file = tmp_path / "status.html"
    file.write_text(render(failed()), encoding="utf-8")
    seen = look(browser, file, size)
    assert seen.text("h1") == "weekly-alert has failed"
    assert seen.page.title() == "weekly-alert has failed · VIBES Nigeria"
    colour = "getComputedStyle(document.querySelector('#verdict')).backgroundColor"
    assert seen.page.evaluate(colour) == "rgb(179, 32, 26)"
    box = seen.page.locator("#verdict").bounding_box()
    assert box is not None
    assert box["y"] < 100, "before anything else"
    assert SCRIPT in seen.text("#verdict li")
    link = seen.page.get_by_role("link", name="the run")
    assert link.get_attribute("href") == f"/runs/{RUN}"
    assert seen.page.locator("#slots .state.failing").count() == 1
    assert seen.overflow() == 0
    assert seen.is_quiet()


def test_what_waits_for_a_person_stands_apart_from_what_is_for_information(
    browser: Browser, tmp_path: Path
) -> None:
    waiting = (Waits(Cause.CLAIMS_OVER_TARGET, 2), Waits(Cause.BAD_ROWS, 3))
    file = tmp_path / "status.html"
    file.write_text(render(replace(failed(), waiting=waiting)), encoding="utf-8")
    rows = look(browser, file, (1280, 900)).text("#waiting").splitlines()
    told = [row for row in rows if row.strip()]
    assert [told.index(title) for title in ("For a person", "For information")] == [0, 3]
    assert "claims undecided for longer" in told[1]
    assert "rows of the warehouse set aside" in told[4]


@pytest.mark.parametrize("size", SIZES)
def test_the_ui_opens_with_the_status_and_leads_on(
    browser: Browser, ui: str, size: tuple[int, int]
) -> None:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(ui)
    assert page.locator("h1").inner_text().startswith("No slot is late; ")
    assert "simulated ledger" in page.locator(".simulated").inner_text()
    assert page.locator("#slots tbody tr").count() == 5
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wider) == 0
    page.get_by_role("link", name="Weekly reports").click()
    assert page.locator("h1").inner_text() == "The weeks"
    page.go_back()
    assert complaints == []
    page.get_by_role("link", name="Lineage").click()
    page.wait_for_url(f"{ui}/asset-groups**")
    page.close()


def test_the_page_renews_itself_where_it_is_and_says_when_nobody_answers(
    browser: Browser, ui: str
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 600})
    page.goto(ui)
    page.evaluate("document.querySelector('footer p').textContent = 'old'")
    page.evaluate("window.scrollTo(0, 200)")
    page.evaluate("renewed()")
    assert page.locator("footer p").inner_text().startswith("This page renews itself every ")
    assert page.evaluate("window.scrollY") == 200
    page.context.set_offline(True)
    page.evaluate("renewed()")
    assert "does not answer" in page.locator("#silent").inner_text()
    page.context.set_offline(False)
    page.evaluate("renewed()")
    assert page.locator("#silent").count() == 0
    page.close()


def test_tools_are_told_the_same_and_every_address_of_the_ui_is_still_its_own(ui: str) -> None:
    with urlopen(f"{ui}/status.json") as reply:
        told = json.load(reply)
    assert (told["verdict"], told["ledger"]["mode"]) == ("attention", "simulated")
    assert told["now"] == f"{troubles.IMPLEMENTATION_AT}:00+01:00"
    for address in ("runs", "overview/activity/timeline", "assets/decisions/proposal"):
        with urlopen(f"{ui}/{address}") as reply:
            assert "Dagster" in reply.read().decode()


def test_prometheus_reads_every_metric(ui: str) -> None:
    with urlopen(f"{ui}/metrics") as reply:
        assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = reply.read().decode()
    samples: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.name.startswith("vibes")
        for sample in family.samples:
            assert tuple(sample.labels.values()) not in samples[sample.name]
            samples[sample.name][tuple(sample.labels.values())] = sample.value
    implemented = {
        rule: count
        for (rule, state), count in samples["vibes_actions_total"].items()
        if state == "implemented" and rule in troubles.ACTIONS
    }
    assert implemented == troubles.ACTIONS
    posted = samples["vibes_posted_amount_total"]
    assert Decimal(str(sum(posted.values()))) == Decimal(troubles.POSTED)
    assert {kind for _, kind, _ in posted} == {"debit"}
    assert samples["vibes_verdict"] == {("ok",): 0, ("attention",): 1, ("failing",): 0}
    done_at = samples["vibes_slot_last_done_timestamp_seconds"]
    assert done_at["weekly-alert",] == local(troubles.ALERT_AT.replace("T", " ")).timestamp()
    assert samples["vibes_slot_state"]["weekly-implementation", "done"] == 1
    assert samples["vibes_notices_unsent"]["undeliverable",] == 1
    assert samples["vibes_waiting"]["notices_without_address", "true"] == 1
    assert samples["vibes_ledger_up"] == {(): 1}
    assert "vibes_info" in samples
    assert "S-" not in text
