"""The sellers of a made marketplace and their products: tables small enough to make row by row.

Sellers are numbered by rank, the biggest first; a seller's id does not show the rank.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import polars as pl

from vibes_pipeline.generate.habits import FAULTS, Category, Fault, Habits, Temperament
from vibes_pipeline.generate.words import (
    PRODUCT_WORDS,
    SHOP_FIRST,
    SHOP_KIND,
    SHOP_SECOND,
    UNREACHABLE_ADDRESSES,
)

# Steps of the golden ratio spread each temperament evenly over big and small sellers.
GOLDEN_STEP = (math.sqrt(5) - 1) / 2
WEEKS_NEW_BEFORE_START = 3
HOURS_PER_DAY = 24

PRODUCT_SCHEMA = {
    "product_index": pl.Int64,
    "rank": pl.Int64,
    "sku": pl.String,
    "seller_id": pl.String,
    "product_name": pl.String,
    "category": pl.String,
    "product_type": pl.String,
    "list_price": pl.Float64,
    "commission_share": pl.Float64,
    "rejection": pl.Float64,
    "quality_return": pl.Float64,
}
SELLER_SCHEMA = {
    "rank": pl.Int64,
    "seller_id": pl.String,
    "shop_name": pl.String,
    "email": pl.String,
    "is_jumia_express": pl.Boolean,
    "opens_week": pl.Int64,
    "onboarded_hours_before_start": pl.Int64,
    "temperament": pl.String,
    "out_of_stock": pl.Float64,
    "late": pl.Float64,
    "slow_to_ship": pl.Float64,
    "qc_failure": pl.Float64,
    "counterfeit": pl.Float64,
    "first_product": pl.Int64,
    "products": pl.Int64,
}


@dataclass(frozen=True)
class Roster:
    """`sellers` by SELLER_SCHEMA, one row per rank; `products` by PRODUCT_SCHEMA, sorted by rank: a
    seller's products are row `first_product` and the `products - 1` rows after it. `opens_week` is
    the week in which a newcomer begins to sell (0: the first one), null for all other sellers."""

    sellers: pl.DataFrame
    products: pl.DataFrame


def make_roster(sellers: int, weeks: int, habits: Habits, random: Random) -> Roster:
    """Make `sellers` sellers with their products, for a span of `weeks` weeks."""
    numbers = random.sample(range(1, sellers + 1), sellers)
    names = _shop_names(random)
    seen: Counter[str] = Counter()
    newcomers: list[int] = []
    seller_rows: list[dict[str, object]] = []
    product_rows: list[dict[str, object]] = []
    start = random.random()
    for rank, number in enumerate(numbers):
        temperament = _temperament((start + rank * GOLDEN_STEP) % 1, habits.temperaments)
        nth = seen[temperament.name]
        seen[temperament.name] += 1
        home = random.choice(habits.categories)
        products = _product_rows(rank, number, temperament, nth, home, habits, random)
        opens_week = None
        # Before a newcomer opens, its orders go to the next bigger seller, who is no newcomer.
        follows_newcomer = bool(newcomers) and newcomers[-1] == rank - 1
        if nth % habits.newcomer_every == 2 and rank > 0 and not follows_newcomer:
            opens_week = (2 * len(newcomers)) % (weeks + WEEKS_NEW_BEFORE_START)
            opens_week -= WEEKS_NEW_BEFORE_START
            newcomers.append(rank)
        shop_name = f"{next(names)} {random.choice(SHOP_KIND[home.code])}"
        seller_rows.append(
            {
                "rank": rank,
                "seller_id": _seller_id(number),
                "shop_name": shop_name,
                "email": _email(shop_name, rank, habits),
                "is_jumia_express": nth % habits.express_every == 1,
                "opens_week": opens_week,
                "onboarded_hours_before_start": _onboarded(opens_week, habits, random),
                "temperament": temperament.name,
                "out_of_stock": temperament.out_of_stock,
                "late": temperament.late,
                "slow_to_ship": temperament.slow_to_ship,
                "qc_failure": temperament.qc_failure,
                "counterfeit": temperament.counterfeit,
                "first_product": len(product_rows),
                "products": len(products),
            }
        )
        for product in products:
            product_rows.append({"product_index": len(product_rows), **product})
    return Roster(
        sellers=pl.DataFrame(seller_rows, schema=SELLER_SCHEMA),
        products=pl.DataFrame(product_rows, schema=PRODUCT_SCHEMA),
    )


def _seller_id(number: int) -> str:
    return f"S{number:05d}"


def _temperament(point: float, temperaments: tuple[Temperament, ...]) -> Temperament:
    for temperament in temperaments:
        if point < temperament.share:
            return temperament
        point -= temperament.share
    return temperaments[0]


def _shop_names(random: Random) -> Iterator[str]:
    """All pairs of words in a random order, then the same pairs with a number at the end."""
    pairs = [f"{first} {second}" for first in SHOP_FIRST for second in SHOP_SECOND]
    random.shuffle(pairs)
    yield from pairs
    turn = 2
    while True:
        yield from (f"{pair} {turn}" for pair in pairs)
        turn += 1


def _email(shop_name: str, rank: int, habits: Habits) -> str | None:
    turn, rest = divmod(rank, habits.unreachable_every)
    if rest == habits.unreachable_every // 4:
        return UNREACHABLE_ADDRESSES[turn % len(UNREACHABLE_ADDRESSES)]
    host = shop_name.lower().replace(" & ", "-and-").replace(" ", "-")
    return f"orders@{host}.example"


def _onboarded(opens_week: int | None, habits: Habits, random: Random) -> int:
    """Hours before the span's start; negative for a seller who joins later."""
    if opens_week is None:
        return random.randint(
            habits.shortest_onboarded_days * HOURS_PER_DAY,
            habits.longest_onboarded_days * HOURS_PER_DAY,
        )
    return -opens_week * 7 * HOURS_PER_DAY + random.randint(1, 3 * HOURS_PER_DAY)


def _product_rows(
    rank: int,
    number: int,
    temperament: Temperament,
    nth: int,
    home: Category,
    habits: Habits,
    random: Random,
) -> list[dict[str, object]]:
    faulty = temperament.faulty_products
    count = random.randint(
        *(habits.faulty_products_per_seller if faulty else habits.products_per_seller)
    )
    rows = []
    for position in range(count):
        category = (
            home if random.random() < habits.home_category else random.choice(habits.categories)
        )
        factor = habits.fashion_factor if category.product_type == "Fashion" else 1.0
        usual = Fault(temperament.rejection * factor, temperament.quality_return * factor)
        if position < faulty:
            fault = FAULTS[(nth + position) % len(FAULTS)]
        elif random.random() < habits.chance_fault:
            fault = random.choice(FAULTS)
        else:
            fault = usual
        rows.append(
            {
                "rank": rank,
                "sku": f"{category.code}{number:05d}-{position + 1:03d}",
                "seller_id": _seller_id(number),
                "product_name": f"{random.choice(PRODUCT_WORDS)} {random.choice(category.nouns)}",
                "category": category.name,
                "product_type": category.product_type,
                "list_price": _price(category, habits, random),
                "commission_share": category.commission_share,
                "rejection": fault.rejection,
                "quality_return": fault.quality_return,
            }
        )
    return rows


def _price(category: Category, habits: Habits, random: Random) -> float:
    price = random.lognormvariate(math.log(category.median_price), habits.price_sigma)
    return min(max(price, habits.lowest_price), habits.highest_price)
