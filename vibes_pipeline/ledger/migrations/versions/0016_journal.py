"""Finance's journal and the close of its periods; the SQL stands beside this file."""

from __future__ import annotations

from vibes_pipeline.ledger.migrations import refuse_downgrade, run_sql_beside

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

downgrade = refuse_downgrade


def upgrade() -> None:
    run_sql_beside(__file__)
