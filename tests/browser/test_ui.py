"""The Dagster UI of a small run, as a data engineer's browser shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from cli import troubles
from cli.shell import Shell

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

# Its pages ask the server for their parts one after the other, on a busy machine for long.
PATIENCE_MS = 60_000
# The outer groups, from left to right.
GROUPS = ("1_facts", "2_decisions", "3_actions", "4_outcomes")
# The least height, in pixels, of a line that is read without effort.
READABLE = 12


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1440, "height": 1200})
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


def row(page: Page, key: str) -> Locator:
    """The line of a table that begins with a key."""
    return page.get_by_role("row").filter(has=page.get_by_text(key, exact=True)).first


def test_the_lineage_reads_from_left_to_right_in_letters_that_can_be_read(
    page: Page, ui: str
) -> None:
    page.goto(f"{ui}/asset-groups")
    names = [page.locator(f'foreignObject [data-tooltip="{group}"]') for group in GROUPS]
    names[-1].wait_for()
    boxes = [name.bounding_box() for name in names]
    assert all(box is not None and box["height"] >= READABLE for box in boxes)
    places = [box["x"] for box in boxes if box is not None]
    assert places == sorted(set(places))
    names[0].click()
    page.locator('foreignObject [data-tooltip="4_warehouse"]').wait_for()


def test_where_a_part_of_a_slot_could_be_made_the_button_is_off_and_says_why(
    page: Page, ui: str
) -> None:
    why = page.get_by_text("A slot is done as a whole: start its job", exact=True)
    for place, button in (
        ("asset-groups", "Materialize all"),
        ("assets/decisions/returns_charges", "Materialize…"),
    ):
        page.goto(f"{ui}/{place}")
        off = page.get_by_role("button", name=button)
        off.wait_for()
        assert off.is_disabled()
        off.hover(force=True)
        why.wait_for()


def test_a_job_can_be_started_for_one_period(page: Page, ui: str) -> None:
    page.goto(f"{ui}/locations/vibes-ng/jobs/weekly_alert")
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_text("Latest", exact=True).click()
    start = page.get_by_role("button", name="Launch 1 run")
    start.wait_for()
    assert start.is_enabled()


def test_an_asset_s_page_says_what_it_is_by_which_rule_and_what_came_of_it(
    page: Page, ui: str, shell: Shell
) -> None:
    page.goto(f"{ui}/assets/decisions/returns_charges")
    page.get_by_text("Charges for items returned for quality, one row per item").wait_for()
    quoted = page.locator("blockquote")
    assert "for every item marked as returned in Seller Center" in quoted.inner_text()
    assert page.get_by_text(re.compile(r"^\(policy [0-9a-f]{12}\)$")).is_visible()
    assert "naira" in row(page, "amount").inner_text()
    assert page.get_by_text("Row count").locator("xpath=..").inner_text().split()[-1] == "2"
    assert "I-back" in row(page, "sample").inner_text()
    assert "₦3,000.00" in row(page, "total").inner_text()
    partition = f"lake/NG/weekly-alert/{troubles.CYCLE}/decisions/returns_charges.parquet"
    assert str(shell.home / partition) in row(page, "parquet").inner_text()
    assert "FROM decisions.returns_charges" in row(page, "look_at_it").inner_text()


def test_naira_and_rows_are_plotted_over_the_weeks_since_the_first(page: Page, ui: str) -> None:
    page.goto(f"{ui}/assets/finance/charges")
    page.get_by_text("Plots", exact=True).click()
    page.locator("canvas").nth(1).wait_for()
    assert page.locator("canvas").count() == 2
    assert page.get_by_text("total_ngn", exact=True).is_visible()
    page.goto(f"{ui}/assets/finance/charges?view=partitions")
    page.get_by_text(troubles.CYCLE, exact=True).first.wait_for()
    assert page.get_by_text("2026-11-02", exact=True).count() == 0


def test_a_failing_check_names_the_rows_and_says_what_to_do(page: Page, ui: str) -> None:
    page.goto(f"{ui}/assets/notices/weekly_alerts?view=checks")
    page.get_by_text(re.compile(r"^1 of \d+ sellers without an accepted notice")).wait_for()
    assert page.get_by_text("For a person: the mail server has accepted").is_visible()
    assert page.get_by_text("Failed", exact=True).first.is_visible(), "red: a warning is yellow"
    assert page.get_by_text("non-blocking").is_visible()
    page.goto(f"{ui}/assets/decisions/proposal?view=checks")
    page.get_by_text("until it holds nothing is frozen").wait_for()
    assert page.get_by_text("blocking", exact=True).is_visible()


def test_an_asset_leads_to_the_report_it_wrote(page: Page, ui: str) -> None:
    page.goto(f"{ui}/assets/reports/week")
    with page.expect_popup() as opened:
        page.get_by_role("link", name=f"/reports/NG/{troubles.CYCLE}.html").click()
    assert opened.value.locator("h1").inner_text() == "Week of 9 to 15 November 2026"
    page.goto(f"{ui}/reports")
    assert page.locator("h1").inner_text() == "The weeks"


def test_of_the_home_nothing_but_the_reports_is_served(ui: str) -> None:
    assert urlopen(f"{ui}/reports/NG/{troubles.CYCLE}.html").status == 200
    for path in ("../dagster/dagster.yaml", "NG/../../dagster/dagster.yaml", "nothing.html"):
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{ui}/reports/{path}")


def test_the_schedules_run_at_their_lagos_times_and_the_jobs_know_their_runs(
    page: Page, ui: str
) -> None:
    page.goto(f"{ui}/automation")
    page.get_by_text("weekly_alert", exact=True).wait_for()
    for time in (
        "At 07:00 AM GMT+1, only on Wednesday",
        "At 09:00 AM GMT+1, only on Saturday",
        "At 06:00 AM GMT+1",
        "At 11:00 PM GMT+1",
    ):
        page.get_by_text(time).wait_for()
    switched_on = page.locator("input[type=checkbox]:checked")
    switched_on.nth(9).wait_for(state="attached")
    assert switched_on.count() == 10
    page.goto(f"{ui}/jobs")
    ran = page.get_by_text(re.compile("ago$"))
    ran.nth(3).wait_for()
    assert ran.count() == 4


def test_the_timeline_shows_the_runs_of_commands_and_the_list_says_what_each_was(
    page: Page, ui: str
) -> None:
    page.goto(f"{ui}/overview/activity/timeline")
    # Nothing runs by itself here: what is drawn are the replay's runs.
    for job in ("weekly_alert", "weekly_implementation", "late_alert", "late_cancellation"):
        page.get_by_role("link", name=job).wait_for()
    page.goto(f"{ui}/runs")
    for tag in (
        "vibes/slot: weekly-implementation",
        f"vibes/period: {troubles.CYCLE}",
        f"vibes/as_of: {troubles.IMPLEMENTATION_AT.replace('T', ' ')}:00",
    ):
        page.get_by_text(tag, exact=True).first.wait_for()


def test_no_day_is_shown_on_which_no_late_order_was_to_be_looked_for(page: Page, ui: str) -> None:
    page.goto(f"{ui}/assets/late_orders/outcomes?view=partitions")
    page.get_by_text("2026-11-19", exact=True).first.wait_for()
    assert page.get_by_text("2026-11-18", exact=True).count() == 0


def test_no_page_of_the_ui_fetches_anything_from_elsewhere(page: Page, ui: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{ui}/assets/reports/week")
    page.get_by_text("All weeks").wait_for()
    assert [url for url in asked if not url.startswith((ui, "data:", "blob:"))] == []


LAUNCH = """
    mutation ($run: ExecutionParams!) {
        launchRun(executionParams: $run) { __typename ... on LaunchRunSuccess { run { runId } } }
    }
