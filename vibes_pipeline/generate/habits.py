"""How a made marketplace behaves: demand, shops' temperaments, prices, faults.

Every number that may be tuned stands here. The numbers describe people and shops, never the
programme's rules: a change of the policy changes nothing here. Shares are probabilities from 0 to
1, durations hours or days as their names say.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Temperament:
    """One way of running a shop. `share` is its share of all sellers; the others are of items."""

    name: str
    share: float
    out_of_stock: float
    late: float
    slow_to_ship: float
    quality_return: float
    rejection: float
    qc_failure: float
    counterfeit: float = 0.0
    # How many of a shop's products, the best-selling first, are bad enough to be regulated.
    faulty_products: int = 0


TEMPERAMENTS = (
    Temperament("steady", 0.62, 0.004, 0.008, 0.006, 0.004, 0.008, 0.002),
    Temperament("stretched", 0.14, 0.022, 0.030, 0.020, 0.005, 0.009, 0.004),
    Temperament("careless", 0.09, 0.045, 0.060, 0.040, 0.008, 0.012, 0.008),
    Temperament("failing", 0.06, 0.110, 0.120, 0.080, 0.008, 0.012, 0.010),
    Temperament("shoddy", 0.06, 0.006, 0.010, 0.008, 0.010, 0.015, 0.030, 0.0, 2),
    Temperament("doubtful", 0.03, 0.010, 0.015, 0.010, 0.030, 0.010, 0.020, 0.030),
)


@dataclass(frozen=True)
class Fault:
    """What is wrong with a bad product: the share rejected at the door, the share returned."""

    rejection: float
    quality_return: float


FAULTS = (Fault(0.30, 0.01), Fault(0.01, 0.35), Fault(0.25, 0.30))


@dataclass(frozen=True)
class Category:
    """A department: its code in SKUs, product type, middle price and commission share."""

    code: str
    name: str
    product_type: str
    median_price: int
    commission_share: float
    nouns: tuple[str, ...]


CATEGORIES = (
    Category(
        "PH", "Phones & Tablets", "GM", 70_000, 0.05, ("Smartphone", "Tablet", "Feature Phone")
    ),
    Category(
        "EL", "Electronics", "GM", 28_000, 0.08, ("Speaker", "Headset", "Power Bank", "TV Stick")
    ),
    Category(
        "HO", "Home & Kitchen", "GM", 9_000, 0.12, ("Kettle", "Pot Set", "Blender", "Bed Sheet")
    ),
    Category("BE", "Health & Beauty", "GM", 5_000, 0.15, ("Body Butter", "Perfume", "Hair Cream")),
    Category(
        "GR", "Groceries", "GM", 4_000, 0.10, ("Rice", "Palm Oil", "Cocoa Drink", "Noodles Carton")
    ),
    Category(
        "BA", "Baby Products", "GM", 7_000, 0.12, ("Diapers", "Feeding Bottle", "Baby Carrier")
    ),
    Category("SP", "Sporting Goods", "GM", 12_000, 0.12, ("Dumbbells", "Yoga Mat", "Football")),
    Category(
        "WF", "Women's Fashion", "Fashion", 8_000, 0.20, ("Dress", "Blouse", "Handbag", "Scarf")
    ),
    Category("MF", "Men's Fashion", "Fashion", 9_000, 0.18, ("Shirt", "Kaftan", "Polo", "Belt")),
    Category(
        "SH", "Shoes", "Fashion", 13_000, 0.16, ("Sandals", "Sneakers", "Loafers", "Slippers")
    ),
)


@dataclass(frozen=True)
class Habits:
    """The marketplace as a whole."""

    # Size: how many items a seller sells a week on average, if the caller names no number of items.
    items_per_seller_week: int = 15
    items_per_customer: int = 3
    # Exponents of the power laws that give the first sellers and products most of the sales.
    seller_skew: float = 2.2
    product_skew: float = 2.0
    products_per_seller: tuple[int, int] = (3, 24)
    faulty_products_per_seller: tuple[int, int] = (2, 4)
    home_category: float = 0.75
    chance_fault: float = 0.008
    fashion_factor: float = 1.6

    # Prices, in the policy's currency: log-normal about the category's median, within bounds.
    price_sigma: float = 0.9
    lowest_price: int = 500
    highest_price: int = 400_000
    deepest_discount: float = 0.10

    # Orders: the chance that an order has a next item (it has at most four), and the chance that
    # the next item is another seller's. Then the demand by weekday, Monday first, and by hour.
    next_item: float = 0.30
    other_seller: float = 0.30
    demand_by_weekday: tuple[int, ...] = (15, 14, 14, 14, 16, 15, 12)
    demand_by_hour: tuple[int, ...] = (
        *(1, 1, 0, 0, 0, 1, 2, 4, 5, 6, 7, 7),
        *(7, 6, 6, 6, 6, 6, 6, 7, 6, 5, 3, 2),
    )

    # Why and when order items are cancelled; the share out of stock stands with the temperament.
    customer_request: float = 0.012
    payment_failed: float = 0.004
    wrong_order: float = 0.002
    other_cancellation: float = 0.002
    customer_request_hours: int = 36
    early_cancellation_hours: int = 6
    out_of_stock_hours: int = 20
    late_out_of_stock: float = 0.35
    late_out_of_stock_days: int = 6
    # A step that the seller does not do in time: the seller does it later the same day, or days
    # later; or the order system cancels the item that night; or (the rest) the item is forgotten.
    late_same_day: float = 0.50
    late_days: float = 0.14
    late_cancelled: float = 0.32
    # The order system cancels after this hour of the night, within so many minutes.
    cancelling_hour: int = 23
    cancelling_minutes: int = 20
    ready_median_hours: float = 3.0
    ship_median_hours: float = 6.0
    handling_sigma: float = 0.8
    handling_longest_hours: int = 16
    opening_hour: int = 7

    # After shipping.
    lost: float = 0.004
    delivery_days: tuple[int, int] = (2, 6)
    return_days: tuple[int, int] = (3, 14)
    other_return: float = 0.008
    wrong_item: float = 0.35
    defective_item: float = 0.50

    # Checks: a sample at drop-off; after a failure the seller brings a replacement, which may fail.
    qc_sampled: float = 0.05
    qc_failed_again: float = 0.20
    # Counterfeit cases: found days after delivery; proven, or not, days after the notification.
    counterfeit_by_chance: float = 0.0001
    counterfeit_found_days: tuple[int, int] = (2, 10)
    counterfeit_proven: float = 0.70
    counterfeit_proven_days: int = 4
    counterfeit_unnotified: float = 0.06

    # Claims: at least so many for each kind of trouble. Claims about bills are only about items
    # below this commission: their penalty is the commission itself.
    fewest_claims_per_trouble: int = 5
    small_commission: int = 1_500

    # Sellers: one in so many of a temperament is on Jumia Express; one in so many of a temperament
    # is new; one in so many of all sellers cannot be reached by mail.
    express_every: int = 6
    newcomer_every: int = 7
    unreachable_every: int = 40
    longest_onboarded_days: int = 1500
    shortest_onboarded_days: int = 60

    # One row in so many is bad. If a week has on average fewer items than the second number, no row
    # is bad: one bad row would be too large a share.
    items_per_bad_row: int = 700
    fewest_weekly_items_for_bad_rows: int = 500

    categories: tuple[Category, ...] = CATEGORIES
    temperaments: tuple[Temperament, ...] = TEMPERAMENTS
