"""What each column of the ledger means, said in the database; the SQL stands beside this file."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    # The driver's own cursor, without parameters: it passes percent signs through untouched.
    op.get_bind().connection.cursor().execute(statements)


def downgrade() -> None:
    raise RuntimeError("the ledger is only appended to; restore a backup instead of downgrading")
