"""Account reviews over several cycles and a real ledger: what came late is counted once (§8)."""

from __future__ import annotations

import sqlalchemy as sa
from slots.claims.cases import Desk
from slots.whole_slots import OLD, returned

from vibes_pipeline.ledger import schema


def reviews(desk: Desk, cycle: int) -> dict[str, tuple[int, int, int]]:
    """Returns, drop-off failures and counterfeits of each seller whom a cycle's alert lists."""
    frozen = desk.alert(cycle)
    r = schema.account_reviews.c
    rows = desk.rows(
        sa.select(r.seller_id, r.quality_returns, r.dropoff_failures, r.counterfeits).where(
            r.cycle == frozen.cycle
        )
    )
    return {seller: tuple(counts) for seller, *counts in rows}


def test_an_event_lists_its_seller_once_in_its_week_or_when_it_came_to_light(desk: Desk) -> None:
    desk.item("S-1", "open", OLD)  # its evidence window closes after the first alert
    desk.market.counterfeit_case("open", notified_at="Tue+1 10:00", proven_at="Sun 10:00")
    desk.item("S-1", "never told", OLD)
    desk.market.counterfeit_case("never told", notified_at=None, proven_at="Sun 10:00")
    desk.item("S-1", "back", returned())
    assert reviews(desk, 0) == {"S-1": (1, 0, 2)}
    desk.seller("S-2")
    desk.item("S-2", "back late", returned())
    desk.market.check(desk.item("S-2", "failed late", OLD)["order_item_id"], checked_at="Tue 10:00")
    desk.item("S-2", "proven late", OLD)
    for notified_at in ("Mon 10:00", None):
        desk.market.counterfeit_case("proven late", notified_at=notified_at, proven_at="Tue 10:00")
    assert reviews(desk, 1) == {"S-2": (1, 1, 1)}
    charged = desk.states("S-1")["counterfeit_charge", "open"]
    assert charged == "alerted", "in the cycle after that of its review"
    assert reviews(desk, 2) == {}
