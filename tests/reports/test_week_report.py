"""The week's report: its figures tie to the ledger, and its page holds nothing it should not."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from ledger import made
from rules.marketplace import NIGERIA

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import UsageError
from vibes_pipeline.ledger import schema, undecipherable
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.standings import record_standings
from vibes_pipeline.ledger.undecipherable import Undecipherable
from vibes_pipeline.reports import plots
from vibes_pipeline.reports.figures import Cancelled, Week
from vibes_pipeline.reports.page import ROWS_SHOWN, render, write_page, write_report
from vibes_pipeline.reports.week import decided_cycles, read_week
from vibes_pipeline.settings import Settings

REVERSED_AT = made.IMPLEMENT_AT + timedelta(days=3)
WRITTEN_AT = made.IMPLEMENT_AT + timedelta(days=14)
SCRIPT = "<script>alert(1)</script>"


@dataclass(frozen=True)
class Desk:
    """A ledger, a lake, and the reports written of them."""

    ledger: Ledger
    home: Path

    @property
    def settings(self) -> Settings:
        return Settings.from_environment({"VIBES_HOME": str(self.home)})

    def week(self, cycle: date = made.CYCLE) -> Week:
        return read_week(self.ledger, self.settings, NIGERIA, cycle, WRITTEN_AT)

    def write(self, cycle: date = made.CYCLE) -> Path:
        return write_report(self.ledger, self.settings, NIGERIA, cycle, WRITTEN_AT)[1]

    def partition(self, relation: str, rows: list[dict[str, object]], cycle: date) -> None:
        """Put a model's rows where the weekly alert of a cycle leaves them."""
        stage, name = relation.split(".")
        folder = self.settings.lake / "NG" / Slot.WEEKLY_ALERT / cycle.isoformat() / stage
        folder.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(folder / f"{name}.parquet")


@pytest.fixture
def desk(ledger: Ledger, tmp_path: Path) -> Desk:
    return Desk(ledger, tmp_path)


@pytest.fixture
def after_a_cycle(desk: Desk) -> Desk:
    """A handful alerted and, but for the seller whom no mail reached, implemented."""
    made.freeze_cycle(desk.ledger, made.a_handful())
    made.accept(desk.ledger, sellers=["S-1", "S-2"])
    made.implement_cycle(desk.ledger)
    return desk


def posted(ledger: Ledger) -> Decimal:
    (row,) = made.rows(ledger, sa.func.sum(schema.postings.c.amount))
    return Decimal(row[0])


# --- figures --------------------------------------------------------------------------------------


def test_what_was_charged_is_what_was_posted(after_a_cycle: Desk) -> None:
    week = after_a_cycle.week()
    assert week.debited == posted(after_a_cycle.ledger) == Decimal("54234.50")
    assert week.charges[made.CYCLE] == {
        "returns_charge": Decimal("3000.00"),
        "out_of_stock_charge": Decimal("1234.50"),
        "counterfeit_charge": Decimal("50000.00"),
    }
    assert (week.decided, week.implemented, week.sellers) == (7, 6, 3)


def test_a_reversal_lowers_the_week_s_charges_and_is_told_beside_them(after_a_cycle: Desk) -> None:
    made.reverse(after_a_cycle.ledger, made.charge("S-1", "I1"), REVERSED_AT)
    week = after_a_cycle.week()
    assert (week.debited, week.credited) == (Decimal("54234.50"), Decimal("-3000.00"))
    assert sum(week.charges[made.CYCLE].values()) == posted(after_a_cycle.ledger)
    assert week.implemented == 6, "it took effect, though it was reversed"
    assert week.in_states(["reversed"]) == [1]


def test_a_claim_s_effects_are_told_in_the_report_of_the_time_they_fell_in(
    after_a_cycle: Desk,
) -> None:
    made.reverse(after_a_cycle.ledger, made.charge("S-1", "I1"), REVERSED_AT)
    assert after_a_cycle.week().by_claims == []
    next_week = after_a_cycle.week(made.NEXT_CYCLE)
    assert next_week.by_claims == [Cancelled("returns_charge", 0, 1, Decimal("3000.00"))]
    assert next_week.otherwise == []


