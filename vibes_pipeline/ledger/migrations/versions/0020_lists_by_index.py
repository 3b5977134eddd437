"""The lists of what is open or unsent are struck off by index; the SQL stands beside this."""

from __future__ import annotations

from vibes_pipeline.ledger.migrations import refuse_downgrade, run_sql_beside

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

downgrade = refuse_downgrade


def upgrade() -> None:
    run_sql_beside(__file__)
