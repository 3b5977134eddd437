"""Rulebook §10 of sellers with many actions, and the way out that their mails show."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from dataclasses import replace
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from mail_reader import MONEY, PROGRAMME, REFERENCE, Page
from notice_samples import (
    MESSAGE_DATE,
    OF_LATE_RULE,
    OF_RULE,
    SENDER,
    action,
    gallery,
    late_alert,
    notice,
)
from test_hostile_text import about_a_claim

from vibes_pipeline.notices import wording
from vibes_pipeline.notices.content import Notice, NoticeAction
from vibes_pipeline.notices.message import Letter, compose, render
from vibes_pipeline.notices.way_out import most_cancelled, most_within

LIMIT = PROGRAMME.html_limit_bytes
LINES = PROGRAMME.notice_lines
# Each is cleaned to 160 characters; of them HTML makes up to five bytes, UTF-8 up to four.
LONG = {
    "ampersands": "&" * 5000,
    "quotes": '"' * 5000,
    "emojis": "🧺" * 5000,
    "words": "ọjà " * 900,
}


def message(made: Notice) -> EmailMessage:
    content = compose(made, PROGRAMME, SENDER, MESSAGE_DATE).content
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998
    return message_from_bytes(content, policy=policy.SMTP)


def rows(letter: Letter) -> list[dict[str, str]]:
    assert letter.table is not None
    return list(csv.DictReader(io.StringIO(letter.table.decode("utf-8-sig"))))


def worst(name: str, rule: str, number: int) -> NoticeAction:
    """An action all of whose names are as long as may be, and no two alike."""
    fields = ("product_name", "sku", "order_number", "order_item_id")
    return action(rule, number, **dict.fromkeys(fields, f"{number} {name}"))


# --- what is listed, what is summed, what is attached ---------------------------------------------


@pytest.mark.parametrize("name", ["many", "late_many"])
def test_of_463_actions_40_are_listed_and_all_are_attached(name: str) -> None:
    made = gallery()[name]
    letter = render(made, PROGRAMME)
    page = Page(letter.html)
    example, *listed = REFERENCE.findall(page.text)
    assert example in listed
    assert len(listed) == len(set(listed)) == LINES
    assert listed == REFERENCE.findall(letter.text)[1:]
    assert MONEY.findall(page.text) == MONEY.findall(" ".join(letter.text.split()))
    attached = [row["reference"] for row in rows(letter)]
    assert sorted(attached) == sorted(one.reference for one in made.actions)
    assert len(attached) == 463
    for part in (page.text, " ".join(letter.text.split())):
        assert (
            f"All 463 actions are in the attached file vibes-{made.kind.replace('_', '-')}-" in part
        )


def test_what_weighs_most_is_listed_regulations_first_then_the_greatest_amounts() -> None:
    made = gallery()["many"]
    listed = set(REFERENCE.findall(render(made, PROGRAMME).text))
    amounts: dict[bool, list[Decimal]] = defaultdict(list)
    for one in made.actions:
        if one.amount is None:
            assert one.reference in listed
        else:
            amounts[one.reference in listed].append(one.amount)
    assert min(amounts[True]) >= max(amounts[False])


def test_of_late_orders_the_soonest_deadlines_are_listed() -> None:
    made = gallery()["late_many"]
    listed = set(REFERENCE.findall(render(made, PROGRAMME).text)[1:])
    due = sorted(made.actions, key=lambda one: (one.event_at, one.order_number))
    assert listed == {one.reference for one in due[:LINES]}


def test_lines_and_sums_by_rule_and_product_make_the_total() -> None:
    made = gallery()["many"]
    letter = render(made, PROGRAMME)
    page = " ".join(letter.text.split())
    listed = set(REFERENCE.findall(letter.text))
    beyond = [one for one in made.actions if one.reference not in listed]
    sums: Counter[tuple[str, str | None]] = Counter()
    totals: dict[tuple[str, str | None], Decimal] = defaultdict(Decimal)
    for one in beyond:
        sums[one.rule, one.sku] += 1
        totals[one.rule, one.sku] += one.amount or 0
    for (rule, sku), count in sums.items():
        assert f"SKU {sku}: {count} ₦{totals[rule, sku]:,.2f}" in page
    shown = MONEY.findall(page)
    assert f"₦{sum(one.amount or 0 for one in made.actions):,.2f}" in shown


def test_the_attachment_is_one_csv_whose_cells_no_spreadsheet_runs() -> None:
    made = notice(
        [
            action("returns_charge", n, product_name='=HYPERLINK("https://x.example")')
            for n in range(41)
        ]
    )
    parts = list(message(made).iter_attachments())
    assert [part.get_content_type() for part in parts] == ["text/csv"]
    assert parts[0].get_filename() == "vibes-weekly-alert-2026-11-09.csv"
    first, *_ = rows(render(made, PROGRAMME))
    assert first["product"] == '\'=HYPERLINK("https://x.example")'
    assert first["amount"] == "1500.00"
    assert first["rule"] == "Returns Charge"
    assert first["at"] == "2026-11-09T08:12:00+01:00"
    assert first["details"] == "Returned: Mon 9 Nov 2026, 08:12; Reason: Wrong item"
    body = message(made).get_body(("html",))
    assert body is not None
    assert "attached file" in body.get_content()


def test_40_actions_are_all_listed_and_nothing_is_attached() -> None:
    made = notice([action("returns_charge", n) for n in range(LINES)])
    assert render(made, PROGRAMME).table is None
    assert message(made).get_content_type() == "multipart/alternative"


def test_a_long_outcome_of_a_claim_lists_40_and_attaches_all() -> None:
    undone = [action("returns_charge", n, state="reversed", claim_id="C-1") for n in range(50)]
    made = about_a_claim("upheld", undone, claim_id="C-1")
    letter = render(made, PROGRAMME)
    assert "And 10 more actions." in letter.text
    assert len(rows(letter)) == 50
    assert {row["details"] for row in rows(letter)} == {
        "What became of it: credited to your account"
    }


@pytest.mark.parametrize("name", LONG.values(), ids=LONG)
@pytest.mark.parametrize(
    ("make", "rules"), [(notice, OF_RULE), (late_alert, OF_LATE_RULE)], ids=["weekly", "late"]
)
def test_the_page_is_never_too_long_whatever_names_it_holds(
    name: str, make: type[Notice], rules: dict[str, object]
) -> None:
    of_rules = [rule for rule in rules if rule not in ("order_regulation", "account_delisting")]
    actions = [worst(name, of_rules[n % len(of_rules)], n) for n in range(463)]
    letter = render(make(actions, shop_name=name), PROGRAMME)
    assert len(letter.html.encode()) <= LIMIT
    assert len(rows(letter)) == 463
    listed = Counter(REFERENCE.findall(Page(letter.html).text))
    assert listed == Counter(REFERENCE.findall(letter.text))


# --- the order of a mail ---------------------------------------------------------------------------


def test_summary_then_how_to_object_then_details() -> None:
    for part in (
        render(gallery()["mixed"], PROGRAMME).text,
        Page(render(gallery()["mixed"], PROGRAMME).html).text,
    ):
        text = " ".join(part.split())
        places = [
            text.index(words)
            for words in (
                "Returns Charge (2) ₦4,500.00",
                "Total to be debited ₦59,000.00",
                "Takes effect Saturday 21 November 2026, 09:00",
                "If you think there is a mistake",
                PROGRAMME.claim_link,
                "Daily order limit",
            )
        ]
        assert places == sorted(places)


def test_no_amount_of_the_page_can_break_in_its_middle() -> None:
    html = render(gallery()["many"], PROGRAMME).html
    cells = [
        cell for cell in html.split("<td")[1:] if MONEY.search(cell) and 'align="right"' in cell
    ]
    assert cells
    assert all("white-space:nowrap" in cell.partition(">")[0] for cell in cells)


def test_an_amount_with_a_no_break_space_keeps_it_in_plain_text() -> None:
    assert wording._wrap("at most  NOK\u00a02,500.00\n") == "at most NOK\u00a02,500.00"
    assert wording.pairs_of("Charge: NOK\u00a02,500.00") == [("Charge", "NOK\u00a02,500.00")]


# --- the way out -----------------------------------------------------------------------------------


def test_the_most_cancelled_items_that_stay_free_are_those_that_counting_gives() -> None:
    below = [c for n in range(1, 400) for c in [max(c for c in range(n + 1) if 1000 * c < 25 * n)]]
    assert [most_cancelled(n, PROGRAMME.order_bands) for n in range(1, 400)] == below


def test_a_band_that_holds_its_upper_rate_allows_it() -> None:
    inclusive = [replace(PROGRAMME.order_bands[0], includes_upper=True)]
    assert (most_cancelled(40, inclusive), most_cancelled(39, inclusive)) == (1, 0)
    limited = [replace(band, daily_order_limit=1) for band in PROGRAMME.order_bands]
    assert most_cancelled(40, limited) is None


@pytest.mark.parametrize("over", ["2", "3.0000", "4.5", "6", "33.3333"])
def test_the_most_items_within_a_threshold_are_those_that_counting_gives(over: str) -> None:
    for base in range(1, 250):
        counted = max(n for n in range(base + 1) if not 100 * n > Decimal(over) * base)
        assert most_within(base, over) == counted


def test_the_claim_link_carries_the_reference_where_it_has_a_place_for_it() -> None:
    placed = replace(PROGRAMME, claim_link="https://claims.example/new?about={reference}")
    one = notice([action("returns_charge")])
    reference = one.actions[0].reference
    letter = render(one, placed)
    link = f"https://claims.example/new?about={reference}"
    assert link in letter.text
    assert link in Page(letter.html).links
    several = notice([action("returns_charge", n) for n in range(3)])
    letter = render(several, placed)
    links = [f"https://claims.example/new?about={one.reference}" for one in several.actions]
    assert [link for link in Page(letter.html).links if "about=NG" in link] == links
    assert all(f"Raise a claim: {link}" in letter.text for link in links)
    assert "{reference}" not in letter.text + letter.html
