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
from claims.cases import ITEMS, STATED, Desk, burden, new_desk, order, sku
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from vibes_pipeline.ledger import schema
from vibes_pipeline.policy import load_policy

SELLERS = ("S-1", "S-2")
EXAMPLES = 10

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
ITEM_RULES = (
    "late_fulfilment_charge",
    "dropoff_qc_charge",
    "returns_charge",
    "counterfeit_charge",
    "out_of_stock_charge",
    "late_pending_cancellation",
    "late_ready_to_ship_cancellation",
)


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


CLAIMS = st.lists(
    st.builds(
        Raised,
        seller=st.sampled_from(SELLERS),
        owner=st.sampled_from((*SELLERS, "")),  # "" is the claimant's own
        category=st.sampled_from(sorted(STATED)),
        item=st.sampled_from(sorted(ITEMS)),
        rule=st.sampled_from((None, *ITEM_RULES, "order_regulation", "sales_regulation")),
        is_reference=st.booleans(),
        has_sku=st.booleans(),
        raised=st.integers(0, len(MOMENTS) - 1),
        waits=st.one_of(st.none(), st.integers(0, 3), st.integers(0, 3)),
        decision=st.sampled_from(["upheld", "upheld", "rejected"]),
        amount=st.sampled_from(["1000.00", "900.00", "3000.00"]),
    ),
    min_size=2,
    max_size=7,
)


# Without shrinking: a course is short as it is, and takes seconds.
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate)
)
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
            look(desk, at)
            if fate == TWICE:
                before = desk.contents()
                run(desk)
                assert desk.contents() == before, f"{at} did something the second time"
        desk.settle(MOMENTS[-1])
        look(desk, MOMENTS[-1])


def raise_claim(desk: Desk, claim_id: str, claim: Raised) -> None:
    owner = claim.owner or claim.seller
    columns: dict[str, object] = {"order_number": order(owner, claim.item)}
    if claim.has_sku or claim.category in ("counterfeit", "cancel_wrong_orders"):
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


def look(desk: Desk, at: str) -> None:
    """After a slot, every promise holds."""
    now = desk.market.at(at)
    for promise, broken in PROMISES.items():
        assert desk.rows(sa.text(broken)) == [], f"broken after {at}: {promise}"
    assert list(unapplied(desk, now)) == [], f"left unapplied after {at}"
    assert list(undone_by_others(desk)) == []
    assert list(standing_on_excused_events(desk)) == []


def unapplied(desk: Desk, now: datetime) -> Iterator[str]:
    """Claims raised by now that are not taken in, or not in the state that was decided."""
    c = schema.claim_states.c
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


def standing_on_excused_events(desk: Desk) -> Iterator[tuple[str, str]]:
    """Charges and late cancellations that stand though their event is excused."""
    rests_on = load_policy("ng").claims.rule_events.on(desk.market.monday)
    events = {rule.value: set(events) for rule, events in rests_on.items()}
    s, x = schema.action_states.c, schema.excuses.c
    for rule, item, event in desk.rows(
        sa.select(s.rule, s.order_item_id, x.event)
        .join(
            schema.excuses,
            sa.and_(
                x.seller_id == s.seller_id,
                sa.or_(
                    x.order_item_id == s.order_item_id,
                    sa.and_(
                        x.order_number == s.order_number,
                        sa.or_(x.sku.is_(None), x.sku == s.sku),
                    ),
                ),
            ),
        )
        .where(s.state.in_(("proposed", "alerted", "implemented")))
    ):
        if event in events[rule] and rule in ITEM_RULES:
            yield rule, item


# The rows that break a promise.
PROMISES = {
    "an implemented charge is debited at its amount, a reversed one comes to nothing": """
        SELECT s.reference, s.state, sum(p.amount)
        FROM ledger.action_states s LEFT JOIN ledger.postings p USING (action_id)
        WHERE s.amount IS NOT NULL
        GROUP BY s.reference, s.state, s.amount
        HAVING coalesce(sum(p.amount), 0)
            <> CASE WHEN s.state = 'implemented' THEN s.amount ELSE 0 END
    """,
    "nothing is posted twice, nor credited without a debit": """
        SELECT action_id FROM ledger.postings GROUP BY action_id
        HAVING count(*) FILTER (WHERE kind = 'debit') <> 1
            OR count(*) FILTER (WHERE kind = 'reversal') > 1
    """,
    "a credit is posted when its action is reversed, and bears the claim": """
        SELECT p.posting_id FROM ledger.postings p
        LEFT JOIN ledger.action_events e ON e.action_id = p.action_id AND e.state = 'reversed'
        WHERE p.kind = 'reversal'
            AND (p.posted_at, p.claim_id) IS DISTINCT FROM (e.at, e.claim_id)
    """,
    "nothing is implemented without its accepted alert in time": """
        SELECT a.reference FROM ledger.actions a JOIN ledger.action_events e USING (action_id)
        WHERE e.state = 'implemented' AND NOT EXISTS (
            SELECT 1 FROM ledger.notice_actions l
            JOIN ledger.notices n USING (notice_id) JOIN ledger.deliveries d USING (notice_id)
            WHERE l.action_id = e.action_id AND n.is_alert AND d.status = 'sent' AND d.code = 250
                AND d.at + make_interval(hours => a.notice_hours) <= e.at
        )
    """,
    "a counterfeit charge is not implemented while a claim in its window is undecided": """
        SELECT a.reference FROM ledger.actions a JOIN ledger.action_events e USING (action_id)
        JOIN ledger.claim_intakes i
            ON i.seller_id = a.seller_id AND i.order_number = a.order_number AND i.sku = a.sku
        LEFT JOIN ledger.claim_decisions d ON d.claim_id = i.claim_id
        WHERE a.rule = 'counterfeit_charge' AND e.state = 'implemented'
            AND i.category = 'counterfeit' AND i.state = 'accepted' AND i.at <= e.at
            AND (d.at IS NULL OR d.at > e.at)
            AND i.raised_at < CAST(a.evidence ->> 'evidence_closes_at' AS TIMESTAMPTZ)
    """,
    "a claim is written about to its seller alone": """
        SELECT n.notice_id FROM ledger.notices n
        LEFT JOIN ledger.claim_intakes i ON i.event_id = n.claim_event_id
        LEFT JOIN ledger.claim_decisions d ON d.event_id = n.claim_event_id
        LEFT JOIN ledger.claim_intakes j ON j.claim_id = d.claim_id
        WHERE n.claim_event_id IS NOT NULL
            AND n.seller_id IS DISTINCT FROM coalesce(i.seller_id, j.seller_id)
    """,
    "a notice lists actions of its seller alone": """
        SELECT n.notice_id FROM ledger.notices n JOIN ledger.notice_actions USING (notice_id)
        JOIN ledger.actions a USING (action_id) WHERE a.seller_id <> n.seller_id
    """,
    "an action's events follow each other in time": """
        SELECT a.action_id FROM ledger.action_events a JOIN ledger.action_events b USING (action_id)
        WHERE a.event_id < b.event_id AND a.at > b.at
    """,
}
