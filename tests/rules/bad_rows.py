"""Every kind of bad row: how it comes into a marketplace, and the faults that it must be set aside with.

Here belong the rows alone, table by table (Rulebook §13); what becomes of them is tested in
`test_bad_rows`.
"""

from __future__ import annotations

from rules.marketplace import Case, Item, Marketplace

from vibes_pipeline.warehouse.contract import LONGEST_ID

# Ids that no row may bear, of whatever table, with what is told of them; null is told apart.
BAD_IDS = {
    "": "is empty",
    " \t\n": "is empty",
    "\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{HANGUL FILLER}\N{BRAILLE PATTERN BLANK}": "is empty",
    "N\0L": "holds a NUL character",
    "x" * (LONGEST_ID + 1): "is too long",
}
# Odd ids that are good, and no two of them the same.
ODD_IDS = (
    "A|B",
    "a|b",
    "A|B ",
    "\tA|B",
    "A\N{ZERO WIDTH SPACE}|B",
    "₦-😀",
    "caf\u00e9",
    "cafe\u0301",
    "x" * LONGEST_ID,
)
BAD_COUNTRIES = {
    None: "country is null",
    "": "country is empty",
    "\N{NO-BREAK SPACE}": "country is empty",
    **dict.fromkeys(
        ("ng", "Ng", "Nigeria", " NG", "NG ", "NG\n", "N", "ÑG", "N1"),
        "country is not two capital letters",
    ),
}

UNKNOWN_SELLER = "seller is unknown or set aside"
UNKNOWN_ITEM = "order item is unknown or set aside"


def add_every_kind(marketplace: Marketplace) -> None:
    """Every bad row of every table, beside good ones."""
    marketplace.seller(seller_id="good seller")
    marketplace.product("good seller", sku="good sku")
    marketplace.seller(seller_id="other seller")
    marketplace.product("other seller", sku="other's sku")
    marketplace.item(
        Item(
            order_item_id="good item",
            seller_id="good seller",
            sku="good sku",
            delivered_at="Tue 10:00",
        )
    )
    for add in (add_sellers, add_products, add_items, add_checks, add_cases, add_decisions):
        add(marketplace)
    for row_id in (*BAD_IDS, *ODD_IDS):
        marketplace.seller(seller_id=row_id)
        marketplace.product("good seller", sku=row_id)
        marketplace.item(Item(order_item_id=row_id, seller_id="good seller", sku="good sku"))
        marketplace.check("good item", qc_id=row_id)
        marketplace.counterfeit_case("good item", case_id=row_id)
        marketplace.account_decision("other seller", "Tue 10:00", decision_id=row_id)


# --- sellers and products -------------------------------------------------------------------------


def add_sellers(marketplace: Marketplace) -> None:
    marketplace.seller(seller_id=None, shop_name="no id")
    marketplace.seller(seller_id="twice")
    marketplace.seller(seller_id="twice", country="KE")
    for country in BAD_COUNTRIES:
        marketplace.seller(seller_id=f"of {country!r}", country=country)
    marketplace.seller(seller_id="no address", email=None, shop_name=None, is_jumia_express=None)
    marketplace.seller(seller_id="of Kenya", country="KE", onboarded_at="1900-01-01T00:00")


def add_products(marketplace: Marketplace) -> None:
    marketplace.product("good seller", sku=None)
    marketplace.product("good seller", sku="same sku")
    marketplace.product("other seller", sku="same sku")
    marketplace.product("nobody", sku="of nobody")
    marketplace.product("twice", sku="of a bad seller")
    marketplace.product(None, sku="without seller")
    marketplace.product("good seller", sku="without type", product_type=None)
    marketplace.product("good seller", sku="of an unknown type", product_type="fashion")
    marketplace.product("good seller", sku="nameless", product_name=None, category=None)
    marketplace.product("of Kenya", sku="of Kenya", product_type="whatever")
    marketplace.product("nobody", sku="both wrong", product_type="whatever")