def test_what_is_reversed_without_a_claim_is_told_apart(after_a_cycle: Desk) -> None:
    made.reverse(after_a_cycle.ledger, made.charge("S-1", "I1"), REVERSED_AT, claim_id=None)
    next_week = after_a_cycle.week(made.NEXT_CYCLE)
    assert next_week.by_claims == []
    assert next_week.otherwise == [Cancelled("returns_charge", 0, 1, Decimal("3000.00"))]


def test_a_claim_waits_for_a_person_from_when_it_was_raised(after_a_cycle: Desk) -> None:
    with after_a_cycle.ledger.writing(is_simulated=True, now=REVERSED_AT) as connection:
        made.claim(connection, "C-2", "S-1", REVERSED_AT)
    assert after_a_cycle.week().claims == []
    waiting = after_a_cycle.week(made.NEXT_CYCLE)
    assert [(row["claim_id"], row["state"]) for row in waiting.claims] == [("C-2", "accepted")]
    assert waiting.awaiting == 1


def test_what_is_undecipherable_is_told_as_written_until_it_is_corrected(
    after_a_cycle: Desk,
) -> None:
    ledger, later = after_a_cycle.ledger, made.IMPLEMENT_AT + made.WEEK
    value = Undecipherable("h1", "claims", "C-1", "S-1", "decided_at is null", 'decision "upheld"')
    other = Undecipherable("h2", "claims", "C-2", "S-1", "decided_at is null", 'decision "no"')
    undecipherable.record_seen(ledger, [value], is_simulated=True, now=made.IMPLEMENT_AT)
    undecipherable.record_seen(ledger, [value, other], is_simulated=True, now=later)
    week = after_a_cycle.week()
    assert [row["written"] for row in week.undecipherable] == ['decision "upheld"']
    assert week.awaiting == 1
    assert [row["row_id"] for row in after_a_cycle.week(made.NEXT_CYCLE).undecipherable] == [
        "C-1",
        "C-2",
    ]
    assert "decision &#34;upheld&#34;" in after_a_cycle.write().read_text(encoding="utf-8")
    undecipherable.record_seen(ledger, [], is_simulated=True, now=later)
    assert after_a_cycle.week().undecipherable == []


def test_a_charge_that_awaits_its_evidence_is_told_until_it_is_found(desk: Desk) -> None:
    charges = [made.charge(SCRIPT, "I1"), made.charge("S-2", "I2")]
    made.freeze_cycle(desk.ledger, charges)
    made.accept(desk.ledger)
    made.implement_cycle(desk.ledger, missing=[charges[0]["action_id"]])
    week = desk.week()
    (row,) = week.awaiting_evidence
    assert (row["reference"], row["order_item_id"]) == (charges[0]["reference"], "I1")
    assert (row["missing_since"], row["slots_in_vain"]) == (made.IMPLEMENT_AT, 1)
    assert week.awaiting == 1
    page = render(week)
    assert "Actions that await their evidence (1)" in page
    assert charges[0]["reference"] in page
    assert "after 4 slots in vain" in page
    assert "<script" not in page
    made.implement_cycle(desk.ledger, made.NEXT_CYCLE)
    assert desk.week(made.NEXT_CYCLE).awaiting_evidence == []


def test_a_notice_not_delivered_is_told_until_it_is(after_a_cycle: Desk) -> None:
    for cycle in (made.CYCLE, made.NEXT_CYCLE):
        (row,) = [r for r in after_a_cycle.week(cycle).undelivered if r["kind"] == "weekly_alert"]
        assert (row["seller_id"], row["status"], row["actions"]) == ("S-3", "queued", 1)
        assert row["is_open"]
    made.accept(after_a_cycle.ledger, made.IMPLEMENT_AT + timedelta(days=1))
    assert after_a_cycle.week().undelivered == []


