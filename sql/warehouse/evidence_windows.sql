-- When the seller's time for evidence ends, one row per local day on which sellers were notified of a
-- counterfeit (Rulebook §6): with the end of the second working day after that day. The number of working days
-- is that of the policy on that day, because a case may not be proven yet. A day outside the years whose holidays
-- the policy lists has no row, because its working days are not known.
-- grain: notified_date
SELECT
    notified.day AS notified_date,              -- the local day of the notification
    MIN(closing.ends_at) AS evidence_closes_at  -- the window's end
FROM raw.counterfeit_cases AS c
INNER JOIN policy.calendar AS notified ON CAST(c.notified_at AS DATE) = notified.day
INNER JOIN policy.counterfeit_charge AS p
    ON notified.day >= p.valid_from AND notified.day < p.valid_until
INNER JOIN policy.calendar AS closing
    ON
        closing.is_working_day
        AND closing.working_days = notified.working_days + p.evidence_working_days
WHERE c.notified_at >= $earliest_instant AND c.notified_at <= $now
GROUP BY notified.day
