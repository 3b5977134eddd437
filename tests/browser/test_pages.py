"""The week's report and the gallery of mails as a browser shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from browser.conftest import SCRIPT
from cli import troubles
from cli.shell import Shell
from ledger import made
from reports.made_simulation import charge, simulated

from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.reports import simulation_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WRITTEN_AT = datetime(2026, 11, 27, 10, tzinfo=UTC)
DESKTOP, PHONE = (1200, 900), (390, 800)
# What scrolls, and each cell and figure; a scrolled table's text is cut at the page's edge.
CUT = """
    [...document.querySelectorAll(".scroll, td, th, dd")]
        .filter((place) => place.scrollWidth > place.clientWidth + 1)
        .map((place) => place.innerText.slice(0, 80))
"""
KINDS = (
    "weekly_alert",
    "weekly_implementation",
    "late_alert",
    "late_cancellation",
    "operators_mail",
)


@dataclass
class Seen:
    """A page in the browser, what it asked for and what the browser complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())

    def is_quiet(self) -> bool:
        assert self.complaints == []
        assert all(url.startswith("file:") for url in self.requests), self.requests
        return True

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(
            self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )

    def cut(self) -> list[str]:
        """The texts that are wider than the table or tile that holds them, so not seen whole."""
        return list(self.page.evaluate(CUT))


def look(browser: Browser, file: Path, size: tuple[int, int] = DESKTOP) -> Seen:
    seen = Seen(browser.new_page(viewport={"width": size[0], "height": size[1]}))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.on("console", lambda message: seen.complaints.append(message.text))
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.goto(file.as_uri())
    return seen


@pytest.fixture(scope="module")
def report(shell: Shell) -> Path:
    return shell.home / "reports" / "NG" / f"{troubles.CYCLE}.html"


@pytest.fixture(scope="module")
def gallery(shell: Shell) -> Path:
    folder = shell.folder / "gallery"
    written = shell("mail", "preview", "--out", folder)
    assert written.status == 0, written.err
    return folder


# --- the week's report ----------------------------------------------------------------------------


def test_the_report_s_figures_are_the_ledger_s(
    browser: Browser, report: Path, ledger_of_shell: Ledger
) -> None:
    (row,) = made.rows(ledger_of_shell, sa.func.sum(schema.postings.c.amount))
    seen = look(browser, report)
    assert seen.text("h1") == "Week of 9 to 15 November 2026"
    assert seen.text("#charged") == f"₦{row[0]:,.2f}" == f"₦{float(troubles.POSTED):,.2f}"
    assert seen.text("#implemented") == str(sum(troubles.ACTIONS.values()))
    assert "simulated ledger" in seen.text(".simulated")
    assert seen.is_quiet()


def test_the_report_s_rules_are_those_that_struck_with_their_naira(
    browser: Browser, report: Path, ledger_of_shell: Ledger
) -> None:
    s = views.action_states.c
    charged = made.rows(
        ledger_of_shell,
        sa.func.sum(s.amount).filter(s.state == "implemented", s.rule == "counterfeit_charge"),
    )
    seen = look(browser, report)
    row = seen.page.locator("#rules tr", has_text="Counterfeit Charge")
    assert row.locator("td").all_inner_texts()[1:3] == ["1", f"₦{charged[0][0]:,.2f}"]
    late = seen.page.locator("#rules tr", has_text="Cancellation of late pending orders")
    assert late.locator("td").all_inner_texts()[1] == "1"


@pytest.mark.parametrize(
    ("size", "shown", "hidden"),
    [
        pytest.param(DESKTOP, ".wide", ".narrow", id="desktop"),
        pytest.param(PHONE, ".narrow", ".wide", id="phone"),
    ],
)
def test_every_plot_is_drawn_once_and_fits_its_place(
    browser: Browser,
    report: Path,
    size: tuple[int, int],
    shown: str,
    hidden: str,
) -> None:
    seen = look(browser, report, size)
    figures = seen.page.locator("figure")
    assert figures.count() == 5  # no claim was upheld
    for figure in figures.all():
        drawing = figure.locator(f"{shown} svg")
        assert drawing.is_visible()
        assert not figure.locator(f"{hidden} svg").is_visible()
        box, place = drawing.bounding_box(), figure.bounding_box()
        assert box is not None
        assert place is not None
        assert box["width"] > 250
        assert box["height"] > 100
        assert box["x"] + box["width"] <= place["x"] + place["width"] + 1
        assert drawing.get_attribute("aria-label")
    assert seen.overflow() == 0
    assert seen.is_quiet()


def test_a_plot_s_figures_can_be_opened_as_a_table(browser: Browser, report: Path) -> None:
    seen = look(browser, report)
    table = seen.page.locator("#charges table")
    assert not table.is_visible()
    seen.page.locator("#charges summary").click()
    assert table.is_visible()
    assert table.locator("tbody tr").last.locator("td").last.inner_text() == seen.text("#charged")


