-- Counterfeit cases on hold, one row per case and claim (Rulebook §6, §11). A proven case is on hold while a
-- complete counterfeit claim on its item, raised within the evidence window, is undecided: until then no charge
-- is proposed. A charge that is proposed already waits likewise (`is_held` in `ledger/implementation.py`).
-- grain: case_id, claim_id
SELECT
    e.case_id,                  -- the case
    e.order_item_id,            -- the item
    e.seller_id,                -- its seller
    e.event_at,                 -- when it was proven
    e.evidence_closes_at,       -- end of the evidence window
    c.claim_id,                 -- the claim to decide
    c.raised_at                 -- when it was raised
FROM events.counterfeit_findings AS e
INNER JOIN ledger.undecided_counterfeit_claims AS c
    ON
        e.seller_id = c.seller_id
        AND e.order_number = c.order_number
        AND e.sku = c.sku
        AND c.raised_at < e.evidence_closes_at
WHERE e.excused_by IS NULL
