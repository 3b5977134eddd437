"""What it takes to tell what waits for a person, as the claims that were ever made grow.

Here belongs `what_waits` of `vibes_pipeline.operations`, which the status asks once a minute, on a
real ledger in the embedded PostgreSQL: first with the claims that wait alone, then with many more
that were decided, or answered at intake. The same must be found to wait for each cause but one: a
claim upheld about nothing is told of for good.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
from made_ledger import COUNTRY, open_made
from measure import Stopwatch, Taken, in_fresh_process
from weekly_compute import machine, tell

WAITING = 1_000
ROUNDS_WITHIN = 5
# Each is about an order with a charge. Of those that do not wait one in fifty is incomplete.
CLAIMS = """
INSERT INTO ledger.claim_intakes (
    country, claim_id, state, at, category, seller_id, order_number, raised_at, faults, content_hash
)
SELECT
    %(country)s, 'CL-' || i,
    CASE WHEN %(is_decided)s AND i %% 50 = 0 THEN 'incomplete' ELSE 'accepted' END,
    at, 'vibes_action', a.seller_id, a.order_number, at, '{}', 'CL-' || i
FROM (
    SELECT row_number() OVER () + %(first)s AS i, seller_id, order_number
    FROM ledger.actions TABLESAMPLE SYSTEM (20) REPEATABLE (1)
    WHERE order_number IS NOT NULL
    LIMIT %(claims)s
) a, LATERAL (
    SELECT m.at - interval '8 minutes' * a.i AS at
    FROM ledger.moments m
    WHERE m.country = %(country)s
) t
"""
DECISIONS = """
INSERT INTO ledger.claim_decisions (country, claim_id, decision, decided_at, at, is_matched)
SELECT
    country, claim_id, CASE WHEN event_id %% 3 = 0 THEN 'upheld' ELSE 'rejected' END, at, at,
    event_id %% 3000 <> 0
FROM ledger.claim_intakes
WHERE state = 'accepted' AND event_id > %(before)s
"""
COUNT = "ANALYZE ledger.claim_intakes, ledger.claim_decisions, ledger.open_claims"
FORGET = """
SET session_replication_role = replica;
DELETE FROM ledger.open_claims;
DELETE FROM ledger.claim_decisions;
DELETE FROM ledger.claim_intakes;
RESET session_replication_role;
"""


class Told(NamedTuple):
    """What one process took to tell it, on average, and what it told, by cause."""

    taken: Taken
    waits: Mapping[str, tuple[object, ...]]


def ask(home: Path) -> Told:
    """Ask what waits, several times over, as a server does."""
    from vibes_pipeline.ledger.ledger import Ledger
    from vibes_pipeline.operations.waiting import what_waits
    from vibes_pipeline.policy import load_policy
    from vibes_pipeline.settings import Settings

    settings, policy = Settings.from_environment({"VIBES_HOME": str(home)}), load_policy("ng")
    ledger = Ledger.open_existing(settings, policy.country)
    newest = ledger.newest_event_at()
    assert newest is not None
    now = newest + timedelta(days=1)
    what_waits(ledger, settings, policy, now)
    watch = Stopwatch()
    for number in range(ROUNDS_WITHIN):
        with watch.part(str(number)):
            found = what_waits(ledger, settings, policy, now)
    taken = watch.stop()
    ledger.close()
    return Told(taken, {w.cause: (w.count, w.oldest_at, w.amount, w.sample) for w in found})


@click.command()
@click.option("--charges", type=click.IntRange(min=1), default=1_000_000, show_default=True)
@click.option("--claims", type=click.IntRange(min=1), default=50_000, show_default=True)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Home of the made ledger, used again by later runs.  [default: a temporary one]",
)
def main(charges: int, claims: int, keep: Path | None) -> None:
    """Measure how long it takes to tell what waits and print a Markdown table."""
    # A short path, for the ledger's socket lies in it.
    with tempfile.TemporaryDirectory(prefix="vibes-", dir="/tmp") as scratch:
        home = (keep or Path(scratch) / "home").resolve()
        ledger = open_made(home, charges)
        driver = ledger.engine.raw_connection()
        cursor = driver.cursor()
        told: dict[int, Told] = {}
        cursor.execute(FORGET)
        for made, is_decided in ((WAITING, False), (claims - WAITING, True)):
            cursor.execute("SELECT coalesce(max(event_id), 0) FROM ledger.claim_intakes")
            ((before,),) = cursor.fetchall()
            values = {"country": COUNTRY, "claims": made, "is_decided": is_decided}
            cursor.execute(CLAIMS, {**values, "first": WAITING if is_decided else 0})
            if is_decided:
                cursor.execute(DECISIONS, {"before": before})
            cursor.execute(COUNT)
            driver.commit()
            ever = claims if is_decided else WAITING
            told[ever] = in_fresh_process(ask, home)
            tell(f"{ever:,} claims: {seconds(told[ever]):.2f} s")
        cursor.execute(FORGET)
        driver.commit()
        require_equal(*told.values())
        click.echo(report(charges, told))
        driver.invalidate()
        ledger.close()


def require_equal(few: Told, many: Told) -> None:
    """`SystemExit` unless the same waits, whatever was decided before."""
    ended = {"unmatched_claims"}
    if differing := {c for c in few.waits if few.waits[c] != many.waits[c]} - ended:
        raise SystemExit(f"what waits differs: {', '.join(sorted(differing))}")


def seconds(told: Told) -> float:
    return median(told.taken.seconds_of.values())


def report(charges: int, told: Mapping[int, Told]) -> str:
    lines = [
        f"{charges:,} charges; {WAITING:,} claims wait; {machine()}.",
        "",
        "| claims ever made | seconds | processor seconds |",
        "| ---: | ---: | ---: |",
    ]
    for claims, one in told.items():
        cpu_seconds = one.taken.cpu_seconds / ROUNDS_WITHIN
        lines.append(f"| {claims:,} | {seconds(one):.2f} | {cpu_seconds:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
