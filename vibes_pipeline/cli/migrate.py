"""`vibes migrate`: the ledger's schema brought to the revision that this version needs."""

from __future__ import annotations

import click

from vibes_pipeline.cli.common import console
from vibes_pipeline.settings import Settings


@click.command(name="migrate")
def command() -> None:
    """Bring the ledger's schema to the revision that this version of the program needs.

    Makes the schema where there is none. Rows keep their meaning; there is no way back to an older
    version but a backup. `vibes up` and the commands that run slots do the same when they begin;
    those that only read never do.
    """
    from vibes_pipeline.ledger import database, revisions

    before = database.migrate(database.database_url(Settings.from_environment()))
    now = revisions.needed()
    if before == now:
        console.print(f"the ledger is at revision {now}, as this version needs it: nothing to do")
    elif before is None:
        console.print(f"a new ledger is made, at revision {now}")
    else:
        console.print(f"the ledger is migrated from revision {before} to {now}")
