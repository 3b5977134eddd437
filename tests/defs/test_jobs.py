"""The jobs themselves, run in this process: their checks block, and they give nobody away.

Each runs as the daemon would, over a real ledger; its event log is then read (Design §3, Dagster).
"""

from __future__ import annotations

import logging

import dagster as dg
import pytest
import sqlalchemy as sa
from cli import troubles
from defs.factory import Factory
from ledger import made

from vibes_pipeline.calendar import Slot
from vibes_pipeline.errors import StaleWarehouse, UsageError, VibesError
from vibes_pipeline.ledger import schema, views

TABLES = ("sellers", "products", "order_items", "dropoff_qc", "counterfeit_cases")
LOADED = dict.fromkeys((*TABLES, "account_decisions"), "Mon+1 00:00")


def is_one_clear_line(error: VibesError, *words: str) -> bool:
    text = str(error)
    return "\n" not in text and all(word in text for word in words)


# --- all is well ----------------------------------------------------------------------------------


def test_a_cycle_s_checks_pass_and_show_what_they_looked_at(factory: Factory) -> None:
    factory.market.loads = dict(LOADED)
    factory.alert()
    checks = factory.evaluations()
    assert all(check.passed for check in checks.values()), checks
    assert {name for name, check in checks.items() if check.blocking} >= {
        "is_complete_through_the_observed_week",
        "bad_rows_are_few",
        "every_action_is_decided_once",
        "no_charge_exceeds_its_rule",
    }
    assert checks["bad_rows_are_few"].metadata["bad_rows"].value == 0
    assert factory.materialized() >= {"ledger/frozen_cycle", "notices/weekly_alerts"}
    factory.market.loads["order_items"] = "Fri+1 09:00"
    factory.implement()
    checks = factory.evaluations()
    assert all(check.passed for check in checks.values()), checks
    assert {name for name, check in checks.items() if check.blocking} == {
        "warehouse_is_fresh",
        "evidence_is_there",
        "proposal_is_unchanged",
    }
    charges = sum(count for rule, count in troubles.ACTIONS.items() if rule in troubles.CHARGES)
    assert checks["evidence_is_there"].metadata["looked_up"].value == charges
    assert factory.events_in_ledger().count("implemented") == sum(troubles.ACTIONS.values())


def test_what_a_person_must_see_is_warned_of_by_id_and_the_alert_goes_out(
    factory: Factory,
) -> None:
    market = factory.market
    market.raw["sellers"][0]["email"] = None
    market.raw["order_items"][-1]["commission"] = "-1.00"
    bad = market.raw["order_items"][-1]["order_item_id"]
    # One of many, so that the share of bad rows is small.
    market.items(60, {**troubles.IN_TIME, "seller_id": "S-good", "sku": "K-good"})
    factory.alert()
    assert "alerted" in factory.events_in_ledger()
    checks = factory.evaluations()
    assert {name for name, check in checks.items() if not check.passed} == {
        "freshness_is_known",
        "every_notice_is_accepted",
        "nothing_is_set_aside",
    }

    # The warehouse does not say how fresh it is.
    assert checks["freshness_is_known"].severity is dg.AssetCheckSeverity.WARN

    # No mail reached a seller.
    check = checks["every_notice_is_accepted"]
    assert check.metadata["not_accepted"].value == 1
    assert check.metadata["sellers"].value == {"S-stockless": "undeliverable"}
    assert check.description == (
        f"1 of {troubles.SELLERS} sellers without an accepted notice (S-stockless): mend the "
        "addresses in raw.sellers of those failed or undeliverable, or send them anew with `vibes "
        "mail resend`; what is deferred or queued is tried again by itself."
    )
    assert (check.severity, check.blocking) == (dg.AssetCheckSeverity.ERROR, False), "for a person"

    # A row is set aside.
    check = checks["nothing_is_set_aside"]
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert (check.description or "").startswith(f"1 rows are set aside ({bad}): `vibes export")


# --- checks that block ----------------------------------------------------------------------------


