"""Whatever claims come and whichever slots run, no promise about claims is broken (§2, §11).

Random courses over two sellers whose items bear every charge and both late cancellations: claims of
every category, about one's own orders and another's, raised and decided at any time; slots that run,
do not, or run twice. After every slot the promises are looked at, in the ledger itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from ledger.promises import PROMISES
from properties import courses
from slots.claims.cases import ITEMS, STATED, Desk, burden, new_desk, order, sku

from vibes_pipeline.ledger import schema, views

SELLERS = ("S-1", "S-2")

# Each slot with the moments of claims before it; at each moment the claims slot may run too.
MOMENTS = (
    "Wed 12:00",
    "Thu 12:00",
    "Tue+1 12:00",
    "Thu+1 12:00",
    "Mon+2 12:00",
    "Thu+2 12:00",
    "Mon+3 12:00",
)
COURSE: tuple[tuple[str, Callable[[Desk], object] | None], ...] = (
    (MOMENTS[0], None),
    ("Thu 06:00", lambda desk: desk.late_alert("Thu 06:00")),
    (MOMENTS[1], None),
    ("Thu 23:00", lambda desk: desk.late_cancel("Thu 23:00")),
    (MOMENTS[2], None),
    ("Wed+1 07:00", lambda desk: desk.alert(0)),
    (MOMENTS[3], None),
    ("Sat+1 09:00", lambda desk: desk.implement(0)),
    (MOMENTS[4], None),
    ("Wed+2 07:00", lambda desk: desk.alert(1)),
    (MOMENTS[5], None),
    ("Sat+2 09:00", lambda desk: desk.implement(1)),
    (MOMENTS[6], None),
)
RUN, SKIPPED, TWICE = "run", "skipped", "run twice"
FATES = st.lists(
    st.sampled_from([RUN, RUN, RUN, TWICE, SKIPPED]), min_size=len(COURSE), max_size=len(COURSE)
)
# What each rule rests on, in the words of the rulebook's table.
EVENTS = {
    "late_fulfilment_charge": {"lateness"},
    "dropoff_qc_charge": {"dropoff_qc"},
    "returns_charge": {"return"},
    "counterfeit_charge": {"counterfeit"},
    "out_of_stock_charge": {"stock"},
    "late_pending_cancellation": {"lateness"},
    "late_ready_to_ship_cancellation": {"lateness"},
    "order_regulation": {"stock", "lateness"},
    "sales_regulation": {"rejection", "return"},
}
ITEM_RULES = [rule for rule in EVENTS if not rule.endswith("_regulation")]
ALL_EVENTS = set().union(*EVENTS.values())


@dataclass(frozen=True)
class Raised:
    """A claim: whose, about whose item, when raised and, if ever, decided."""

    seller: str
    owner: str
    category: str
    item: str
    rule: str | None  # named as reason, or with `is_reference` the action's own
    is_reference: bool
    has_sku: bool
    raised: int
    waits: int | None
    decision: str
    amount: str

    @property
    def decided(self) -> int | None:
        return None if self.waits is None else min(self.raised + self.waits, len(MOMENTS) - 1)

    @property
    def states_sku(self) -> bool:
        return self.has_sku or self.category in ("counterfeit", "cancel_wrong_orders")

    @property
    def is_about_own_order(self) -> bool:
        is_own = self.owner in ("", self.seller)
        return is_own and not (self.is_reference and self.rule) and self.category != "bill_problem"

    @property
    def excuses(self) -> set[str]:
        """The events of a claim about an order, as the rulebook's table has them."""
        by_category = {
            "counterfeit": {"counterfeit"},
            "cancel_wrong_orders": {"stock", "lateness"},
            "seko_warehouse": {"lateness", "dropoff_qc"},
        }
        of_rule = EVENTS[self.rule] if self.rule else ALL_EVENTS
        return by_category.get(self.category, of_rule)

    def is_upheld_by(self, desk: Desk, now: datetime) -> bool:
        is_decided = self.decided is not None and desk.market.at(MOMENTS[self.decided]) <= now
        return is_decided and self.decision == "upheld"


CLAIMS = st.lists(
    st.builds(
        Raised,
        seller=st.sampled_from(SELLERS),
        owner=st.sampled_from((*SELLERS, "", "", "")),  # "" is the claimant's own
        category=st.sampled_from(sorted(STATED)),
        item=st.sampled_from(sorted(ITEMS)),
        rule=st.sampled_from((None, None, None, *EVENTS)),
        is_reference=st.booleans(),
        has_sku=st.booleans(),
        raised=st.integers(0, len(MOMENTS) - 1),
        waits=st.sampled_from((None, 0, 0, 1, 2, 3)),
        decision=st.sampled_from(["upheld", "upheld", "rejected"]),
        amount=st.sampled_from(["1000.00", "900.00", "3000.00"]),
    ),
    min_size=6,
    max_size=10,
)


