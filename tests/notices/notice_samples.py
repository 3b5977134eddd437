"""Made notices for tests, one action of each rule at hand; run as a script it writes mails out."""

from __future__ import annotations

import base64
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from vibes_pipeline.notices.content import Notice, NoticeAction, Programme
from vibes_pipeline.notices.message import compose, render
from vibes_pipeline.notices.programme import programme
from vibes_pipeline.policy import load_policy

SENDER = "VIBES programme <vibes@mail.example>"
PERIOD = date(2026, 11, 9)
TAKES_EFFECT_AT = datetime(2026, 11, 21, 8, tzinfo=UTC)
MESSAGE_DATE = datetime(2026, 11, 18, 6, tzinfo=UTC)
LATE_DAY = date(2026, 11, 18)
CANCELLED_AT = datetime(2026, 11, 18, 22, tzinfo=UTC)
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "samples")

PRODUCTS = (
    "Ladies’ block heel sandals, black, size 39",
    "Stainless steel electric kettle 1.8 l with automatic shut-off and boil-dry protection, silver",
    "Bluetooth earphones",
    "Men’s cotton shirt, long sleeve, white, XL",
    "Wall clock 30 cm",
)


def nigeria() -> Programme:
    return programme(load_policy("ng"), PERIOD)


def action(rule: str, number: int = 1, **changes: Any) -> NoticeAction:
    """An action of a rule; `number` tells apart its item, product and time."""
    action_id = uuid.uuid5(NAMESPACE, f"{rule}|{number}")
    made = NoticeAction(
        action_id=action_id,
        reference="NG-" + base64.b32encode(action_id.bytes).decode()[:8],
        rule=rule,
        seller_id="S-00042",
        sku=None,
        product_name=None,
        order_number=None,
        order_item_id=None,
        amount=None,
        currency="NGN",
        event_at=None,
        band=None,
        daily_order_limit=None,
        pending_to_shipped_limit=None,
        grounds=None,
        occurrence=None,
        evidence={},
    )
    return replace(made, **{**(OF_RULE | OF_LATE_RULE)[rule](number), **changes})


def notice(actions: Sequence[NoticeAction], **changes: Any) -> Notice:
    """A weekly alert with these actions."""
    made = Notice(
        notice_id=uuid.uuid5(NAMESPACE, "notice"),
        kind="weekly_alert",
        country="NG",
        period=PERIOD,
        seller_id="S-00042",
        shop_name="Lantern & Loom",
        address="owner@lantern-loom.example",
        actions=actions,
        takes_effect_at=TAKES_EFFECT_AT,
        implemented_at=None,
    )
    return replace(made, **changes)


def implemented(actions: Sequence[NoticeAction], **changes: Any) -> Notice:
    """The post-implementation mail of these actions."""
    return notice(
        actions,
        **{
            "kind": "weekly_implementation",
            "takes_effect_at": None,
            "implemented_at": TAKES_EFFECT_AT,
            **changes,
        },
    )


def late_alert(actions: Sequence[NoticeAction], **changes: Any) -> Notice:
    """The alert to orders that these actions will cancel."""
    return notice(
        actions,
        **{
            "kind": "late_alert",
            "period": LATE_DAY,
            "takes_effect_at": CANCELLED_AT,
            **changes,
        },
    )


def late_cancellation(actions: Sequence[NoticeAction], **changes: Any) -> Notice:
    """The mail after these actions cancelled their items."""
    return notice(
        actions,
        **{
            "kind": "late_cancellation",
            "period": LATE_DAY,
            "takes_effect_at": None,
            "implemented_at": CANCELLED_AT,
            **changes,
        },
    )


def _product(number: int) -> dict[str, Any]:
    return {
        "sku": f"LL{number:03d}FA0K7QZNAFAMZ",
        "product_name": PRODUCTS[number % len(PRODUCTS)],
    }


def _item(number: int) -> dict[str, Any]:
    return {
        **_product(number),
        "order_number": str(362_415_970 + 37 * number),
        "order_item_id": str(90_112_400 + number),
        "event_at": _event_at(number),
    }


def _event_at(number: int) -> datetime:
    return datetime(2026, 11, 9, 7, 12, tzinfo=UTC) + timedelta(minutes=131 * (number % 70))


def _order_regulation(number: int) -> dict[str, Any]:
    return {
        "band": 2,
        "daily_order_limit": 21,
        "pending_to_shipped_limit": 42,
        "evidence": {
            "cancelled_items": 23,
            "shipped_items": 301,
            "shipped_orders": 257,
            "fulfilment_days": 6,
        },
    }


def _commission(number: int, multiple: int) -> tuple[Decimal, dict[str, Any]]:
    commission = Decimal(450 + 60 * (number % 15))
    amount = min(multiple * commission, Decimal(2500))
    facts = {
        "commission": f"{commission:.2f}",
        "commission_multiple": f"{multiple}.0000",
        "cap": "2500.00",
        "pending_at": (_event_at(number) - timedelta(days=1)).isoformat(),
        "deadline_at": _event_at(number).isoformat(),
    }
    return amount.quantize(Decimal("0.01")), facts


def _out_of_stock(number: int) -> dict[str, Any]:
    amount, evidence = _commission(number, 2)
    evidence |= {"reason": "out_of_stock", "late_charge_deducted": "0.00"}
    return {**_item(number), "amount": amount, "evidence": evidence}


def _late_fulfilment(number: int) -> dict[str, Any]:
    amount, evidence = _commission(number, 1)
    return {**_item(number), "amount": amount, "evidence": evidence}