SMALL_TABLES = [
    Case("sellers: without id", None, ["seller_id is null"]),
    Case("sellers: twice", "twice", ["seller_id occurs more than once"] * 2),
    *(
        Case(f"sellers: country {country!r}", f"of {country!r}", [fault])
        for country, fault in BAD_COUNTRIES.items()
    ),
    Case("sellers: no address", "no address", []),
    Case("sellers: of Kenya", "of Kenya", []),
    Case("products: without id", None, ["sku is null"]),
    Case("products: same sku", "same sku", ["sku occurs more than once"] * 2),
    Case("products: of nobody", "of nobody", [UNKNOWN_SELLER]),
    Case("products: of a bad seller", "of a bad seller", [UNKNOWN_SELLER]),
    Case("products: without seller", "without seller", [UNKNOWN_SELLER]),
    Case("products: without type", "without type", ["product_type is not a listed one"]),
    Case(
        "products: of an unknown type", "of an unknown type", ["product_type is not a listed one"]
    ),
    Case("products: nameless", "nameless", []),
    Case("products: of Kenya", "of Kenya", []),
    Case(
        "products: both wrong",
        "both wrong",
        [f"{UNKNOWN_SELLER}; product_type is not a listed one"],
    ),
]

# --- checks, cases, decisions ---------------------------------------------------------------------


def add_checks(marketplace: Marketplace) -> None:
    marketplace.check("good item", qc_id="good check")
    marketplace.check("good item", qc_id="passed", result="passed")
    marketplace.check("good item", qc_id=None)
    marketplace.check("good item", qc_id="same check")
    marketplace.check("other item", qc_id="same check")
    marketplace.check("no such item", qc_id="of no item")
    marketplace.check(None, qc_id="of null")
    marketplace.check("negative price", qc_id="of a bad item")
    marketplace.check("good item", qc_id="at no time", checked_at=None)
    marketplace.check("good item", qc_id="without result", result=None)
    marketplace.check("good item", qc_id="of an unknown result", result="FAILED")
    marketplace.check("good item", qc_id="without reason", failure_reason=None)
    marketplace.check("good item", qc_id="for an unknown reason", failure_reason="change_of_mind")
    marketplace.check("item of Kenya", qc_id="of Kenya", result=None)


def add_cases(marketplace: Marketplace) -> None:
    marketplace.counterfeit_case("good item", case_id="good case")
    marketplace.counterfeit_case("good item", case_id="open", notified_at=None, proven_at=None)
    marketplace.counterfeit_case("good item", case_id=None)
    marketplace.counterfeit_case("good item", case_id="same case")
    marketplace.counterfeit_case("good item", case_id="same case")
    marketplace.counterfeit_case("no such item", case_id="of no item")
    marketplace.counterfeit_case(None, case_id="of null")
    marketplace.counterfeit_case("negative price", case_id="of a bad item")
    marketplace.counterfeit_case("good item", case_id="before 2016", notified_at="2015-12-31T23:59")
    marketplace.counterfeit_case("good item", case_id="in 2016", notified_at="2016-01-01T00:00")
    marketplace.counterfeit_case(
        "good item", case_id="long ago", notified_at="2015-12-31", proven_at="2015-12-31"
    )
    marketplace.counterfeit_case("item of Kenya", case_id="of Kenya")


def add_decisions(marketplace: Marketplace) -> None:
    marketplace.account_decision("good seller", "Tue 10:00", decision_id="good decision")
    marketplace.account_decision("good seller", "Tue 10:00", decision_id=None)
    marketplace.account_decision("good seller", "Tue 10:00", decision_id="same decision")
    marketplace.account_decision("other seller", "Tue 10:00", decision_id="same decision")
    marketplace.account_decision("nobody", "Tue 10:00", decision_id="of nobody")
    marketplace.account_decision("twice", "Tue 10:00", decision_id="of a bad seller")
    marketplace.account_decision(None, "Tue 10:00", decision_id="of null")
    marketplace.account_decision("good seller", "Tue 10:00", decision_id="none", decision=None)
    marketplace.account_decision("good seller", "Tue 10:00", decision_id="unknown", decision="ban")
    marketplace.account_decision("good seller", None, decision_id="at no time")
    marketplace.account_decision("of Kenya", "Tue 10:00", decision_id="of Kenya", decision=None)


