"""The ledger's schema, revision by revision; each is the SQL beside its file in `versions`."""

from __future__ import annotations

from pathlib import Path

from alembic import op


def run_sql_beside(revision_file: str) -> None:
    """Run the statements of the `.sql` that bears a revision's name."""
    statements = Path(revision_file).with_suffix(".sql").read_text(encoding="utf-8")
    # The driver's own cursor, without parameters: it passes percent signs through untouched.
    op.get_bind().connection.cursor().execute(statements)


def refuse_downgrade() -> None:
    """The way back of every revision: there is none."""
    raise RuntimeError("the ledger is only appended to; restore a backup instead of downgrading")
