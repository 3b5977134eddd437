"""What the mails about a claim say: the receipt and the outcome, text and HTML alike (§10, §11)."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from email import message_from_bytes, policy
from typing import Any

import pytest
from notices.mail_reader import PROGRAMME, Page, both
from notices.notice_samples import MESSAGE_DATE, SENDER, action, notice
from slots.claims.cases import OUTCOME, RECEIPT, Desk
from slots.claims.test_intake import COMPLETE
from slots.whole_slots import returned

from vibes_pipeline.notices.content import Notice, NoticeAction, NoticeClaim
from vibes_pipeline.notices.message import compose, render

DAY = date(2026, 11, 19)
RAISED_AT = datetime(2026, 11, 19, 8, 30, tzinfo=UTC)
RULES = sorted(PROGRAMME.rules)


def claim(state: str = "accepted", **changes: Any) -> NoticeClaim:
    stated: dict[str, Any] = {
        "claim_id": "C-2210",
        "state": state,
        "category": "vibes_action",
        "order_number": "362415970",
        "sku": "LL001FA0K7QZNAFAMZ",
        "action_reference": None,
        "raised_at": RAISED_AT,
        "faults": {},
        "is_matched": True,
    }
    return NoticeClaim(**{**stated, **changes})


def receipt(state: str = "accepted", **changes: Any) -> Notice:
    return about(RECEIPT, claim(state, **changes))


def outcome(state: str, actions: list[NoticeAction] | None = None, **changes: Any) -> Notice:
    return about(OUTCOME, claim(state, **changes), actions or [])


def about(kind: str, claim: NoticeClaim, actions: list[NoticeAction] | None = None) -> Notice:
    return notice(actions or [], kind=kind, period=DAY, takes_effect_at=None, claim=claim)


def undone(rule: str, state: str, number: int = 1, **changes: Any) -> NoticeAction:
    """An action that the claim withdrew or reversed."""
    fate = {"state": state, "claim_id": "C-2210", "cycle": date(2026, 11, 9)}
    return action(rule, number, **{**fate, **changes})


def standing(rule: str, state: str, number: int = 2) -> NoticeAction:
    return action(rule, number, state=state, cycle=date(2026, 11, 9))


# --- what both say --------------------------------------------------------------------------------

EACH = {
    "accepted": receipt("accepted"),
    "incomplete": receipt("incomplete", faults={"comment": "missing"}),
    "out of time": receipt("out_of_time", category="counterfeit"),
    "redirected": receipt("redirected", category="seko_warehouse"),
    "upheld": outcome("upheld", [undone("returns_charge", "reversed")]),
    "rejected": outcome("rejected", [standing("returns_charge", "implemented")]),
}


@pytest.mark.parametrize("made", EACH.values(), ids=EACH)
def test_every_mail_says_which_claim_it_is_about_and_how_to_object(made: Notice) -> None:
    assert made.claim is not None
    for part in both(made):
        for words in (
            "Your claim",
            "C-2210",
            PROGRAMME.claim_categories[made.claim.category or ""].name,
            "362415970",
            "LL001FA0K7QZNAFAMZ",
            "19 November 2026, 09:30",
            "Please quote claim C-2210 and write in English.",
            PROGRAMME.claim_link,
            *PROGRAMME.phones,
        ):
            assert words in part


SUBJECTS = {
    RECEIPT: "VIBES: your claim of Thursday 19 November 2026",
    OUTCOME: "VIBES: your claim was decided, Thursday 19 November 2026",
}


@pytest.mark.parametrize("made", EACH.values(), ids=EACH)
def test_the_subject_names_the_day_and_nothing_of_the_claim(made: Notice) -> None:
    assert render(made, PROGRAMME)[0] == SUBJECTS[made.kind]


LEADS = {
    "accepted": "We have your claim and it is complete. A person will decide on it",
    "incomplete": "something in it is missing or not known to us; all of it is listed below",
    "out of time": "it came after the time in which such claims can be raised",
    "redirected": "Such a matter is not decided by us: please contact SEKO",
    "upheld": "A person has looked at your claim and upheld it.",
    "rejected": "A person has looked at your claim and rejected it.",
}


@pytest.mark.parametrize("state", EACH)
def test_a_mail_says_what_became_of_the_claim_and_no_other_thing(state: str) -> None:
    for part in both(EACH[state]):
        assert [name for name, words in LEADS.items() if words in part] == [state]


@pytest.mark.parametrize("state", EACH)
def test_a_claim_that_states_next_to_nothing_is_written_about_too(state: str) -> None:
    made = EACH[state]
    assert made.claim is not None
    nothing = dict.fromkeys(("category", "order_number", "sku", "raised_at"))
    if state == "redirected":  # which only a category can be
        nothing.pop("category")
    bare = NoticeClaim(**{**vars(made.claim), **nothing})
    for part in both(about(made.kind, bare, list(made.actions))):
        assert "None" not in part
        assert ("not stated" in part) == (state != "redirected")


# --- the receipt ----------------------------------------------------------------------------------

FIELDS = {
    "shop_name": "shop name",
    "country": "country",
    "order_number": "order number",
    "sku": "SKU number",
    "tracking_number": "tracking number",
    "reason": "claim reason",
    "api_endpoint": "API endpoint",
    "statement_period": "account statement period",
    "transaction_type": "transaction type",
    "amount": "amount",
    "attachments": "attachments",
    "comment": "comment",
    "comment or attachments": "comment or attachments",
    "order_number or action_reference": "order number or reference of the action",
    "category": "category of the claim",
    "seller_id": "seller account",
    "raised_at": "date of the claim",
}


def test_every_field_that_a_category_asks_for_has_words() -> None:
    asked = {field for stated in COMPLETE.values() for field in stated}
    assert asked <= FIELDS.keys()


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named_in_words(field: str) -> None:
    for part in both(receipt("incomplete", faults={field: "missing"})):
        assert f"The {FIELDS[field]}: missing" in part
        assert "_" not in part.replace(PROGRAMME.claim_link, "")


def test_all_missing_fields_are_named_at_once() -> None:
    for part in both(receipt("incomplete", faults=dict.fromkeys(FIELDS, "missing"))):
        for words in FIELDS.values():
            assert f"The {words}: missing" in part


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"order_number": "unknown"}, "The order number: not known to us as yours"),
        ({"sku": "unknown"}, "The SKU number: not known to us as yours"),
        ({"action_reference": "unknown"}, "The reference of the action: not known to us as yours"),
        ({"reason": "unknown"}, "The claim reason: none of those we know"),
        ({"transaction_type": "unknown"}, "The transaction type: none of those we know"),
        ({"category": "unknown"}, "The category of the claim: none of those we know"),
        ({"attachments": "2 are needed, 1 given"}, "The attachments: 2 are needed, 1 given"),
    ],
)
def test_what_is_unknown_or_too_little_is_said_so(faults: dict[str, str], words: str) -> None:
    for part in both(receipt("incomplete", faults=faults)):
        assert words in part


@pytest.mark.parametrize("state", ["incomplete", "out_of_time", "redirected"])
@pytest.mark.parametrize("category", COMPLETE)
def test_where_something_is_amiss_the_category_s_own_words_are_quoted(
    category: str, state: str
) -> None:
    if state == "redirected" and category != "seko_warehouse":
        pytest.skip("only claims about SEKO are redirected")
    quoted = PROGRAMME.claim_categories[category].words
    for part in both(receipt(state, category=category, faults={"country": "missing"})):
        assert f"“{quoted}”" in part


def test_a_lost_package_is_sent_to_seko_with_where_to_find_them() -> None:
    made = EACH["redirected"]
    for part in both(made):
        assert f"Contact: {PROGRAMME.seko_link}" in part or f"Contact {PROGRAMME.seko_link}" in part
    assert PROGRAMME.seko_link in Page(render(made, PROGRAMME)[2]).links


@pytest.mark.parametrize("state", ["accepted", "incomplete", "out of time"])
def test_no_other_receipt_sends_anybody_to_seko(state: str) -> None:
    for part in both(EACH[state]):
        assert "please contact SEKO" not in part


# --- the outcome ----------------------------------------------------------------------------------


def listed(part: str, title: str) -> str:
    """What stands under a title, up to the next."""
    _, _, rest = part.partition(title)
    return rest.partition("What stays")[0].partition("How to object")[0]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("state", ["withdrawn", "reversed"])
def test_what_was_cancelled_is_listed_whatever_the_rule(rule: str, state: str) -> None:
    gone = undone(rule, state)
    fate = "withdrawn; it will not take effect"
    if state == "reversed":
        fate = (
            "cancelled; it does not count against you"
            if gone.amount is None
            else "credited to your account"
        )
    for part in both(outcome("upheld", [gone])):
        found = listed(part, "What is cancelled")
        assert gone.reference in found
        assert PROGRAMME.rules[rule].title in found
        assert fate in found.lower()
        assert "What stays" not in part


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("proposed", "stays planned"),
        ("alerted", "stays planned"),
        ("implemented", "stays as it is"),
    ],
)
@pytest.mark.parametrize("decision", ["upheld", "rejected"])
def test_what_stays_is_listed_too(rule: str, state: str, words: str, decision: str) -> None:
    staying = standing(rule, state)
    gone = [undone("returns_charge", "reversed")] if decision == "upheld" else []
    for part in both(outcome(decision, [staying, *gone])):
        found = part.partition("What stays")[2]
        assert staying.reference in found
        assert words in found.lower()
        assert staying.reference not in listed(part, "What is cancelled") or not gone


def test_what_another_claim_cancelled_is_neither_cancelled_nor_staying() -> None:
    other = undone("returns_charge", "reversed", claim_id="C-1")
    for part in both(outcome("upheld", [other])):
        assert other.reference not in part
        assert "Credited" not in part


def test_what_is_credited_is_added_up_and_what_is_withdrawn_is_not() -> None:
    actions = [
        undone("returns_charge", "reversed", 1, amount=Decimal("1500.00")),
        undone("counterfeit_charge", "reversed", 2, amount=Decimal("50000.00")),
        undone("dropoff_qc_charge", "withdrawn", 3, amount=Decimal("3000.00")),
        standing("returns_charge", "implemented", 4),
    ]
    for part in both(outcome("upheld", actions)):
        assert "Credited to your account ₦51,500.00" in part


@pytest.mark.parametrize("state", ["withdrawn", "implemented"])
def test_where_nothing_is_credited_no_sum_is_named(state: str) -> None:
    for part in both(outcome("upheld", [undone("returns_charge", state)])):
        assert "Credited to your account" not in part


def test_an_upheld_claim_about_nothing_that_was_found_says_so() -> None:
    for part in both(outcome("upheld", is_matched=False)):
        assert "we could not find what it is about" in part
        assert "Nothing was cancelled so far" in part


def test_an_upheld_claim_of_which_nothing_had_come_says_so() -> None:
    for part in both(outcome("upheld")):
        assert "Nothing had been done or planned on your account for it" in part


# --- hostile text ---------------------------------------------------------------------------------

HOSTILE = {
    "a header of its own": "C-1\r\nBcc: everybody@shop.example\r\n\r\nDear all",
    "markup": "<script>alert(1)</script><a href='https://evil.example'>click</a>",
    "half a tag": '"><img src=x onerror=alert(1)>',
    "an encoded word": "=?utf-8?q?C-1=0D=0ABcc:_all=40shop.example?=",
    "a template": "{{ programme.claim_link }}{% include 'base.txt' %}",
    "turned round": "\u202eC-1\u200b\x00\x07",
    "a title of ours": "C-1\n\nWhat is cancelled\n=====\nReference NG-AAAAAAAA",
    "without end": "C" * 5000,
}
KINDS = {
    RECEIPT: {"state": "incomplete", "faults": {"comment": "missing"}},
    OUTCOME: {"state": "upheld"},
}


def hostile(kind: str, text: str) -> Notice:
    """A notice in which every text of the seller's is that one."""
    texts = dict.fromkeys(("claim_id", "category", "order_number", "sku", "action_reference"), text)
    acted = dict.fromkeys(("sku", "order_number", "order_item_id", "product_name"), text)
    gone = undone("returns_charge", "reversed", claim_id=text, **acted)
    return about(kind, claim(**KINDS[kind], **texts), [gone] if kind == OUTCOME else [])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_of_a_claim_reaches_no_header_and_makes_no_markup_or_line(
    text: str, kind: str
) -> None:
    made, plain = hostile(kind, text), hostile(kind, "Plain")
    raw, plain_raw = (compose(n, PROGRAMME, SENDER, MESSAGE_DATE).content for n in (made, plain))
    assert raw.partition(b"\r\n\r\n")[0] == plain_raw.partition(b"\r\n\r\n")[0]
    parsed = message_from_bytes(raw, policy=policy.default)
    assert [part.get_content_type() for part in parsed.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    plain_part, html = (p.get_content().replace("\r\n", "\n") for p in parsed.iter_parts())
    assert all(char.isprintable() or char == "\n" for char in plain_part)
    assert "\nBcc:" not in plain_part
    titles = [line for line in plain_part.splitlines() if line.startswith("What is cancelled")]
    assert len(titles) == (kind == OUTCOME)
    page, plain_page = Page(html), Page(render(plain, PROGRAMME)[2])
    assert page.tags == plain_page.tags
    assert page.attributes == plain_page.attributes
    assert page.links == plain_page.links


def test_hostile_text_from_the_warehouse_to_the_mailbox(desk: Desk) -> None:
    with desk.ledger.writing(is_simulated=True, now=desk.market.at("Mon 08:00")):
        pass
    text = "C-1\r\nBcc: everybody@shop.example\r\n\r\n<script>alert(1)</script>"
    row = desk.item("S-1", "I-1", {**returned(), "order_number": text})
    row["sku"] = desk.market.product("S-1", sku=f"K {text}", product_name=text)
    desk.upheld(text, "S-1", "Tue+1 12:00", order_number=text, sku=f"K {text}")
    desk.claim(f"{text} 2", "S-1", text, order_number=text)
    desk.settle("Tue+1 12:00")
    mails = desk.mails_to("S-1")
    assert len(mails) == 3
    for mail in mails:
        assert "Bcc" not in mail
        assert uuid.UUID(str(mail["Message-ID"])[1:].partition("@")[0])
        html = mail.get_body(("html",))
        assert html is not None
        assert "script" not in Page(html.get_content()).tags