@courses(2)
@given(claims=CLAIMS, fates=FATES)
def test_whatever_is_claimed_no_promise_is_broken(
    administration: sa.Engine, claims: list[Raised], fates: list[str]
) -> None:
    with new_desk(administration) as desk:
        for seller in SELLERS:
            burden(desk, seller)
        for number, claim in enumerate(claims):
            raise_claim(desk, f"C-{number}", claim)
        for (at, slot), fate in zip(COURSE, fates, strict=True):
            run = slot or (lambda desk, at=at: desk.settle(at))
            if fate == SKIPPED:
                continue
            run(desk)
            look(desk, claims, at)
            if fate == TWICE:
                before = desk.contents()
                run(desk)
                assert desk.contents() == before, f"{at} did something the second time"
        desk.settle(MOMENTS[-1])
        look(desk, claims, MOMENTS[-1])


def raise_claim(desk: Desk, claim_id: str, claim: Raised) -> None:
    owner = claim.owner or claim.seller
    columns: dict[str, object] = {"order_number": order(owner, claim.item)}
    if claim.states_sku:
        columns["sku"] = sku(owner, claim.item)
    if claim.category == "bill_problem":
        columns = {"amount": claim.amount}
    if claim.rule and claim.is_reference:
        struck = {"order_regulation": owner, "sales_regulation": f"{owner}-K3"}
        subject = struck.get(claim.rule, f"{owner}-{claim.item}")
        columns["action_reference"] = desk.reference(claim.rule, subject)
    elif claim.rule and claim.category == "vibes_action":
        columns["reason"] = claim.rule
    desk.claim(claim_id, claim.seller, claim.category, raised_at=MOMENTS[claim.raised], **columns)
    if claim.decided is not None:
        desk.decide(claim_id, claim.decision, MOMENTS[claim.decided])


# --- the promises ---------------------------------------------------------------------------------


def look(desk: Desk, claims: list[Raised], at: str) -> None:
    """After a slot, every promise holds."""
    now = desk.market.at(at)
    for promise, broken in PROMISES.items():
        assert desk.rows(sa.text(broken)) == [], f"broken after {at}: {promise}"
    assert list(unapplied(desk, now)) == [], f"left unapplied after {at}"
    assert list(undone_by_others(desk)) == []
    assert list(standing_on_excused_events(desk, claims, now)) == []


def unapplied(desk: Desk, now: datetime) -> Iterator[str]:
    """Claims raised by now that are not taken in, or not in the state that was decided."""
    c = views.claim_states.c
    states = dict(desk.rows(sa.select(c.claim_id, c.state)))
    for row in desk.market.raw["claims"]:
        if desk.market.at(row["raised_at"]) > now:
            assert row["claim_id"] not in states, "taken in before it was raised"
            continue
        state = states.get(row["claim_id"])
        is_decided = bool(row.get("decided_at")) and desk.market.at(row["decided_at"]) <= now
        if (
            state is None
            or (state in ("upheld", "rejected")) != is_decided
            or (is_decided and state != row["decision"])
        ):
            yield row["claim_id"]


def undone_by_others(desk: Desk) -> Iterator[tuple[str, str]]:
    """Actions undone by a claim that the warehouse knows as another seller's, or not as upheld."""
    a, e = schema.actions.c, schema.action_events.c
    claims = {row["claim_id"]: row for row in desk.market.raw["claims"]}
    for reference, seller, claim_id in desk.rows(
        sa.select(a.reference, a.seller_id, e.claim_id)
        .join(schema.actions, a.action_id == e.action_id)
        .where(e.claim_id.is_not(None))
    ):
        claim = claims[claim_id]
        if (claim["seller_id"], claim["decision"]) != (seller, "upheld"):
            yield reference, claim_id


def standing_on_excused_events(
    desk: Desk, claims: list[Raised], now: datetime
) -> Iterator[tuple[str, str]]:
    """Charges and late cancellations that stand though a claim upheld by now excuses their event."""
    s = views.action_states.c
    standing = desk.rows(
        sa.select(s.seller_id, s.order_number, s.sku, s.order_item_id, s.rule).where(
            s.rule.in_(ITEM_RULES), s.state.in_(("proposed", "alerted", "implemented"))
        )
    )
    for claim in claims:
        if claim.is_about_own_order and claim.is_upheld_by(desk, now):
            of = (claim.seller, order(claim.seller, claim.item))
            for seller, number, product, item, rule in standing:
                is_product = not claim.states_sku or product == sku(seller, claim.item)
                if (seller, number) == of and is_product and EVENTS[rule] & claim.excuses:
                    yield rule, item
