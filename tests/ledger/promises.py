"""What the ledger promises whatever happens: queries for the rows that break a promise (§2, §11)."""

from __future__ import annotations

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
        -- Who claims, as last stated before the decision.
        LEFT JOIN LATERAL (
            SELECT seller_id FROM ledger.claim_intakes
            WHERE claim_id = d.claim_id AND event_id < d.event_id
            ORDER BY event_id DESC LIMIT 1
        ) j ON TRUE
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