"""
BACKFILL = """
    mutation ($many: LaunchBackfillParams!) {
        launchPartitionBackfill(backfillParams: $many) { __typename }
    }
"""


def answer(ui: str, query: str, **variables: object) -> str:
    """What the server answers to a mutation."""
    request = Request(
        f"{ui}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    (given,) = json.load(urlopen(request))["data"].values()
    return str(given["__typename"])


def test_the_server_starts_jobs_and_refuses_parts_of_a_slot_and_many_periods(ui: str) -> None:
    def run(job: str, *assets: str) -> dict[str, object]:
        selection = [{"path": asset.split("/")} for asset in assets]
        selector = {"repositoryLocationName": "vibes-ng", "repositoryName": "__repository__"}
        return {
            "selector": {**selector, "jobName": job, "assetSelection": selection or None},
            "mode": "default",
        }

    assert answer(ui, LAUNCH, run=run("__ASSET_JOB", "events/quality_returns")) == (
        "UnauthorizedError"
    )
    # Nothing takes these from the queue here: the daemon does not run.
    assert answer(ui, LAUNCH, run=run("claims")) == "LaunchRunSuccess"
    assert answer(ui, LAUNCH, run=run("__ASSET_JOB", "claims/claims")) == "LaunchRunSuccess"
    many = {"assetSelection": [{"path": ["finance", "charges"]}], "allPartitions": True}
    assert answer(ui, BACKFILL, many=many) == "UnauthorizedError"
