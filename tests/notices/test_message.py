"""What the mails say (Rulebook §10), in text and HTML alike, whatever sellers are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mail_reader import MONEY, PROGRAMME, REFERENCE, Page, both
from notice_samples import (
    MESSAGE_DATE,
    OF_LATE_RULE,
    OF_RULE,
    PERIOD,
    SENDER,
    action,
    gallery,
    implemented,
    late_alert,
    late_cancellation,
    notice,
)

from vibes_pipeline.notices.address import UnusableAddress
from vibes_pipeline.notices.cleaning import clean
from vibes_pipeline.notices.content import Notice, NoticeAction
from vibes_pipeline.notices.mail import Mail
from vibes_pipeline.notices.message import compose, render
from vibes_pipeline.notices.programme import programme
from vibes_pipeline.policy import load_policy

RULES = list(OF_RULE)
LATE_RULES = list(OF_LATE_RULE)
WEEKLY_KINDS = [notice, implemented]
LATE_KINDS = [late_alert, late_cancellation]
Make = Callable[..., Notice]
OF_EACH_KIND = [
    *product(WEEKLY_KINDS, RULES),
    *product(LATE_KINDS, LATE_RULES),
]


def _compose(made: Notice) -> Mail:
    return compose(made, PROGRAMME, SENDER, MESSAGE_DATE)


def _message(mail: Mail) -> EmailMessage:
    return message_from_bytes(mail.content, policy=policy.SMTP)


def _headers(made: Notice) -> bytes:
    return _compose(made).content.partition(b"\r\n\r\n")[0]


# --- what each line says ------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "rule"), OF_EACH_KIND)
def test_each_rules_line_stands_in_both_parts(make: Make, rule: str) -> None:
    done = action(rule, 4)
    stated = [done.reference, PROGRAMME.rules[rule].title, PROGRAMME.rules[rule].words]
    stated += [part for part in (done.sku, done.product_name, done.order_number) if part]
    stated += [done.order_item_id] if done.order_item_id else []
    stated += [f"₦{done.amount:,.2f}"] if done.amount is not None else []
    for part in both(make([done])):
        for words in stated:
            assert words in part


@pytest.mark.parametrize(
    ("done", "words"),
    [
        (action("order_regulation"), "Daily order limit: 21 orders"),
        (action("order_regulation"), "Pending-to-shipped limit: 42 orders"),
        (action("order_regulation"), "7.10% (23 items cancelled, out of 324 items cancelled or"),
        (action("order_regulation"), "257 orders in 6 fulfilment days"),
        (action("order_regulation", band=1), "75% of shipped orders per fulfilment day"),
        (action("order_regulation", band=1), "at least 2; pending to shipped 4 times that"),
        (action("order_regulation"), "Rate over 5% to 10% (yours): 50% of shipped orders per"),
        (action("order_regulation", band=3), "Rate over 10% (yours): 2 orders a day; pending to"),
        (action("order_regulation"), "Rate below 2.5%: no limit"),
        (action("order_regulation"), "at your 324 items of that week, at most 8 cancelled keep"),
        (action("sales_regulation", 1), "at most 6 of these 104 items rejected"),
        (action("sales_regulation", 2), "at most 1 of these 41 items returned"),
        (action("sales_regulation", 1), "Rejection rate: 8.65% (Fashion, regulated when over 6%)"),
        (
            action("sales_regulation", 1),
            "9 items rejected by 8 customers, out of 104 items delivered or rejected, "
            "17 October to 15 November 2026",
        ),
        (action("sales_regulation", 2), "Return rate: 7.32% (Fashion, regulated when over 4%)"),
        (
            action("sales_regulation", 2),
            "3 items returned for quality by 3 customers, out of 41 items, 2 to 8 November 2026",
        ),
        (action("sales_regulation", 1), "Occurrence: 2 of 4"),
        (action("sales_regulation", 1), PROGRAMME.rules["product_delisting"].words),
        (action("sales_regulation", 3), "does not count as a further occurrence"),
        (action("product_delisting"), "Rests on: 4 occurrences, sales regulations of this product"),
        (action("product_delisting"), "Weeks of the occurrences: 31 August to 6 September 2026"),
        (action("product_delisting"), "and: 9 to 15 November 2026"),
        (action("account_delisting", 7), "Mon 16 Nov 2026, 10:30, after review (decision AD-7)"),
        (action("account_delisting"), "Items returned for quality: 4"),
        (action("account_delisting"), "Items proven counterfeit: 1"),
        (action("out_of_stock_charge", 1), "Cancelled, out of stock: Mon 9 Nov 2026, 10:23"),
        (action("out_of_stock_charge", 1), "2 × commission ₦510.00, at most ₦2,500.00"),
        (action("late_fulfilment_charge", 1), "Pending since: Sun 8 Nov 2026, 10:23"),
        (action("late_fulfilment_charge", 1), "Ready to ship was due: Mon 9 Nov 2026, 10:23"),
        (action("late_fulfilment_charge", 1), "1 × commission ₦510.00, at most ₦2,500.00"),
        (action("returns_charge", 1), "Returned: Mon 9 Nov 2026, 10:23"),
        (action("returns_charge", 1), "Reason: Defective item"),
        (action("returns_charge", 0), "Wrong item: Fulfilled an item different from what was"),
        (action("dropoff_qc_charge", 1), "Failed the quality check: Mon 9 Nov 2026, 10:23"),
        (action("dropoff_qc_charge", 1), "Defective item: Fulfilled items not working in line"),
        (action("counterfeit_charge", 1), "Proven counterfeit: Mon 9 Nov 2026, 10:23"),
        (action("counterfeit_charge", 1), "CF-1201, of which you were notified Thu 5 Nov 2026"),
    ],
)
def test_a_line_gives_the_facts_it_rests_on(done: NoticeAction, words: str) -> None:
    text, html = both(notice([done]))
    assert words in text
    # The HTML sets label and value side by side, without the colon, where there is no amount.
    assert words in html or words.replace(": ", " ", 1) in html


def test_an_out_of_stock_charge_says_what_an_earlier_late_charge_took_off_it() -> None:
    whole = action("out_of_stock_charge", 1)
    rest = action(
        "out_of_stock_charge",
        1,
        amount=Decimal("510.00"),
        evidence={**whole.evidence, "late_charge_deducted": "510.00"},
    )
    for part in both(notice([rest])):
        assert "at most ₦2,500.00, less ₦510.00 charged for its late fulfilment" in part
    never_late = action(
        "out_of_stock_charge", evidence={**whole.evidence, "late_charge_deducted": None}
    )
    for part in [*both(notice([whole])), *both(notice([never_late]))]:
        assert "less ₦" not in part


def test_a_rate_of_a_ground_that_was_not_met_is_not_shown() -> None:
    for part in both(notice([action("sales_regulation", 1)])):
        assert "Return rate" not in part


def test_a_rules_words_stand_once_however_many_lines_it_has() -> None:
    made = notice([action("returns_charge", n) for n in range(12)])
    for part in both(made):
        assert part.count(PROGRAMME.rules["returns_charge"].words) == 1
        assert part.count("Fulfilled an item different from what was ordered.") == 1


def test_sections_go_from_what_weighs_most_to_what_weighs_least() -> None:
    made = notice([action(rule) for rule in reversed(RULES)])
    for part in both(made):
        places = [part.rindex(PROGRAMME.rules[rule].title) for rule in ("order_regulation",)]
        places += [part.rindex(action(rule).reference) for rule in RULES[1:]]
        assert places == sorted(places)


# --- when, how much, and how to object ----------------------------------------------------------


def test_an_alert_says_in_local_time_when_it_takes_effect() -> None:
    for part in both(notice([action("order_regulation"), action("returns_charge")])):
        assert "Takes effect Saturday 21 November 2026, 09:00" in part
        assert "will apply to your shop from Saturday 21 November 2026, 09:00, for 7 days" in part
        assert "has been" not in part


def test_a_late_alert_says_the_date_of_its_own_attempt() -> None:
    later = datetime(2026, 11, 28, 8, tzinfo=UTC)
    for part in both(notice([action("order_regulation")], takes_effect_at=later)):
        assert "28 November 2026, 09:00" in part
        assert "21 November 2026" not in part


def test_a_post_implementation_mail_says_what_was_done_and_until_when_it_holds() -> None:
    made = implemented(
        [action(rule) for rule in ("order_regulation", "sales_regulation", "returns_charge")]
    )
    for part in both(made):
        assert "Implemented Saturday 21 November 2026, 09:00" in part
        until = "from Saturday 21 November 2026, 09:00 until Saturday 28 November 2026, 09:00"
        assert part.count(until) == 2
        assert "has been debited from your account" in part
        assert "will be debited" not in part
        assert "will apply" not in part


def test_the_total_is_the_sum_of_the_amounts() -> None:
    made = notice([action("returns_charge", n) for n in range(3)] + [action("order_regulation")])
    for part in both(made):
        assert part.count("Total to be debited ₦54,500.00") == 1


def test_without_charges_there_is_no_total() -> None:
    for part in both(notice([action("order_regulation")])):
        assert "Total" not in part
        assert "₦" not in part


@pytest.mark.parametrize(("make", "rule"), OF_EACH_KIND)
def test_both_parts_say_how_to_object(make: Make, rule: str) -> None:
    done = action(rule)
    for part in both(make([done])):
        assert PROGRAMME.claim_link in part
        assert all(phone in part for phone in PROGRAMME.phones)
        assert f"in English: the reference of the action ({done.reference}), the order" in part
        assert PROGRAMME.how_to_object in part


@pytest.mark.parametrize("name", gallery())
def test_references_and_amounts_are_the_same_in_both_parts(name: str) -> None:
    text, html = both(gallery()[name])
    assert REFERENCE.findall(text) == REFERENCE.findall(html)
    assert MONEY.findall(text) == MONEY.findall(html)


hostile_text = st.text(max_size=40) | st.sampled_from(["₦1.00", "NG-AAAAAAAA", "<b>", "\r\n.\r\n"])


def _actions(rules: list[str]) -> st.SearchStrategy[list[NoticeAction]]:
    one = st.builds(
        lambda rule, number, amount, name, sku: action(
            rule,
            number,
            **({"amount": amount} if rule.endswith("_charge") else {}),
            product_name=name,
            sku=sku,
        ),
        st.sampled_from(rules),
        st.integers(0, 10_000),
        st.decimals("0.01", "99999999.99", places=2),
        hostile_text | st.none(),
        hostile_text | st.none(),
    )
    return st.lists(one, min_size=1, max_size=8)


notices = st.one_of(
    [
        st.builds(
            lambda make, done, shop_name: make(done, shop_name=shop_name),
            st.sampled_from(kinds),
            _actions(rules),
            hostile_text,
        )
        for kinds, rules in ((WEEKLY_KINDS, RULES), (LATE_KINDS, LATE_RULES))
    ]
)


@settings(max_examples=100, deadline=None)
@given(notices)
def test_whatever_the_notice_both_parts_carry_each_reference_and_amount(made: Notice) -> None:
    _, text, html, _ = render(made, PROGRAMME)
    text_words, page = " ".join(text.split()), Page(html)
    assert Counter(REFERENCE.findall(text_words)) == Counter(REFERENCE.findall(page.text))
    assert Counter(MONEY.findall(text_words)) == Counter(MONEY.findall(page.text))
    for one in made.actions:
        assert one.reference in text_words
        assert one.amount is None or f"₦{one.amount:,.2f}" in text_words
    long_lines = [line for line in text.splitlines() if len(line) > 78]
    assert [line for line in long_lines if PROGRAMME.claim_link not in line] == []
    assert _unprintable(text) == set()
    assert page.tags["b"] == Page(render(_harmless(made), PROGRAMME)[2]).tags["b"]


def _harmless(made: Notice) -> Notice:
    """The same notice of a seller with plain names."""
    return replace(
        made,
        shop_name="Shop",
        actions=[replace(a, product_name="P", sku="S") for a in made.actions],
    )


def _unprintable(text: str) -> set[str]:
    return {c for c in text if not c.isprintable()} - {"\n"}


# --- hostile sellers ----------------------------------------------------------------------------

HOSTILE = {
    "line breaks": "Shop\r\nBcc: all@shop.example\r\n\r\n<p>",
    "unicode line breaks": "Shop\u2028Total to be debited\u2029\x85₦0.00",
    "html": "<script>alert(1)</script><img src=https://x.example/a.png>",
    "html attribute": '" onmouseover="alert(1)',
    "html entity": "&lt;b&gt;&#10;",
    "encoded word": "=?utf-8?q?Shop=0D=0ABcc=3A_all=40shop=2Eexample?=",
    "leading equals sign": '=HYPERLINK("https://x.example")',
    "template": "{{ programme.claim_link }}{% include 'base.txt' %}",
    "null and escape": "Shop\x00\x1b[2J",
    "text direction": "Shop\u202egnp.exe",
    "lone surrogate": "Shop\ud800",
    "end of mail": "\r\n.\r\nMAIL FROM:<x@x.example>",
    "very long": "x" * 5000,
}


A_RULE_OF_EACH_KIND = [
    (notice, "returns_charge"),
    (implemented, "returns_charge"),
    (late_alert, "late_pending_cancellation"),
    (late_cancellation, "late_ready_to_ship_cancellation"),
]


@pytest.mark.parametrize(("make", "rule"), A_RULE_OF_EACH_KIND)
@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_no_text_of_a_seller_reaches_a_header(name: str, make: Make, rule: str) -> None:
    made = make(
        [action(rule, product_name=name, sku=name, order_number=name, order_item_id=name)],
        shop_name=name,
        seller_id=name,
    )
    assert _headers(made) == _headers(make([action(rule)]))


@pytest.mark.parametrize(("make", "rule"), A_RULE_OF_EACH_KIND)
@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_no_text_of_a_seller_becomes_markup_or_a_line_of_its_own(
    name: str, make: Make, rule: str
) -> None:
    made = make([action(rule, product_name=name, order_number=name)], shop_name=name)
    plain = make([action(rule, product_name="Plain", order_number="Plain")], shop_name="Plain")
    raw = _compose(made).content
    parsed = message_from_bytes(raw, policy=policy.default)
    assert [part.get_content_type() for part in parsed.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    text, html = (p.get_content().replace("\r\n", "\n") for p in parsed.iter_parts())
    assert _unprintable(text) == set()
    page, plain_page = Page(html), Page(render(plain, PROGRAMME)[2])
    assert page.tags == plain_page.tags
    assert page.attributes == plain_page.attributes
    assert page.links == plain_page.links
    assert clean(name) in page.text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Plain name", "Plain name"),
        ("  two\t spaces \n", "two spaces"),
        ("zero\u200bwidth and \u202eturned", "zerowidth and turned"),
        ("\x00\x07", ""),
        ("non\u00a0breaking", "non breaking"),
        ("Ọjà 商店 🧺", "Ọjà 商店 🧺"),
        ("x" * 161, "x" * 159 + "…"),
    ],
)
def test_cleaning_keeps_one_line_of_printable_text(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


# --- the message --------------------------------------------------------------------------------


def test_the_headers_are_ours_and_no_others() -> None:
    made = notice([action("returns_charge")])
    assert _headers(made).decode().split("\r\n") == [
        "From: VIBES programme <vibes@mail.example>",
        "To: owner@lantern-loom.example",
        "Subject: VIBES alert: =?utf-8?q?=E2=82=A63,000.00?= to be debited, "
        "effective Sat 21 Nov 2026, 09:00 (1 action)",
        "Date: Wed, 18 Nov 2026 06:00:00 +0000",
        f"Message-ID: <{made.notice_id}@mail.example>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="=_{made.notice_id.hex}"',
    ]


def test_the_date_is_of_the_zone_it_is_given_in_whatever_mail_went_before() -> None:
    made = notice([action("returns_charge")])
    for at, written in (
        (MESSAGE_DATE, "Wed, 18 Nov 2026 06:00:00 +0000"),
        (MESSAGE_DATE.astimezone(PROGRAMME.time_zone), "Wed, 18 Nov 2026 07:00:00 +0100"),
    ):
        assert _message(compose(made, PROGRAMME, SENDER, at))["Date"] == written


def test_the_same_notice_is_the_same_mail_byte_for_byte() -> None:
    made = gallery()["mixed"]
    assert _compose(made).content == _compose(made).content


def test_the_mail_is_seven_bit_with_no_line_too_long_for_a_server() -> None:
    raw = _compose(gallery()["many"]).content
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_the_page_loads_nothing_and_links_only_to_the_claim_form_and_phones() -> None:
    _, _, html, _ = render(gallery()["mixed"], PROGRAMME)
    page = Page(html)
    phones = [f"tel:{phone}" for phone in PROGRAMME.phones]
    assert page.links == [PROGRAMME.claim_link, *phones]
    assert not page.tags.keys() & {"img", "link", "script", "iframe", "form", "object"}
    assert "url(" not in html
    assert "@import" not in html


def test_style_is_in_the_tags_and_dark_mode_in_the_one_style_sheet_left() -> None:
    _, _, html, _ = render(gallery()["mixed"], PROGRAMME)
    assert html.count("<style") == 1
    assert "prefers-color-scheme: dark" in html
    assert '<h1 style="' in html


def test_a_seller_without_usable_address_gets_no_mail() -> None:
    with pytest.raises(UnusableAddress, match="there is none"):
        _compose(notice([action("returns_charge")], address=None))


@pytest.mark.parametrize(
    ("period", "words"),
    [
        (date(2026, 11, 9), "9 to 15 November 2026"),
        (date(2026, 11, 30), "30 November to 6 December 2026"),
        (date(2026, 12, 28), "28 December 2026 to 3 January 2027"),
    ],
)
def test_a_week_is_named_by_its_days(period: date, words: str) -> None:
    for part in both(notice([action("order_regulation")], period=period)):
        assert words in part


@pytest.mark.parametrize(
    ("made", "subject"),
    [
        (
            notice([action("returns_charge", n) for n in range(3)]),
            "VIBES alert: ₦54,500.00 to be debited, effective Sat 21 Nov 2026, 09:00 (3 actions)",
        ),
        (
            notice([action("order_regulation")]),
            "VIBES alert: actions planned, effective Sat 21 Nov 2026, 09:00 (1 action)",
        ),
        (
            implemented([action("returns_charge", 1), action("order_regulation")]),
            "VIBES: ₦3,000.00 debited Sat 21 Nov 2026, 09:00 (2 actions)",
        ),
        (
            implemented([action("order_regulation")]),
            "VIBES: actions implemented Sat 21 Nov 2026, 09:00 (1 action)",
        ),
    ],
)
def test_the_subject_says_how_much_when_and_how_many(made: Notice, subject: str) -> None:
    assert _message(_compose(made))["Subject"] == subject


def test_the_programme_is_the_policys_as_of_the_day() -> None:
    policy_of_nigeria = load_policy("ng")
    made = programme(policy_of_nigeria, PERIOD)
    assert (made.country_name, made.currency) == ("Nigeria", "NGN")
    assert {*RULES, *LATE_RULES} == made.rules.keys()
    assert made.rules["late_fulfilment_charge"].exemptions == (
        "Exemptions: New Vendors(First 30 days)."
    )
    assert made.weekly_alert_weekday == "Wednesday"
    assert [band.over_pct for band in made.order_bands] == [
        Decimal(0),
        Decimal("2.5"),
        Decimal("5.0"),
        Decimal("10.0"),
    ]
    assert [band.includes_lower for band in made.order_bands] == [True, True, False, False]
