"""A small good marketplace in which every rule fires, as rows whose instants are plain numbers.

Here belong what happens in it and how its rows are held: an instant is an integer, microseconds
since 1970 in UTC, so that a mutation can write one that no calendar has. Every id begins with the
marketplace's prefix; marketplaces of several prefixes lie in one warehouse without touching.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rules.marketplace import Item, Marketplace

from vibes_pipeline.warehouse.contract import CONTRACT, INSTANT, MONEY

Row = dict[str, Any]
Tables = dict[str, list[Row]]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def world(prefix: str = "") -> Tables:
    """The marketplace's tables, `raw.loads` among them."""
    made = _Made(prefix)
    made.calm()
    made.busy()
    made.shoddy()
    made.claimant()
    made.new()
    made.accused()
    return made.tables()


def micros(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - EPOCH) // timedelta(microseconds=1)


def instant(at: int) -> datetime:
    """The instant of a number of microseconds within Python's years."""
    return EPOCH + timedelta(microseconds=at)


class _Made:
    """One marketplace in the making."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.market = Marketplace()

    def id(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def seller(self, name: str, *products: str, **columns: object) -> None:
        email = f"{self.prefix}{name}@shop.example".lower()
        self.market.seller(seller_id=self.id(name), **{"email": email, **columns})
        for product in products or ("K",):
            kind = "Fashion" if product.startswith("F") else "GM"
            sku = self.id(f"{name}-{product}")
            self.market.product(self.id(name), sku=sku, product_type=kind)

    def item(self, seller: str, name: str, product: str = "K", **columns: str) -> str:
        item = self.id(f"{seller}-{name}")
        given: Mapping[str, str | None] = {
            "order_item_id": item,
            "order_number": f"O-{item}",
            "customer_id": f"C-{item}",
            "seller_id": self.id(seller),
            "sku": self.id(f"{seller}-{product}"),
            **columns,
        }
        self.market.item(given)
        return item

    def shipped(self, seller: str, name: str, week: int, product: str = "K", **more: str) -> str:
        """An item of that week, shipped and delivered in time unless it is told otherwise."""
        given = Item(
            pending_at=f"Mon{week:+} 09:00",
            ready_to_ship_at=f"Mon{week:+} 10:00",
            shipped_at=f"Mon{week:+} 11:00",
        )
        if "rejected_at" not in more:
            given["delivered_at"] = f"Mon{week:+} 18:00"
        return self.item(seller, name, product, **{**given, **more})

    def claim(self, name: str, seller: str, item: str, raised_at: str, **columns: Any) -> None:
        given = {
            "claim_id": self.id(name),
            "category": "vibes_action",
            "seller_id": self.id(seller),
            "shop_name": seller,
            "country": "NG",
            "order_number": f"O-{item}",
            "comment": "It was not our fault.",
            "raised_at": raised_at,
            **columns,
        }
        self.market.add("claims", given["claim_id"], given)

    # --- who is in it -----------------------------------------------------------------------------

    def calm(self) -> None:
        """A seller to whom nothing happens."""
        self.seller("calm")
        for week in (-1, 0, 1):
            for n in range(2):
                self.shipped("calm", f"{week}{n}", week)

    def busy(self) -> None:
        """Sales lost for want of stock every week, items ready too late, items never moved on."""
        self.seller("busy")
        for week in (-1, 0, 1):
            for n in range(3):
                self.shipped("busy", f"kept{week}{n}", week)
            for n in range(2):
                self.lost("busy", f"lost{week}{n}", week, commission=f"{700 + n}.50")
        for week in (-1, 0):
            self.item(
                "busy",
                f"slow{week}",
                pending_at=f"Mon{week:+} 09:00",
                ready_to_ship_at=f"Wed{week:+} 10:00",
                shipped_at=f"Wed{week:+} 11:00",
            )
        self.item(
            "busy",
            "slow-then-lost",
            commission="400.00",
            pending_at="Thu-1 09:00",
            cancelled_at="Tue 09:00",
            cancel_reason="out_of_stock",
        )
        for n in range(2):
            self.item("busy", f"waits{n}", pending_at="Wed 09:00")
            self.item("busy", f"ready{n}", pending_at="Wed 07:00", ready_to_ship_at="Wed 09:30")

    def lost(self, seller: str, name: str, week: int, **more: str) -> str:
        return self.item(
            seller,
            name,
            pending_at=f"Mon{week:+} 09:00",
            ready_to_ship_at=f"Mon{week:+} 10:00",
            cancelled_at=f"Tue{week:+} 10:00",
            cancel_reason="out_of_stock",
            **more,
        )

    def shoddy(self) -> None:
        """Poor goods: returns for each reason, failed checks, counterfeits, unwanted products.

        Of these one comes to its fourth occurrence in the observed week, one in the week before.
        """
        self.seller("shoddy", "K", "K0", "K1", "F")
        for product, weeks in (("K0", (-3, -2, -1, 0)), ("K1", (-3, -2, -1))):
            for week in weeks:
                for n in range(2):
                    at = f"Tue{week:+} 10:00"
                    self.shipped("shoddy", f"no-{product}{week}{n}", week, product, rejected_at=at)
        for n in range(2):
            back = {"returned_at": "Tue-1 10:00", "return_reason": "defective_item"}
            self.shipped("shoddy", f"backF{n}", -2, "F", **back)
        for week in (-1, 0):
            for n, reason in enumerate(("wrong_item", "defective_item", "used_refurbished")):
                back = {"returned_at": f"Thu{week:+} 1{n}:00", "return_reason": reason}
                self.shipped("shoddy", f"back{week}{n}", -3, **back)
                self.market.check(
                    self.shipped("shoddy", f"checked{week}{n}", week),
                    qc_id=self.id(f"Q{week}{n}"),
                    checked_at=f"Tue{week:+} 1{n}:00",
                    failure_reason=reason,
                )
            self.market.counterfeit_case(
                self.shipped("shoddy", f"fake{week}", -2),
                case_id=self.id(f"F{week}"),
                notified_at=f"Mon{week:+} 10:00",
                proven_at=f"Fri{week:+} 10:00",
            )
        passed = self.shipped("shoddy", "passed", 0)
        self.market.check(passed, qc_id=self.id("Q-passed"), result="passed")

    def claimant(self) -> None:
        """One on Jumia Express who claims: upheld, rejected, decided only in the end.

        Of all claims only the first is of a seller with a regulation, which is computed again.
        """
        self.seller("claimant", is_jumia_express=True)
        items = {n: self.lost("claimant", f"lost{n}", -1 if n < 3 else 0) for n in range(1, 5)}
        upheld = {"decision": "upheld", "decided_by": "P-1"}
        rejected = {"decision": "rejected", "decided_by": "P-1"}
        of_busy = self.id("busy-lost-10")
        self.claim("C-0", "busy", of_busy, "Thu 10:00", decided_at="Fri 09:00", **upheld)
        self.claim("C-1", "claimant", items[1], "Thu 10:00", decided_at="Fri 10:00", **rejected)
        self.claim("C-2", "claimant", items[2], "Thu 10:00", decided_at="Tue+1 10:00", **upheld)
        self.claim("C-3", "claimant", items[3], "Thu+1 10:00", decided_at="Sun+1 10:00", **upheld)
        fake = self.shipped("claimant", "fake", -2)
        self.market.counterfeit_case(
            fake, case_id=self.id("F-claimed"), notified_at="Tue 10:00", proven_at="Fri 10:00"
        )
        self.claim(
            "C-4",
            "claimant",
            fake,
            "Wed 10:00",
            category="counterfeit",
            sku=self.id("claimant-K"),
            attachments=["brand.pdf", "authenticity.pdf"],
            decided_at="Sun+1 10:00",
            **rejected,
        )

    def new(self) -> None:
        """One in the first 30 days."""
        self.seller("new", onboarded_at="Mon-2 09:00")
        for n in range(2):
            self.lost("new", f"lost{n}", 0)

    def accused(self) -> None:
        """An account that a person decides to delist."""
        self.seller("accused")
        self.shipped(
            "accused", "back", -3, returned_at="Tue-1 10:00", return_reason="used_refurbished"
        )
        for n in range(2):
            self.shipped("accused", f"kept{n}", 0)
        self.market.account_decision(
            self.id("accused"), "Mon+1 10:00", decision_id=self.id("D-1"), decided_by="P-1"
        )

    def tables(self) -> Tables:
        """The rows with instants as numbers and money as decimals."""
        tables = {
            name: [self._row(name, row) for row in rows] for name, rows in self.market.raw.items()
        }
        complete = micros(self.market.at("Mon+8 00:00"))
        tables["loads"] = [
            {"table_name": name, "loaded_through": complete} for name in self.market.raw
        ]
        return tables

    def _row(self, table: str, row: Row) -> Row:
        types = CONTRACT[table].columns
        return {name: self._value(types[name], value) for name, value in row.items()}

    def _value(self, type_: str, value: Any) -> Any:
        if value is None:
            return None
        if type_ == INSTANT:
            return micros(self.market.at(value))
        return Decimal(value) if type_ == MONEY else value


def together(*worlds: Tables) -> Tables:
    """Several marketplaces in one warehouse; of `raw.loads` the first's."""
    tables = {name: [row for one in worlds for row in one[name]] for name in worlds[0]}
    return {**tables, "loads": worlds[0]["loads"]}