def test_a_seller_s_id_is_text_on_the_page(browser: Browser, report: Path) -> None:
    seen = look(browser, report)
    cells = seen.page.locator("#undelivered tbody tr").first.locator("td").all_inner_texts()
    assert cells[:4] == [f"S-{SCRIPT}", "weekly alert", "9 Nov 2026", "undeliverable"]
    assert "owned" not in seen.page.title()


def test_the_list_of_weeks_leads_to_the_report_and_back(browser: Browser, report: Path) -> None:
    seen = look(browser, report.with_name("index.html"))
    seen.page.get_by_role("link", name="9 to 15 November 2026").click()
    assert seen.page.url == report.as_uri()
    seen.page.get_by_role("link", name="all weeks").click()
    assert seen.text("h1") == "The weeks"
    assert seen.is_quiet()


def test_the_report_reads_as_well_in_the_dark_and_on_paper(browser: Browser, report: Path) -> None:
    seen = look(browser, report)
    ink = "getComputedStyle(document.querySelector('#charges .wide svg text')).fill"
    light = seen.page.evaluate(ink)
    seen.page.emulate_media(color_scheme="dark")
    assert seen.page.evaluate(ink) != light
    seen.page.emulate_media(media="print", color_scheme="dark")
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    assert not seen.page.locator("details").first.is_visible()
    assert seen.page.locator("#charges .wide svg").is_visible()


# --- a seller's statement --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def statement(shell: Shell) -> Path:
    written = shell("statement", "S-stockless", "--out", shell.folder / "statement.html")
    assert written.status == 0, written.err
    return shell.folder / "statement.html"


def test_a_statement_s_figures_are_whole_on_a_phone_a_screen_and_paper(
    browser: Browser, statement: Path
) -> None:
    for size, medium in ((PHONE, "screen"), (DESKTOP, "screen"), ((688, 1000), "print")):
        seen = look(browser, statement, size)
        seen.page.emulate_media(media=medium)
        assert seen.overflow() == 0
        assert seen.text("#closing") == "₦3,200.00"
        for cell in seen.page.locator("#lines td.n, #by_rule td.n").all():
            box = cell.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= size[0], (medium, cell.inner_text())
        assert seen.is_quiet()
    assert seen.page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a simulation, with long ids, and amounts of millions under both policies."""
    sellers = [f"NG-SELLER-{number:012}" for number in range(3)]
    before = [charge(seller, f"I-{seller}", "48123456.70") for seller in sellers]
    after = [charge(seller, f"I-{seller}", "1000.00") for seller in sellers[1:]]
    file = tmp_path_factory.mktemp("simulation") / "page.html"
    simulation_page.write_page(simulated(before, after), file, WRITTEN_AT)
    return file


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_figure_and_no_id_is_cut(
    browser: Browser, report: Path, simulation: Path, size: tuple[int, int]
) -> None:
    for file in (report, report.with_name("index.html"), simulation):
        seen = look(browser, file, size)
        seen.page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        assert seen.overflow() == 0, file
        assert seen.cut() == [], file


def test_on_a_phone_a_cell_bears_its_column_s_name(browser: Browser, report: Path) -> None:
    seen = look(browser, report, PHONE)
    assert not seen.page.locator("#undelivered thead").is_visible()
    cell = seen.page.locator("#undelivered tbody td", has_text="undeliverable").first
    name = cell.evaluate("(place) => getComputedStyle(place, '::before').content")
    assert name == '"status"'


# --- the gallery of mails -------------------------------------------------------------------------


def test_the_gallery_shows_every_kind_of_mail_in_both_widths_and_as_text(
    browser: Browser, gallery: Path
) -> None:
    seen = look(browser, gallery / "index.html", (1960, 900))
    for kind in KINDS:
        headline = (gallery / f"{kind}.txt").read_text(encoding="utf-8").splitlines()[0]
        frames = seen.page.locator(f'iframe[src="{kind}.html"]')
        assert frames.count() == 2
        widths = []
        for frame in frames.all():
            box = frame.bounding_box()
            assert box is not None
            widths.append(round(box["width"]))
            assert frame.content_frame.locator("h1").inner_text() == headline
        assert widths == [377, 760]
    assert seen.page.locator("pre").count() == len(KINDS)
    assert seen.is_quiet()


def test_on_a_phone_the_gallery_shows_what_a_phone_does_and_cuts_no_line(
    browser: Browser, gallery: Path
) -> None:
    seen = look(browser, gallery / "index.html", PHONE)
    assert seen.overflow() == 0
    assert not seen.page.locator(".desktop").first.is_visible()
    texts = seen.page.locator("pre").all()
    assert all(text.evaluate("(pre) => pre.scrollWidth <= pre.clientWidth") for text in texts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_mail_fits_its_window(
    browser: Browser, gallery: Path, kind: str, size: tuple[int, int]
) -> None:
    seen = look(browser, gallery / f"{kind}.html", size)
    assert seen.overflow() == 0
    assert seen.page.locator("h1").is_visible()
    assert seen.is_quiet()
