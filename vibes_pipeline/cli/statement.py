"""`vibes statement`: one seller's statement as a page."""

from __future__ import annotations

from pathlib import Path

import click

from vibes_pipeline.calendar import DAY, EVERY_DAY, WEEK, Days, parse_cycle
from vibes_pipeline.cli.common import console, printable, settings_and_policy
from vibes_pipeline.cli.days import asked_days, days_options
from vibes_pipeline.errors import UsageError


@click.command(name="statement")
@click.argument("seller")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="An .html file.")
@click.option("--statement-period", metavar="DATE", help="The week of this Monday.")
@days_options
def command(
    seller: str,
    out: Path,
    statement_period: str | None,
    from_: str | None,
    until: str | None,
    month: str | None,
) -> None:
    """Write the statement of SELLER (an id) as one HTML page, which prints on A4.

    What the seller owed before, each charge and reversal in order of time with the balance after
    it, what the seller owes then. --from and --until are local dates, both included; without them
    it is all that was ever posted. Payments are not known here.
    """
    from vibes_pipeline.answers.instant import asked_instant
    from vibes_pipeline.exports.files import check_target
    from vibes_pipeline.exports.tables import require_seller
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.reports.statement import read_statement, write_statement

    check_target(out, (".html",))
    days = asked_days(from_, until, month)
    if statement_period is not None:
        if days != EVERY_DAY:
            raise UsageError("--statement-period names a week: leave out the other days")
        monday = parse_cycle(statement_period)
        days = Days(monday, monday + WEEK - DAY)
    settings, policy = settings_and_policy()
    ledger = Ledger.open_existing(settings, policy.country)
    require_seller(ledger, seller)
    now = asked_instant(None, ledger, policy)
    statement = read_statement(ledger, settings.lake, policy, seller, days, now)
    write_statement(statement, out)
    console.print(
        f"the statement of {printable(seller)} is in {out}: opening "
        f"{policy.money(statement.opening)}, closing {policy.money(statement.closing)}",
        markup=False,
    )
