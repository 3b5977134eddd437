"""Where sellers stand in the week that goes on, as the newest late alert left it (Rulebook §15)."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from vibes_pipeline.ledger import feeds
from vibes_pipeline.ledger.frames import read
from vibes_pipeline.policy import Policy
from vibes_pipeline.reports.figures import Standings
from vibes_pipeline.reports.lake import band_figures


def standings(connection: sa.Connection, policy: Policy) -> Standings | None:
    """The newest standings of all sellers; None before the first late alert."""
    s = feeds.standings.c
    rows = read(connection, sa.select(*s).where(s.country == policy.country))
    if rows.is_empty():
        return None
    as_of, week = rows.row(0, named=True)["as_of"], rows["week"][0]
    why_none = (
        pl.when("is_delisted")
        .then(pl.lit("delisted"))
        .when("is_exempt")
        .then(pl.lit("exempt"))
        .when(pl.col("band").is_null())
        .then(pl.lit("idle"))
    )
    rows = rows.with_columns(why_none.alias("why_none"))
    in_bands = rows.filter(pl.col("why_none").is_null())
    return Standings(
        as_of=as_of.astimezone(policy.time_zone),
        week=week,
        bands=band_figures(
            policy,
            week,
            dict(in_bands.group_by("band").len().iter_rows()),
            dict(rows.group_by("why_none").len().iter_rows()),
        ),
        nearly=in_bands.filter(pl.col("shipments_to_lighter_band") == 1)
        .sort("band", "seller_id", descending=[True, False])
        .select("seller_id", "cancellation_rate_pct", "band", "shipments_to_no_limit")
        .to_dicts(),
    )