SMALL_TABLES += [
    Case("dropoff_qc: good check", "good check", []),
    Case("dropoff_qc: passed, so without reason", "passed", []),
    Case("dropoff_qc: without id", None, ["qc_id is null"]),
    Case("dropoff_qc: same check", "same check", ["qc_id occurs more than once"] * 2),
    Case("dropoff_qc: of no item", "of no item", [UNKNOWN_ITEM]),
    Case("dropoff_qc: of null", "of null", [UNKNOWN_ITEM]),
    Case("dropoff_qc: of a bad item", "of a bad item", [UNKNOWN_ITEM]),
    Case("dropoff_qc: at no time", "at no time", ["checked_at is null"]),
    Case("dropoff_qc: without result", "without result", ["result is not a listed one"]),
    Case(
        "dropoff_qc: of an unknown result", "of an unknown result", ["result is not a listed one"]
    ),
    Case("dropoff_qc: without reason", "without reason", ["failed without a known reason"]),
    Case(
        "dropoff_qc: for an unknown reason",
        "for an unknown reason",
        ["failed without a known reason"],
    ),
    Case("dropoff_qc: of Kenya", "of Kenya", []),
    Case("counterfeit_cases: good case", "good case", []),
    Case("counterfeit_cases: open", "open", []),
    Case("counterfeit_cases: without id", None, ["case_id is null"]),
    Case("counterfeit_cases: same case", "same case", ["case_id occurs more than once"] * 2),
    Case("counterfeit_cases: of no item", "of no item", [UNKNOWN_ITEM]),
    Case("counterfeit_cases: of null", "of null", [UNKNOWN_ITEM]),
    Case("counterfeit_cases: of a bad item", "of a bad item", [UNKNOWN_ITEM]),
    Case("counterfeit_cases: notified when no holidays were listed", "before 2016", []),
    Case("counterfeit_cases: notified on the first listed day", "in 2016", []),
    Case("counterfeit_cases: proven when no holidays were listed", "long ago", []),
    Case("counterfeit_cases: of Kenya", "of Kenya", []),
    Case("account_decisions: good decision", "good decision", []),
    Case("account_decisions: without id", None, ["decision_id is null"]),
    Case(
        "account_decisions: same decision",
        "same decision",
        ["decision_id occurs more than once"] * 2,
    ),
    Case("account_decisions: of nobody", "of nobody", [UNKNOWN_SELLER]),
    Case("account_decisions: of a bad seller", "of a bad seller", [UNKNOWN_SELLER]),
    Case("account_decisions: of null", "of null", [UNKNOWN_SELLER]),
    Case("account_decisions: none", "none", ["decision is not a listed one"]),
    Case("account_decisions: unknown", "unknown", ["decision is not a listed one"]),
    Case("account_decisions: at no time", "at no time", ["decided_at is null"]),
    Case("account_decisions: of Kenya", "of Kenya", []),
]

# --- order items ----------------------------------------------------------------------------------

