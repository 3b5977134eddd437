"""Ids and references, worked out here from Rulebook §12 and RFCs 4122 and 4648 alone."""

from __future__ import annotations

import hashlib
from datetime import date
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibes_pipeline.ledger import identity

CYCLE = date(2026, 11, 9)
NAMESPACE_URL = bytes.fromhex("6ba7b8119dad11d180b400c04fd430c8")

# One name for each rule, as Rulebook §12 builds it of country, rule, cycle and subject.
NAMES = {
    "out_of_stock_charge": "NG|out_of_stock_charge|X-1",
    "late_fulfilment_charge": "NG|late_fulfilment_charge|X-1",
    "returns_charge": "NG|returns_charge|X-1",
    "dropoff_qc_charge": "NG|dropoff_qc_charge|X-1",
    "counterfeit_charge": "NG|counterfeit_charge|X-1",
    "late_pending_cancellation": "NG|late_pending_cancellation|X-1",
    "late_ready_to_ship_cancellation": "NG|late_ready_to_ship_cancellation|X-1",
    "order_regulation": "NG|order_regulation|2026-11-09|X-1",
    "sales_regulation": "NG|sales_regulation|2026-11-09|X-1",
    "product_delisting": "NG|product_delisting|2026-11-09|X-1",
    "account_delisting": "NG|account_delisting|2026-11-09|X-1",
}
SUBJECTS = {
    "order_regulation": "seller_id",
    "account_delisting": "seller_id",
    "sales_regulation": "sku",
    "product_delisting": "sku",
}


def uuid5(namespace: bytes, name: str) -> bytes:
    digest = bytearray(hashlib.sha1(namespace + name.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


def base32(data: bytes, characters: int) -> str:
    bits = "".join(f"{byte:08b}" for byte in data)
    groups = (int(bits[5 * n : 5 * n + 5], 2) for n in range(characters))
    return "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[group] for group in groups)


def action_id(rule: str, cycle: date, subject: str) -> str:
    (action,) = identity.action_ids("NG", rule, cycle, pl.Series([subject]))
    return str(action)


def reference(action: str) -> str:
    (text,) = identity.references("NG", pl.Series([action]))
    return str(text)


@pytest.mark.parametrize(("rule", "name"), NAMES.items())
def test_an_action_is_named_as_the_rulebook_says(rule: str, name: str) -> None:
    expected = uuid5(uuid5(NAMESPACE_URL, "vibes"), name)
    action = action_id(rule, CYCLE, "X-1")
    assert action == str(UUID(bytes=expected))
    assert reference(action) == f"NG-{base32(expected, 8)}"


def test_an_action_and_its_reference_never_change() -> None:
    # Mails and claims quote them for years; a change here is a break with all of them.
    action = action_id("returns_charge", CYCLE, "90112437")
    assert action == "4263b6f1-dc46-5a34-9082-0a538f0d834a"
    assert reference(action) == "NG-IJR3N4O4"


@given(st.sampled_from(sorted(NAMES)), st.dates(), st.dates(), st.text())
def test_a_rule_strikes_an_item_once_and_any_other_subject_once_a_cycle(
    rule: str, one: date, other: date, subject: str
) -> None:
    is_one_action = action_id(rule, one, subject) == action_id(rule, other, subject)
    assert is_one_action == (one == other or rule not in SUBJECTS)


def test_notices_and_postings_of_different_things_have_different_ids() -> None:
    actions = pl.Series([action_id("returns_charge", CYCLE, "X-1")])
    ids = {
        *identity.notice_ids("NG", "weekly_alert", CYCLE, pl.Series(["S-1", "S-2"])),
        *identity.notice_ids("NG", "weekly_implementation", CYCLE, pl.Series(["S-1"])),
        *identity.notice_ids("NG", "weekly_alert", date(2026, 11, 16), pl.Series(["S-1"])),
        *identity.notice_ids("KE", "weekly_alert", CYCLE, pl.Series(["S-1"])),
        *identity.posting_ids(actions, "debit"),
        *identity.posting_ids(actions, "reversal"),
    }
    assert len(ids) == 7


def test_notices_and_postings_keep_their_ids() -> None:
    # They are in the ledger: with others, a rerun would tell and post everything once more.
    action = action_id("returns_charge", CYCLE, "90112437")
    (notice,) = identity.notice_ids("NG", "weekly_alert", CYCLE, pl.Series(["S-1"]))
    (posting,) = identity.posting_ids(pl.Series([action]), "debit")
    for made, name in ((notice, "NG|weekly_alert|2026-11-09|S-1"), (posting, f"{action}|debit")):
        assert made == str(UUID(bytes=uuid5(uuid5(NAMESPACE_URL, "vibes"), name)))


@given(st.lists(st.text(), max_size=5))
def test_each_subject_of_a_column_has_its_own_id_in_its_place(subjects: list[str]) -> None:
    found = identity.action_ids("NG", "returns_charge", CYCLE, pl.Series(subjects, dtype=pl.String))
    assert found.to_list() == [action_id("returns_charge", CYCLE, each) for each in subjects]
