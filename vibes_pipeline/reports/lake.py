"""The figures of a week's report that come from the cycle's partitions; none before those exist."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from vibes_pipeline.engine.weekly import counting_events
from vibes_pipeline.exports.tables import Source, model_rows
from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.rules import Band, band_edges
from vibes_pipeline.policy.scalars import short
from vibes_pipeline.reports.figures import BandFigures, Rows


def bands(source: Source, policy: Policy, cycle: date) -> list[BandFigures]:
    """Active sellers by the band they were decided into; those that have none by the reason why."""
    sellers = _sellers(source, cycle)
    counts = dict(sellers.group_by("standing").len().iter_rows())
    by_band = dict(sellers.group_by("band").len().iter_rows())
    # A band without limits makes no decision: sellers in no other band are in the first such band.
    free = (
        number
        for number, band in enumerate(policy.order_regulation.bands.on(cycle))
        if not _limits(band)
    )
    by_band[next(free, None)] = counts.get("unregulated", 0)
    return band_figures(policy, cycle, by_band, counts)


def band_figures(
    policy: Policy, week: date, by_band: Mapping[int | None, int], others: Mapping[str, int]
) -> list[BandFigures]:
    """Sellers by band, and those who are not counted by band: delisted, exempt, idle."""
    in_force = policy.order_regulation.bands.on(week)
    figures = [
        BandFigures(number, edges.label, _limits(band), by_band.get(number, 0))
        for number, (band, edges) in enumerate(zip(in_force, band_edges(in_force), strict=True))
    ]
    if others.get("delisted"):
        figures.append(BandFigures(None, "account delisted", "", others["delisted"]))
    return [
        *figures,
        BandFigures(None, "exempt", "Jumia Express", others.get("exempt", 0)),
        BandFigures(None, "nothing shipped", "nor cancelled", others.get("idle", 0)),
    ]


def _sellers(source: Source, cycle: date) -> pl.DataFrame:
    """Active sellers with `cancellation_rate_pct`, `band` and `standing`, which is why no band."""
    active = model_rows(source, cycle, "metrics.seller_week")
    decided = model_rows(source, cycle, "decisions.order_regulations")
    delisted = model_rows(source, cycle, "ledger.account_delistings")
    if active is None or decided is None or delisted is None:
        return pl.DataFrame(
            schema={
                "seller_id": pl.String,
                "cancellation_rate_pct": pl.Decimal(9, 4),
                "band": pl.Int32,
                "standing": pl.String,
            }
        )
    gone = delisted.filter(pl.col("is_standing"))["seller_id"].unique()
    return active.join(decided.select("seller_id", "band"), on="seller_id", how="left").select(
        "seller_id",
        "cancellation_rate_pct",
        "band",
        pl.when("is_exempt")
        .then(pl.lit("exempt"))
        .when(pl.col("cancellation_rate_pct").is_null())
        .then(pl.lit("idle"))
        .when(pl.col("band").is_not_null())
        .then(pl.lit("regulated"))
        .when(pl.col("seller_id").is_in(gone.implode()))
        .then(pl.lit("delisted"))
        .otherwise(pl.lit("unregulated"))
        .alias("standing"),
    )


def rates(source: Source, cycle: date) -> pl.DataFrame:
    """`cancellation_rate_pct` and `band` of sellers who may be regulated and had orders."""
    sellers = _sellers(source, cycle)
    counted = sellers.filter(pl.col("standing").is_in(["regulated", "unregulated"]))
    return counted.select("cancellation_rate_pct", pl.col("band").fill_null(0))


def _limits(band: Band) -> str:
    """The band's daily order limit in words, empty for none."""
    if band.daily_order_limit is not None:
        return f"{band.daily_order_limit} orders a day"
    if band.daily_share_pct is not None:
        return f"{short(band.daily_share_pct)}% of shipped"
    return ""


def occurrences(source: Source, policy: Policy, cycle: date) -> dict[int | None, int]:
    """Regulated products by occurrence; the last number stands for it and all later ones."""
    last = policy.product_delisting.occurrence.on(cycle)
    decided = model_rows(source, cycle, "decisions.sales_regulations")
    counts: dict[int | None, int] = {**dict.fromkeys(range(1, last + 1), 0), None: 0}
    for occurrence in [] if decided is None else decided["occurrence"]:
        counts[occurrence and min(occurrence, last)] += 1
    return counts


def unchargeable_counterfeits(source: Source, cycle: date) -> Rows:
    """Proven counterfeits without an evidence window: never charged, for a person to look at.

    Their seller was never notified, or on a day outside the years whose holidays the policy lists.
    """
    found = model_rows(source, cycle, "events.counterfeit_findings")
    if found is None:
        return []
    counting = counting_events(found.lazy()).collect()
    shown = counting.filter(pl.col("evidence_closes_at").is_null()).sort("event_at", "case_id")
    return shown.select(
        "case_id",
        "seller_id",
        "order_item_id",
        _local("event_at", source),
        _local("notified_at", source),
    ).to_dicts()


def bad_rows(source: Source, cycle: date) -> Rows:
    """How many rows of each table are set aside for which reason, most first."""
    found = model_rows(source, cycle, "warehouse.quarantine")
    if found is None:
        return []
    return (
        found.group_by("table_name", "faults")
        .agg(pl.len().alias("rows"))
        .sort("rows", "table_name", "faults", descending=[True, False, False])
        .to_dicts()
    )


def rows_of_week(source: Source, cycle: date) -> tuple[int, int]:
    """Order items of the observed week, and how many of them are bad."""
    share = model_rows(source, cycle, "warehouse.bad_row_share")
    if share is None:
        return 0, 0
    rows, bad = share.row(0)
    return rows, bad


def older_open_items(source: Source, cycle: date) -> Rows:
    """Sellers with items open for longer than the late orders look back, the oldest first."""
    found = model_rows(source, cycle, "warehouse.older_open_items")
    if found is None:
        return []
    return (
        found.sort("oldest_pending_at", "seller_id")
        .select("seller_id", "open_items", _local("oldest_pending_at", source))
        .to_dicts()
    )


def _local(column: str, source: Source) -> pl.Expr:
    return pl.col(column).dt.convert_time_zone(source.time_zone.key)
