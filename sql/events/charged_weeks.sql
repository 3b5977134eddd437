-- The weeks whose events this cycle charges: one row (Rulebook §6, late data). They are the observed week and,
-- for events that arrived late, the weeks before it that began within the policy's days; none from before this
-- ledger's first cycle.
-- grain: one row
SELECT
    GREATEST(CAST($cycle AS DATE) - CAST(d.late_arrival_days AS INTEGER), CAST($first_cycle AS DATE))
        AS from_date,                       -- weeks that began on this date or later
    CAST($cycle AS DATE) AS observed_week,  -- the last one, by its Monday
    CAST($first_cycle AS DATE) AS first_cycle   -- this ledger's first cycle
FROM policy.late_data AS d
WHERE CAST($cycle AS DATE) >= d.valid_from AND CAST($cycle AS DATE) < d.valid_until