def test_a_slot_that_is_not_due_is_refused(factory: Factory) -> None:
    with pytest.raises(UsageError) as refused:
        factory.alert("2026-11-18T06:59")
    assert str(refused.value) == (
        "weekly-alert of 2026-11-09 is due 2026-11-18 07:00; it is 2026-11-18 06:59"
    )
    assert not any(made.counts(factory.ledger).values())


def test_a_stale_warehouse_blocks_before_anything_is_computed(factory: Factory) -> None:
    factory.market.loads = {**LOADED, "order_items": "Sun 23:59"}
    with pytest.raises(StaleWarehouse) as stopped:
        factory.alert()
    assert is_one_clear_line(stopped.value, "raw.order_items (2026-11-15 23:59)", "load it and run")
    check = factory.evaluations()["is_complete_through_the_observed_week"]
    assert (check.passed, check.blocking) == (False, True)
    assert "raw.order_items (2026-11-15 23:59)" in (check.description or "")
    # The claims go first in every slot, also in one that then stops.
    assert factory.materialized() <= {"claims/settled_claims", "ledger/history"}
    assert not any(made.counts(factory.ledger).values())


def test_too_many_bad_rows_block_every_decision(factory: Factory) -> None:
    for item in factory.market.raw["order_items"][-2:]:
        item["commission"] = "-1.00"
    with pytest.raises(VibesError) as stopped:
        factory.alert()
    assert is_one_clear_line(stopped.value, "2 of the 82 order items", "2026-11-09", "mend the")
    check = factory.evaluations()["bad_rows_are_few"]
    assert (check.passed, check.blocking) == (False, True)
    assert (check.metadata["rows"].value, check.metadata["bad_rows"].value) == (82, 2)
    made_assets = factory.materialized()
    assert not [a for a in made_assets if a.startswith(("decisions/", "metrics/", "notices/"))]
    assert not any(made.counts(factory.ledger).values())


def test_a_warehouse_too_old_to_implement_on_blocks_before_anything_is_done(
    factory: Factory,
) -> None:
    factory.market.loads = {**LOADED, "order_items": "Fri+1 08:59"}
    factory.past_alert()
    with pytest.raises(StaleWarehouse) as stopped:
        factory.implement()
    assert is_one_clear_line(stopped.value, "raw.order_items (2026-11-20 08:59)", "run the slot")
    check = factory.evaluations()["warehouse_is_fresh"]
    assert (check.passed, check.blocking) == (False, True)
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert factory.materialized() == {"claims/settled_claims"}
    assert "implemented" not in factory.events_in_ledger()