# All of the good seller and the good SKU, unless they say otherwise.
ITEMS: list[Case] = [
    Case("a good item is not set aside", Item(), []),
    Case("no order", Item(order_number=None), ["order_number is null"]),
    *(
        Case(f"of order {number!r:.20}", Item(order_number=number), [f"order_number {fault}"])
        for number, fault in BAD_IDS.items()
    ),
    *(
        Case(f"of the odd order {number!r:.20}", Item(order_number=number), [])
        for number in ODD_IDS
    ),
    Case(
        "unknown seller", Item(seller_id="nobody"), [f"{UNKNOWN_SELLER}; SKU is another seller's"]
    ),
    Case("no seller", Item(seller_id=None), [UNKNOWN_SELLER]),
    Case(
        "a seller set aside",
        Item(seller_id="twice", sku="of a bad seller"),
        [f"{UNKNOWN_SELLER}; SKU is unknown or set aside"],
    ),
    Case("unknown SKU", Item(sku="no such sku"), ["SKU is unknown or set aside"]),
    Case("no SKU", Item(sku=None), ["SKU is unknown or set aside"]),
    Case("a SKU set aside", Item(sku="same sku"), ["SKU is unknown or set aside"]),
    Case("another seller's SKU", Item(sku="other's sku"), ["SKU is another seller's"]),
    Case("never pending", Item(pending_at=None), ["pending_at is null"]),
    Case(
        "never pending, but shipped",
        Item(pending_at=None, shipped_at="Tue 10:00"),
        ["pending_at is null"],
    ),
    Case("no price", Item(item_price=None), ["item_price is null"]),
    Case("negative price", Item(item_price="-0.01"), ["item_price is negative"]),
    Case("a price of nothing is good", Item(item_price="0.00"), []),
    Case("no commission", Item(commission=None), ["commission is null"]),
    Case("negative commission", Item(commission="-0.01"), ["commission is negative"]),
    Case("a commission of nothing is good", Item(commission="0.00"), []),
    Case(
        "ready before it was pending",
        Item(ready_to_ship_at="Mon 08:59:59.999999"),
        ["ready_to_ship_at is before pending_at"],
    ),
    Case("ready at the same instant is good", Item(ready_to_ship_at="Mon 09:00"), []),
    Case(
        "shipped before it was pending",
        Item(shipped_at="Mon 08:00"),
        ["shipped_at is before pending_at"],
    ),
    Case(
        "delivered before it was pending",
        Item(delivered_at="Mon 08:00"),
        ["delivered_at is before pending_at"],
    ),
    Case(
        "cancelled before it was pending",
        Item(cancelled_at="Mon 08:00", cancel_reason="other"),
        ["cancelled_at is before pending_at"],
    ),
    Case(
        "rejected before it was pending",
        Item(rejected_at="Mon 08:00"),
        ["rejected_at is before pending_at"],
    ),
    Case(
        "returned before it was pending",
        Item(returned_at="Mon 08:00", return_reason="other"),
        ["returned_at is before pending_at"],
    ),
    Case(
        "shipped before it was ready is good",
        Item(shipped_at="Tue 10:00", ready_to_ship_at="Wed 10:00"),
        [],
    ),
    Case(
        "both delivered and rejected",
        Item(delivered_at="Tue 10:00", rejected_at="Wed 10:00"),
        ["both delivered and rejected"],
    ),
    Case(
        "both, one of them only after the slot's instant: judged as stored",
        Item(delivered_at="Tue 10:00", rejected_at="Sun+1 10:00"),
        ["both delivered and rejected"],
    ),
    Case(
        "delivered and returned is good",
        Item(delivered_at="Tue 10:00", returned_at="Wed 10:00", return_reason="wrong_item"),
        [],
    ),
    Case(
        "cancelled without reason",
        Item(cancelled_at="Tue 10:00"),
        ["cancelled_at without a known reason"],
    ),
    Case(
        "cancelled for an unknown reason",
        Item(cancelled_at="Tue 10:00", cancel_reason="Out of stock"),
        ["cancelled_at without a known reason"],
    ),
    Case(
        "cancelled without reason after the slot's instant: judged as stored",
        Item(cancelled_at="Sun+1 10:00"),
        ["cancelled_at without a known reason"],
    ),
    Case("a cancel reason without a cancellation is good", Item(cancel_reason="whatever"), []),
    Case(
        "returned without reason",
        Item(returned_at="Tue 10:00"),
        ["returned_at without a known reason"],
    ),
    Case(
        "returned for an unknown reason",
        Item(returned_at="Tue 10:00", return_reason="out_of_stock"),
        ["returned_at without a known reason"],
    ),
    Case("a return reason without a return is good", Item(return_reason="whatever"), []),
    Case(
        "several faults are all told",
        Item(sku=None, commission="-1.00", shipped_at="Mon 08:00", cancelled_at="Tue 10:00"),
        [
            "SKU is unknown or set aside; commission is negative; shipped_at is before pending_at; "
            "cancelled_at without a known reason"
        ],
    ),
]


def add_items(marketplace: Marketplace) -> None:
    good = Item(seller_id="good seller", sku="good sku")
    for sentence, item, _ in ITEMS:
        marketplace.item({**good, "order_item_id": sentence, **item})
    marketplace.item({**good, "order_item_id": None})
    marketplace.item({**good, "order_item_id": "same item"})
    marketplace.item({**good, "order_item_id": "same item", "order_number": "ANOTHER"})
    marketplace.item({**good, "order_item_id": "other item"})
    marketplace.item(
        Item(order_item_id="item of Kenya", seller_id="of Kenya", sku="of Kenya", commission=None)
    )