def _returns(number: int) -> dict[str, Any]:
    reason, amount = (
        ("wrong_item", "1500.00"),
        ("defective_item", "3000.00"),
        ("used_refurbished", "50000.00"),
    )[number % 3]
    return {**_item(number), "amount": Decimal(amount), "evidence": {"reason": reason}}


def _dropoff_qc(number: int) -> dict[str, Any]:
    return {
        **_item(number),
        "amount": Decimal("3000.00"),
        "evidence": {"reason": ("wrong_item", "defective_item")[number % 2]},
    }


def _counterfeit(number: int) -> dict[str, Any]:
    return {
        **_item(number),
        "amount": Decimal("50000.00"),
        "evidence": {
            "reason": "counterfeit",
            "case_id": f"CF-{1200 + number}",
            "notified_at": (_event_at(number) - timedelta(days=4)).isoformat(),
        },
    }


def _sales_regulation(number: int) -> dict[str, Any]:
    return {
        **_product(number),
        "grounds": ("rejection_rate,return_rate", "rejection_rate", "return_rate")[number % 3],
        "occurrence": (None, 2, 4)[number % 3],
        "evidence": {
            "product_type": "Fashion",
            "rejected_items": 9,
            "rejection_base_items": 104,
            "rejecting_customers": 8,
            "rejection_over_pct": "6.0000",
            "returned_items": 3,
            "return_base_items": 41,
            "returning_customers": 3,
            "return_over_pct": "4.0000",
        },
    }


def _product_delisting(number: int) -> dict[str, Any]:
    return {
        **_product(number),
        "evidence": {
            "occurrences": 4,
            "occurrence_cycles": "2026-08-31,2026-09-14,2026-10-05,2026-11-09",
            "delisted_from_occurrence": 4,
        },
    }


def _account_delisting(number: int) -> dict[str, Any]:
    return {
        "evidence": {
            "decision_id": f"AD-{number}",
            "decided_at": "2026-11-16T10:30:00+01:00",
            "quality_returns": 4,
            "dropoff_failures": 0,
            "counterfeits": 1,
        }
    }


def _late(number: int) -> dict[str, Any]:
    entered_at = datetime(2026, 11, 16, 22, 30, tzinfo=UTC) + timedelta(minutes=7 * (number % 200))
    deadline_at = entered_at + timedelta(days=1)
    return {
        **_item(number),
        "event_at": deadline_at,
        "evidence": {
            "entered_at": entered_at.isoformat(),
            "deadline_at": deadline_at.isoformat(),
        },
    }


OF_RULE: dict[str, Callable[[int], dict[str, Any]]] = {
    "account_delisting": _account_delisting,
    "order_regulation": _order_regulation,
    "product_delisting": _product_delisting,
    "sales_regulation": _sales_regulation,
    "counterfeit_charge": _counterfeit,
    "returns_charge": _returns,
    "dropoff_qc_charge": _dropoff_qc,
    "out_of_stock_charge": _out_of_stock,
    "late_fulfilment_charge": _late_fulfilment,
}
OF_LATE_RULE: dict[str, Callable[[int], dict[str, Any]]] = {
    "late_pending_cancellation": _late,
    "late_ready_to_ship_cancellation": _late,
}
CHARGES = ("out_of_stock_charge", "late_fulfilment_charge", "returns_charge", "dropoff_qc_charge")


def gallery() -> dict[str, Notice]:
    """Notices worth looking at, by name."""
    mixed = [
        action("order_regulation"),
        action("sales_regulation", 2),
        *(action("out_of_stock_charge", n) for n in range(3)),
        *(action("late_fulfilment_charge", n) for n in range(4, 6)),
        *(action("returns_charge", n) for n in range(2)),
        action("counterfeit_charge"),
    ]
    many = [
        action("order_regulation"),
        *(action("sales_regulation", n) for n in range(12)),
        *(action(CHARGES[n % 2 if n % 10 else 2], n, sku=f"SKU-{n % 90}") for n in range(450)),
    ]
    severe = [
        action("account_delisting"),
        action(
            "order_regulation",
            band=3,
            daily_order_limit=2,
            pending_to_shipped_limit=4,
            evidence={
                "cancelled_items": 41,
                "shipped_items": 86,
                "shipped_orders": 79,
                "fulfilment_days": 6,
            },
        ),
        *(action("sales_regulation", n) for n in range(3)),
        action("product_delisting", 2),
    ]
    pending, ready = OF_LATE_RULE
    late = [
        action(ready, 90),
        action(pending, 31),
        action(ready, 3, order_number="362416081"),
        action(pending, 4),
        action(pending, 120, order_number="362416081"),
    ]
    many_late = [action((pending, ready)[n % 3 // 2], n, sku=f"SKU-{n % 90}") for n in range(463)]
    return {
        "one": notice([action("out_of_stock_charge")]),
        "mixed": notice(mixed),
        "many": notice(many),
        "severe": notice(severe),
        "done": implemented(mixed),
        "severe_done": implemented(severe),
        "late": late_alert(late),
        "late_one": late_alert([action(ready, 41)]),
        "late_many": late_alert(many_late),
        "late_done": late_cancellation(late),
        "late_one_done": late_cancellation([action(pending, 41)]),
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in gallery().items():
        message = compose(made, nigeria(), SENDER, MESSAGE_DATE)
        _, text, html, _ = render(made, nigeria())
        (folder / f"{name}.txt").write_text(text)
        (folder / f"{name}.html").write_text(html)
        (folder / f"{name}.eml").write_bytes(message.content)
