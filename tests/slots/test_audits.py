"""What must hold of a proposal before it is frozen: each audit finds its fault, and only that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from ledger import made
from rules.marketplace import NIGERIA, Marketplace, amended

from vibes_pipeline.policy import Policy
from vibes_pipeline.slots import audits
from vibes_pipeline.slots.run import SlotRun

GOOD: Sequence[made.Action] = (
    *made.a_handful(),
    made.charge("S-1", "I4", rule="dropoff_qc_charge", amount="50000.00"),
    made.charge("S-1", "I5", rule="late_fulfilment_charge", amount="2500.00"),
    made.charge("S-1", "I6", amount="0.01", event_at=made.local("2026-11-15 23:59:59.999999")),
)


def run_of(folder: Path, policy: Policy = NIGERIA) -> SlotRun:
    return Marketplace(policy=policy).begin(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SlotRun:
    return run_of(tmp_path_factory.mktemp("audits"))


def at_fault(actions: Sequence[made.Action], run: SlotRun) -> dict[str, list[str]]:
    """The references that each audit gives, but for the audits that give none."""
    found = {
        a.__name__: a(made.proposal(actions), run)["reference"].to_list() for a in audits.AUDITS
    }
    return {name: references for name, references in found.items() if references}


def test_a_good_proposal_passes_every_audit(run: SlotRun) -> None:
    assert at_fault(GOOD, run) == {}


def test_a_proposal_of_nothing_passes_every_audit(run: SlotRun) -> None:
    assert at_fault([], run) == {}


def test_every_audit_says_what_must_hold() -> None:
    for audit in audits.AUDITS:
        assert (audit.__doc__ or "").endswith(".")


def charged(
    rule: str, amount: str, event_at: str = "2026-11-11 10:30"
) -> Callable[[], made.Action]:
    return lambda: made.charge("S-9", "I9", rule=rule, amount=amount, event_at=made.local(event_at))


def without(column: str, action: Callable[[], made.Action]) -> Callable[[], made.Action]:
    return lambda: {**action(), column: None}


def regulated(**changes: object) -> Callable[[], made.Action]:
    return lambda: {**made.sales_regulation("S-9", "SKU-9"), **changes}


RETURNED = charged("returns_charge", "1500.00")
SUBJECT, BOUND = "every_action_names_its_subject", "no_charge_exceeds_its_rule"
AMOUNT, OUTSIDE = "only_charges_bear_amounts", "no_event_lies_outside_the_cycle"
FAULTS = [
    pytest.param(without("seller_id", RETURNED), SUBJECT, id="a charge to nobody"),
    pytest.param(without("order_item_id", RETURNED), SUBJECT, id="a charge for no item"),
    pytest.param(without("order_number", RETURNED), SUBJECT, id="a charge without its order"),
    pytest.param(without("sku", RETURNED), SUBJECT, id="a charge without its SKU"),
    pytest.param(regulated(sku=None), SUBJECT, id="a regulation of no product"),
    pytest.param(regulated(seller_id=None), SUBJECT, id="a regulation of nobody's product"),
    pytest.param(without("amount", RETURNED), AMOUNT, id="a charge of no amount"),
    pytest.param(charged("returns_charge", "0.00"), AMOUNT, id="a charge of nothing"),
    pytest.param(charged("returns_charge", "-1500.00"), AMOUNT, id="a charge that is a gift"),
    pytest.param(regulated(amount=Decimal(1)), AMOUNT, id="a regulation with an amount"),
    pytest.param(charged("returns_charge", "50000.01"), BOUND, id="over the dearest return"),
    pytest.param(charged("dropoff_qc_charge", "50000.01"), BOUND, id="over the dearest failure"),
    pytest.param(charged("counterfeit_charge", "50000.01"), BOUND, id="over a counterfeit"),
    pytest.param(charged("out_of_stock_charge", "2500.01"), BOUND, id="over the cap"),
    pytest.param(charged("late_fulfilment_charge", "2500.01"), BOUND, id="over the lighter cap"),
    pytest.param(
        charged("returns_charge", "1500.00", "2026-11-16 00:00"), OUTSIDE, id="of the next week"
    ),
]


@pytest.mark.parametrize(("bad", "audit"), FAULTS)
def test_an_audit_gives_the_action_at_fault_and_no_other_audit_does(
    run: SlotRun, bad: Callable[[], made.Action], audit: str
) -> None:
    action = bad()
    assert at_fault([*GOOD, action], run) == {audit: [action["reference"]]}


def test_an_action_decided_twice_is_given_each_time(run: SlotRun) -> None:
    action = made.charge("S-9", "I9")
    assert at_fault([*GOOD, action, {**action, "amount": Decimal(1)}], run) == {
        "every_action_is_decided_once": [action["reference"]] * 2
    }


@pytest.mark.parametrize(
    ("event_at", "is_at_fault"),
    [
        pytest.param("2026-11-11 23:59:59", True, id="the old cap, to its last second"),
        pytest.param("2026-11-12 00:00", False, id="the new cap, from its first"),
    ],
)
def test_the_cap_is_that_of_the_event_s_local_day(
    tmp_path: Path, event_at: str, is_at_fault: bool
) -> None:
    policy = amended(tmp_path, ("out_of_stock_charge.cap", "2026-11-12", "3000"))
    action = made.charge(
        "S-9", "I9", rule="out_of_stock_charge", amount="3000.00", event_at=made.local(event_at)
    )
    found = at_fault([action], run_of(tmp_path / "run", policy))
    assert found == ({BOUND: [action["reference"]]} if is_at_fault else {})


def test_a_fault_is_found_among_late_data_of_another_offset(run: SlotRun) -> None:
    # The same instant as Monday 00:00 in Lagos, written otherwise.
    utc = datetime.fromisoformat("2026-11-15T23:00:00+00:00")
    action = made.charge("S-9", "I9", event_at=utc)
    assert at_fault([action], run) == {OUTSIDE: [action["reference"]]}
