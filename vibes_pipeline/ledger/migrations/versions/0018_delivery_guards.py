"""The guard of deliveries looks at all rows of a statement at once; the SQL is beside this file."""

from __future__ import annotations

from vibes_pipeline.ledger.migrations import refuse_downgrade, run_sql_beside

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

downgrade = refuse_downgrade


def upgrade() -> None:
    run_sql_beside(__file__)
