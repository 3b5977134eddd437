"""The moments at which a replay runs the claims slot (Rulebook §2)."""

from __future__ import annotations

from datetime import datetime

from vibes_pipeline.warehouse.source import Warehouse

MOMENTS = """
SELECT DISTINCT moment
FROM (
    SELECT raised_at AS moment FROM raw.claims
    UNION ALL
    SELECT decided_at AS moment FROM raw.claims
    UNION ALL
    SELECT decided_at AS moment FROM raw.account_decisions
)
WHERE moment >= $start AND moment <= $end
ORDER BY moment
"""


def claim_moments(warehouse: Warehouse, start: datetime, end: datetime) -> list[datetime]:
    """Each moment from start to end at which a claim was raised, or a claim or account decided."""
    connection = warehouse.connect(warehouse)
    with warehouse.mounted(connection, ["claims", "account_decisions"]):
        rows = connection.execute(MOMENTS, {"start": start, "end": end}).fetchall()
    return [moment for (moment,) in rows]