def test_what_an_implementation_does_of_earlier_weeks_is_told_beside_its_own(
    desk: Desk,
) -> None:
    made.freeze_cycle(desk.ledger, [made.charge("S-1", "I1")])
    made.implement_cycle(desk.ledger)
    made.accept(desk.ledger, made.IMPLEMENT_AT)
    given_next = made.terms(made.NEXT_CYCLE)
    made.freeze_cycle(
        desk.ledger, [made.charge("S-1", "I2", given=given_next)], cycle=made.NEXT_CYCLE
    )
    made.accept(desk.ledger, made.ALERT_AT + made.WEEK)
    made.implement_cycle(desk.ledger, made.NEXT_CYCLE)
    assert (desk.week().from_earlier, desk.week().implemented) == (0, 1)
    week = desk.week(made.NEXT_CYCLE)
    assert (week.from_earlier, week.from_earlier_debited) == (1, Decimal("3000.00"))
    assert week.debited == Decimal("3000.00")


def test_sellers_are_counted_by_the_band_they_were_decided_into(after_a_cycle: Desk) -> None:
    rates = {"spotless": "0", "edge": "5", "heavy": "40", "exempt": "40", "idle": None, "gone": "9"}
    after_a_cycle.partition(
        "metrics.seller_week",
        [
            {
                "seller_id": seller_id,
                "cancellation_rate_pct": None if rate is None else Decimal(rate),
                "is_exempt": seller_id == "exempt",
            }
            for seller_id, rate in rates.items()
        ],
        made.CYCLE,
    )
    after_a_cycle.partition(
        "decisions.order_regulations",
        [{"seller_id": "edge", "band": 1}, {"seller_id": "heavy", "band": 3}],
        made.CYCLE,
    )
    after_a_cycle.partition(
        "ledger.account_delistings", [{"seller_id": "gone", "is_standing": True}], made.CYCLE
    )
    week = after_a_cycle.week()
    assert [(band.label, band.limits, band.sellers) for band in week.bands] == [
        ("below 2.5%", "", 1),
        ("2.5% to 5%", "75% of shipped", 1),
        ("over 5% to 10%", "50% of shipped", 0),
        ("over 10%", "2 orders a day", 1),
        ("account delisted", "", 1),
        ("exempt", "Jumia Express", 1),
        ("nothing shipped", "nor cancelled", 1),
    ]
    assert week.rates.height == 3, "the delisted, the exempt and the idle have no band"


def test_products_are_counted_by_occurrence_the_fourth_with_all_later_ones(desk: Desk) -> None:
    desk.partition(
        "decisions.sales_regulations",
        [{"occurrence": n} for n in (1, 1, 3, 4, 7, None)],
        made.CYCLE,
    )
    assert desk.week().occurrences == {1: 2, 2: 0, 3: 1, 4: 2, None: 1}


EDGES = [Decimal("2.5"), Decimal(5), Decimal(10)]


@given(st.lists(st.decimals(min_value="0.0001", max_value=100, places=4), max_size=60))
def test_every_seller_is_in_one_bin_and_no_bin_lies_across_an_edge(rates: list[Decimal]) -> None:
    frame = pl.DataFrame(
        {"cancellation_rate_pct": rates, "band": [0] * len(rates)},
        schema={"cancellation_rate_pct": pl.Decimal(9, 4), "band": pl.Int32},
    )
    bins, step, end = plots._binned(frame, EDGES)
    assert bins["sellers"].sum() == len(rates)
    assert (step, end) == (0.5, 30.0)
    for start, stop in bins.select("from", "to").iter_rows():
        assert not any(start < edge < stop for edge in map(float, EDGES))


# --- the page -------------------------------------------------------------------------------------


def test_the_page_shows_the_figures_and_says_that_the_ledger_is_simulated(
    after_a_cycle: Desk,
) -> None:
    page = after_a_cycle.write().read_text(encoding="utf-8")
    assert ">₦54,234.50<" in page
    assert "A simulated ledger." in page
    assert "A simulated ledger." not in render(replace(after_a_cycle.week(), is_simulated=False))


@pytest.mark.parametrize("is_decided", [True, False], ids=["decided", "not decided"])
def test_a_week_without_anything_has_a_page_too(desk: Desk, is_decided: bool) -> None:
    if is_decided:
        made.freeze_cycle(desk.ledger, [])
        made.implement_cycle(desk.ledger)
    page = desk.write().read_text(encoding="utf-8")
    assert ("Not decided yet" in page) is not is_decided
    assert "Nothing was charged in these weeks." in page
    assert "No product was regulated." in page
    assert "Every notice was accepted" in page
    assert "<svg" not in page