def test_a_charge_that_awaits_its_evidence_is_warned_of_by_reference(factory: Factory) -> None:
    factory.past_alert()
    items = factory.market.raw["order_items"]
    (lost,) = [item for item in items if item["order_item_id"] == "I-back"]
    items.remove(lost)
    factory.implement()
    ((reference,),) = made.rows(factory.ledger, views.awaiting_evidence.c.reference)
    checks = factory.evaluations()
    check = checks["nothing_awaits_evidence"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert (check.description or "").startswith(
        f"1 of 6 open charges await their evidence ({reference})"
    )
    assert check.metadata["missing"].value == 1
    assert checks["evidence_is_there"].passed
    assert factory.events_in_ledger().count("implemented") == sum(troubles.ACTIONS.values()) - 1


def test_mass_loss_of_evidence_blocks_the_implementation_and_says_the_way_out(
    factory: Factory,
) -> None:
    seller = factory.market.seller(seller_id="S-many", email="many@shop.example")
    back = {"returned_at": "Tue 10:00", "return_reason": "wrong_item", "seller_id": seller}
    factory.market.items(10, {**troubles.OLD, **back})
    factory.past_alert()
    good = factory.market.raw["order_items"]
    factory.market.raw["order_items"] = []
    with pytest.raises(VibesError) as stopped:
        factory.implement()
    assert is_one_clear_line(stopped.value, "16 of the 16 actions", "load order_items again")
    check = factory.evaluations()["evidence_is_there"]
    assert (check.passed, check.blocking) == (False, True)
    assert check.description == str(stopped.value)
    assert "enforcement/implementation" not in factory.materialized()
    assert not {"implemented", "withdrawn"} & set(factory.events_in_ledger())

    factory.market.raw["order_items"] = good
    factory.past_implementation("2026-11-21T12:00")
    assert factory.events_in_ledger().count("implemented") >= 16


def tamper(factory: Factory, change: str) -> None:
    with factory.ledger.engine.begin() as connection:
        # As one would have to who wants to get round the triggers.
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(sa.text(change))


def test_a_proposal_that_was_tampered_with_is_not_implemented(factory: Factory) -> None:
    factory.past_alert()
    # By a kobo.
    tamper(
        factory, "UPDATE ledger.actions SET amount = amount - 0.01 WHERE rule = 'returns_charge'"
    )
    with pytest.raises(VibesError) as stopped:
        factory.implement()
    assert str(stopped.value) == (
        "the actions of cycle 2026-11-09 in the ledger are not those that were frozen; nothing is "
        "implemented until ledger.actions is restored from a backup"
    )
    check = factory.evaluations()["proposal_is_unchanged"]
    assert (check.passed, check.blocking) == (False, True)
    assert len(str(check.metadata["proposal_hash"].value)) >= 4
    assert set(factory.events_in_ledger()) == {"proposed", "alerted"}
    assert made.rows(factory.ledger, schema.postings.c.amount) == []


def test_one_whose_hash_was_tampered_with_is_not_implemented_either(factory: Factory) -> None:
    factory.past_alert()
    tamper(factory, "UPDATE ledger.cycles SET proposal_hash = 'none'")
    with pytest.raises(VibesError, match="the actions of cycle 2026-11-09 in the ledger are not"):
        factory.past_implementation()
    assert set(factory.events_in_ledger()) == {"proposed", "alerted"}
    assert made.rows(factory.ledger, schema.postings.c.amount) == []


def test_an_older_proposal_that_was_tampered_with_is_not_implemented_either(
    factory: Factory,
) -> None:
    # Its charges, alerted a day late, are to be implemented with the next cycle's.
    before = made.CYCLE - made.WEEK
    factory.market = troubles.market(before.isoformat())
    factory.past(Slot.WEEKLY_ALERT, "2026-11-12T12:00", before)
    factory.past(Slot.WEEKLY_IMPLEMENTATION, "2026-11-14T09:00", before)
    factory.past_alert()
    tamper(factory, "UPDATE ledger.actions SET amount = 9999 WHERE rule = 'returns_charge'")
    with pytest.raises(VibesError, match="the actions of cycle 2026-11-02 in the ledger are not"):
        factory.past_implementation()
    assert made.rows(factory.ledger, schema.postings.c.amount) == []


# --- nobody is given away -------------------------------------------------------------------------

MARK = "Zanzibari"


def test_no_name_or_address_is_in_any_event_or_log_line(
    factory: Factory, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    market = factory.market
    for number, seller in enumerate(market.raw["sellers"]):
        seller["shop_name"] = f"{MARK} shop {number}"
        seller["email"] = f"{MARK}{number}@shop.example"
    market.raw["sellers"][1]["email"] = f"{MARK} at home"  # undeliverable
    for item in market.raw["order_items"]:
        item["customer_id"] = f"{MARK} customer {item['customer_id']}"
    for decision in market.raw["account_decisions"]:
        decision["decided_by"] = decision["reason"] = f"{MARK} decided"
    # Rows set aside keep their stored row; that must not show either.
    market.seller(seller_id="S-bad", shop_name=f"{MARK} bad", email=f"{MARK}@bad.example")
    market.raw["sellers"].append(dict(market.raw["sellers"][-1]))

    factory.alert()
    logged = [repr(entry) for entry in factory.log()]
    factory.implement()
    logged += [repr(entry) for entry in factory.log()]

    assert factory.events_in_ledger().count("implemented") > 0
    assert factory.evaluations(), "the log is there to be read"
    assert any("S-stockless" in line for line in logged), "ids are there"
    told = capfd.readouterr()
    assert MARK not in "\n".join((*logged, caplog.text, told.out, told.err))
    mails = [mail.read_text() for mail in (factory.folder / "home" / "mail" / "new").iterdir()]
    assert all(MARK in mail for mail in mails), "the marks are in the mails, so they were there"