def test_a_page_needs_nothing_but_itself(after_a_cycle: Desk) -> None:
    page = after_a_cycle.write().read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[^\"' )]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"<script|<link|<img|@import|url\(", page)
    assert not re.search(r"<svg[^>]* id=|clip-path", page), "ids of several drawings would clash"


def test_every_plot_has_words_for_those_who_do_not_see_it(after_a_cycle: Desk) -> None:
    page = after_a_cycle.write().read_text(encoding="utf-8")
    drawings = re.findall(r"<svg [^>]*>", page)
    assert drawings
    assert all('role="img"' in d and re.search('aria-label="[^"]{20,}"', d) for d in drawings)
    assert page.count("<figcaption>") == page.count("<details>") == len(drawings) / 2


def test_ids_are_hostile_text_and_are_escaped(desk: Desk) -> None:
    actions = [made.charge(f"{SCRIPT}\u202e{n}", f"I{n}") for n in range(2)]
    reviews = pl.DataFrame(
        {
            "seller_id": [SCRIPT],
            "quality_returns": [1],
            "dropoff_failures": [0],
            "counterfeits": [0],
        }
    )
    made.freeze_cycle(desk.ledger, actions, reviews=reviews)
    desk.partition(
        "events.counterfeit_findings",
        [
            {
                "case_id": SCRIPT,
                "seller_id": SCRIPT,
                "order_item_id": SCRIPT,
                "event_at": datetime(2026, 11, 10, tzinfo=made.LAGOS),
                "notified_at": datetime(2015, 12, 31, tzinfo=made.LAGOS),
                "evidence_closes_at": None,
            }
        ],
        made.CYCLE,
    )
    value = Undecipherable("hash", "claims", SCRIPT, SCRIPT, "decided_at is null", SCRIPT)
    undecipherable.record_seen(desk.ledger, [value], is_simulated=True, now=made.ALERT_AT)
    page = desk.write().read_text(encoding="utf-8")
    assert page.count("&lt;script&gt;") == 2 + 1 + 3 + 3
    assert "<script" not in page
    assert "\u202e" not in page


def test_a_long_table_is_cut_and_says_where_all_of_it_is(desk: Desk) -> None:
    sellers = [f"S-{n:04}" for n in range(ROWS_SHOWN + 5)]
    counts = dict.fromkeys(("quality_returns", "dropoff_failures", "counterfeits"), 1)
    made.freeze_cycle(
        desk.ledger, [], reviews=pl.DataFrame([{"seller_id": s, **counts} for s in sellers])
    )
    page = desk.write().read_text(encoding="utf-8")
    assert f"The first {ROWS_SHOWN} of {len(sellers)}" in page
    assert "vibes export account_reviews" in page
    assert sellers[ROWS_SHOWN - 1] in page
    assert sellers[ROWS_SHOWN] not in page


def test_the_list_of_weeks_has_those_with_a_page_the_newest_first(after_a_cycle: Desk) -> None:
    after_a_cycle.write()
    made.freeze_cycle(after_a_cycle.ledger, [], cycle=made.NEXT_CYCLE)
    index = after_a_cycle.write().with_name("index.html")
    assert "2026-11-16.html" not in index.read_text(encoding="utf-8")
    after_a_cycle.write(made.NEXT_CYCLE)
    links = re.findall(r'href="([\d-]+\.html)"', index.read_text(encoding="utf-8"))
    assert links == ["2026-11-16.html", "2026-11-09.html"]
    (_, cycle) = decided_cycles(after_a_cycle.ledger)
    assert (cycle.decided, cycle.implemented, cycle.charged) == (7, 6, Decimal("54234.50"))


def test_a_page_is_written_whole_or_not_at_all(
    after_a_cycle: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = after_a_cycle.write()
    before = file.read_bytes()

    def broken(self: Path, target: Path) -> Path:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="no space left"):
        after_a_cycle.write()
    assert file.read_bytes() == before
    assert sorted(f.name for f in file.parent.iterdir()) == ["2026-11-09.html", "index.html"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("", "is a folder; name a file in it", id="a folder"),
        pytest.param("none/week.html", "make it first", id="in a folder that is not there"),
    ],
)
def test_a_place_where_no_page_can_be_is_named(desk: Desk, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        write_page(desk.week(), desk.home / name)


# --- by command -----------------------------------------------------------------------------------


@pytest.fixture
def commands(ledger_url: sa.URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIBES_HOME", str(tmp_path))
    monkeypatch.setenv("VIBES_POSTGRES_URL", ledger_url.render_as_string(hide_password=False))


def vibes(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command in this process."""
    from click.testing import CliRunner

    from vibes_pipeline.cli.main import cli

    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.usefixtures("commands")
def test_the_command_writes_the_latest_cycle_s_page_or_the_one_asked_for(
    after_a_cycle: Desk, tmp_path: Path
) -> None:
    made.freeze_cycle(after_a_cycle.ledger, [], cycle=made.NEXT_CYCLE)
    assert vibes("report")[0] == 0
    assert (tmp_path / "reports/NG/2026-11-16.html").exists()
    status, out, _ = vibes("report", "--cycle", "2026-11-09", "--out", tmp_path / "week.html")
    assert status == 0
    assert "2026-11-09 is in" in out
    assert "₦54,234.50" in (tmp_path / "week.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    ("is_decided", "arguments", "error"),
    [
        (False, [], "vibes: no cycle is decided yet; run `vibes run weekly-alert`\n"),
        (
            True,
            ["--cycle", "2026-11-02"],
            "vibes: cycle 2026-11-02 is not decided; the latest that is, is 2026-11-09\n",
        ),
    ],
    ids=["nothing is decided", "another cycle is decided"],
)
def test_a_report_that_cannot_be_is_one_clear_line(
    desk: Desk, is_decided: bool, arguments: list[str], error: str
) -> None:
    if is_decided:
        made.freeze_cycle(desk.ledger, [])
    assert vibes("report", *arguments) == (2, "", error)


# --- where sellers stand --------------------------------------------------------------------------


def stand(desk: Desk, **sellers: dict[str, object]) -> None:
    """The standings that the late alert of that morning left, of sellers with nothing but this."""
    rows = made.standings(*sellers)
    given = [row | sellers[row["seller_id"]] for row in rows.iter_rows(named=True)]
    record_standings(desk.ledger, pl.DataFrame(given, schema=rows.schema), WRITTEN_AT)


def test_the_newest_page_tells_where_sellers_stand_and_who_is_one_shipment_away(
    after_a_cycle: Desk,
) -> None:
    assert after_a_cycle.week().standings is None, "there was no late alert yet"
    rate = Decimal("5.1282")
    stand(
        after_a_cycle,
        nearly={
            "band": 2,
            "cancellation_rate_pct": rate,
            "shipments_to_lighter_band": 1,
            "shipments_to_no_limit": 42,
        },
        far={"band": 3, "cancellation_rate_pct": rate, "shipments_to_lighter_band": 9},
        exempt={
            "band": 2,
            "cancellation_rate_pct": rate,
            "shipments_to_lighter_band": 1,
            "is_exempt": True,
        },
        gone={"is_delisted": True},
        idle={},
    )
    found = after_a_cycle.week().standings
    assert found is not None
    assert {figure.label: figure.sellers for figure in found.bands} == {
        "below 2.5%": 0,
        "2.5% to 5%": 0,
        "over 5% to 10%": 1,
        "over 10%": 1,
        "account delisted": 1,
        "exempt": 1,
        "nothing shipped": 1,
    }
    assert [row["seller_id"] for row in found.nearly] == ["nearly"]
    page = after_a_cycle.write().read_text(encoding="utf-8")
    assert '<figure id="standings">' in page
    assert re.search(r'id="nearly".*nearly.*5.13%.*over 5% to 10%.*42', page, re.S)
    older = after_a_cycle.week(made.CYCLE - made.WEEK)
    assert older.standings is None, "an older week's page is not about this one"
