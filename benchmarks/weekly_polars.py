"""The weekly decisions as one would write them in plain Polars, over the warehouse's Parquet files.

Here belongs the rival of `weekly_compute`: one script, no partitions, no ledger, no reasons of bad
rows and no evidence, only the order regulations, the charges and the sales regulations of one cycle
of a marketplace without a past. Counterfeit cases, whose charges wait for claims, and account
reviews are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import polars as pl
from weekly_given import TIMES, Given

COLUMNS = [
    "order_item_id",
    "order_number",
    "seller_id",
    "sku",
    "customer_id",
    "item_price",
    "commission",
    *TIMES,
    "cancel_reason",
    "return_reason",
]


class Script(Given):
    """The decisions of one cycle."""

    def decisions(self) -> Mapping[str, pl.DataFrame]:
        """The rows of each decision, by the relation that the pipeline keeps them in."""
        frames = {
            "decisions.order_regulations": self.order_regulations(),
            "decisions.out_of_stock_charges": self.out_of_stock(),
            "decisions.late_fulfilment_charges": self.late(),
            "decisions.returns_charges": self.quality(self.returned, "returns_charge"),
            "decisions.dropoff_qc_charges": self.quality(self.failed_checks(), "dropoff_qc_charge"),
            "decisions.sales_regulations": self.sales_regulations(),
        }
        return dict(zip(frames, pl.collect_all(frames.values()), strict=True))

    def table(self, name: str) -> pl.LazyFrame:
        """A raw table."""
        return pl.scan_parquet(self.raw / f"{name}.parquet")

    def terms(self, name: str) -> pl.DataFrame:
        """The rows of a policy table on the cycle's day."""
        day = self.cycle
        return pl.read_parquet(self.policy / f"{name}.parquet").filter(
            pl.col("valid_from") <= day, pl.col("valid_until") > day
        )

    @cached_property
    def calendar(self) -> pl.DataFrame:
        """The policy's days."""
        return pl.read_parquet(self.policy / "calendar.parquet")

    def start_of(self, day: date) -> datetime:
        """Local 00:00 of a day."""
        row = self.calendar.row(by_predicate=pl.col("day") == day, named=True)
        return row["starts_at"].astimezone(UTC)

    @cached_property
    def sellers(self) -> pl.LazyFrame:
        """The country's sellers with an id of their own."""
        return (
            self.table("sellers")
            .filter(pl.col("seller_id").is_not_null() & pl.col("seller_id").is_unique())
            .filter(country=self.country)
            .select("seller_id", "onboarded_at", pl.col("is_jumia_express").fill_null(value=False))
        )

    @cached_property
    def products(self) -> pl.LazyFrame:
        """Their products, each with an id and a known type."""
        types = self.terms("product_types")["product_type"].implode()
        return (
            self.table("products")
            .filter(pl.col("sku").is_not_null() & pl.col("sku").is_unique())
            .filter(pl.col("product_type").is_in(types))
            .join(self.sellers, on="seller_id", how="semi")
            .select("sku", "product_type", owner="seller_id")
        )

    @cached_property
    def items(self) -> pl.LazyFrame:
        """The good items with a time since the horizon, as they stood at the instant."""
        stored = (
            self.table("order_items")
            .select(COLUMNS)
            .filter(pl.any_horizontal(pl.col(time) >= self.horizon for time in TIMES))
        )
        reasons = {
            name: self.terms(f"{name}s")["reason"].implode()
            for name in ("cancel_reason", "return_reason")
        }
        repeated = stored.group_by("order_item_id").len().filter(pl.col("len") > 1)
        good = (
            stored.filter(
                pl.col("order_item_id").str.len_bytes() > 0,
                pl.col("order_number").str.len_bytes() > 0,
                pl.col("item_price") >= 0,
                pl.col("commission") >= 0,
                pl.col("pending_at").is_not_null(),
                *(pl.col(t).is_null() | (pl.col(t) >= pl.col("pending_at")) for t in TIMES[1:]),
                pl.col("delivered_at").is_null() | pl.col("rejected_at").is_null(),
                pl.col("cancelled_at").is_null()
                | pl.col("cancel_reason").is_in(reasons["cancel_reason"]).fill_null(value=False),
                pl.col("returned_at").is_null()
                | pl.col("return_reason").is_in(reasons["return_reason"]).fill_null(value=False),
            )
            .join(repeated, on="order_item_id", how="anti")
            .join(self.sellers, on="seller_id", how="semi")
            .join(self.products, on="sku")
            .filter(pl.col("owner") == pl.col("seller_id"))
            .filter(pl.col("pending_at") <= self.now)
        )
        seen = [pl.when(pl.col(t) <= self.now).then(pl.col(t)).alias(t) for t in TIMES[1:]]
        refused_or_delivered = pl.min_horizontal("delivered_at", "rejected_at")
        return (
            good.with_columns(seen)
            .with_columns(
                ready_from=pl.min_horizontal(
                    "ready_to_ship_at", "shipped_at", "delivered_at", "rejected_at"
                ),
                shipped_from=pl.coalesce("shipped_at", refused_or_delivered),
            )
            .drop("owner")
        )

    def in_week(self, time: str) -> pl.Expr:
        """Whether a time lies in the observed week."""
        return (pl.col(time) >= self.week_start) & (pl.col(time) < self.week_end)

    def record(self) -> pl.LazyFrame:
        """What each seller shipped and cancelled in the observed week."""
        accountable = self.terms("cancel_reasons").filter("is_accountable")["reason"].implode()
        is_shipped = self.in_week("shipped_from")
        is_cancelled = self.in_week("cancelled_at") & pl.col("cancel_reason").is_in(accountable)
        return (
            self.items.filter(is_shipped | is_cancelled)
            .group_by("seller_id")
            .agg(
                shipped_items=is_shipped.sum().cast(pl.Int64),
                shipped_orders=pl.col("order_number").filter(is_shipped).n_unique().cast(pl.Int64),
                cancelled_items=is_cancelled.sum().cast(pl.Int64),
            )
        )

    def order_regulations(self) -> pl.LazyFrame:
        """Sellers above the lightest band, with their limits."""
        (terms,) = self.terms("order_regulation").to_dicts()
        days = self.calendar.filter(
            pl.col("is_fulfilment_day")
            & (pl.col("day") >= self.cycle)
            & (pl.col("day") < self.cycle + timedelta(weeks=1))
        ).height
        counted = self.record().join(
            self.sellers.filter(~pl.col("is_jumia_express")), on="seller_id", how="semi"
        )
        exact = pl.Decimal(38, 4)
        base = (pl.col("cancelled_items") + pl.col("shipped_items")).cast(exact)
        hundredfold = 100 * pl.col("cancelled_items").cast(exact)
        bands = self.terms("order_regulation_bands").lazy()
        share = (10_000 * pl.col("daily_share_pct")).cast(pl.Int64) * pl.col("shipped_orders")
        limit = pl.coalesce(
            "daily_order_limit",
            pl.max_horizontal(terms["daily_order_minimum"], share // (1_000_000 * max(days, 1))),
        )
        return (
            counted.join(bands, how="cross")
            .filter(
                pl.col("daily_order_limit").is_not_null() | pl.col("daily_share_pct").is_not_null()
            )
            .filter(
                (hundredfold > pl.col("from_pct") * base)
                | pl.col("includes_from") & (hundredfold == pl.col("from_pct") * base),
                pl.col("to_pct").is_null()
                | (hundredfold < pl.col("to_pct") * base)
                | pl.col("includes_to") & (hundredfold == pl.col("to_pct") * base),
            )
            .with_columns(daily_order_limit=limit)
            .select(
                "seller_id",
                "band",
                "daily_order_limit",
                pending_to_shipped_limit=pl.coalesce(
                    "pending_to_shipped_limit",
                    pl.col("pending_to_shipped_multiple") * pl.col("daily_order_limit"),
                ),
            )
        )

    def charged(self, events: pl.LazyFrame, rule: str) -> pl.LazyFrame:
        """The commission charges of events (with `event_at`) of the observed week."""
        (terms,) = self.terms("commission_charges").filter(rule=rule).to_dicts()
        exempt = timedelta(days=terms["exempt_first_days"])
        money = pl.Decimal(14, 2)
        amount = pl.min_horizontal(
            (pl.col("commission").cast(pl.Decimal(28, 4)) * terms["commission_multiple"]).cast(
                money
            ),
            pl.lit(terms["cap"]).cast(money),
        )
        return (
            events.filter(self.in_week("event_at"))
            .join(self.sellers, on="seller_id")
            .filter(
                pl.col("onboarded_at").is_null()
                | (pl.col("event_at") >= pl.col("onboarded_at") + exempt)
            )
            .select("order_item_id", amount=amount)
            .filter(pl.col("amount") > 0)
        )

    def out_of_stock(self) -> pl.LazyFrame:
        """Charges for items cancelled as out of stock."""
        reasons = self.terms("cancel_reasons").filter("is_out_of_stock")["reason"].implode()
        events = self.items.filter(pl.col("cancel_reason").is_in(reasons)).rename(
            {"cancelled_at": "event_at"}
        )
        return self.charged(events, "out_of_stock_charge")

    def late(self) -> pl.LazyFrame:
        """Charges for items not ready by their deadline and not charged as out of stock."""
        (hours,) = self.terms("fulfilment")["hours"]
        days = self.calendar.with_columns(pl.col("starts_at").dt.convert_time_zone("UTC")).lazy()
        clocks = (
            self.items.with_columns(
                day=pl.col("pending_at").dt.convert_time_zone(self.time_zone).dt.date()
            )
            .join(days.select("day", "starts_at", "is_fulfilment_day", "clock_before"), on="day")
            .with_columns(
                clock=pl.col("clock_before") * 1_000_000
                + pl.when("is_fulfilment_day")
                .then((pl.col("pending_at") - pl.col("starts_at")).dt.total_microseconds())
                .otherwise(0)
                + hours * 3_600_000_000
            )
            .select(
                "order_item_id",
                "seller_id",
                "commission",
                "ready_from",
                "cancelled_at",
                "clock",
            )
            .sort("clock")
        )
        ends = days.filter("is_fulfilment_day").select(
            clock=pl.col("clock_after") * 1_000_000,
            day_starts="starts_at",
            clock_at_start=pl.col("clock_before") * 1_000_000,
        )
        events = (
            clocks.join_asof(ends.sort("clock"), on="clock", strategy="forward", coalesce=False)
            .with_columns(
                event_at=pl.col("day_starts")
                + pl.duration(microseconds=pl.col("clock") - pl.col("clock_at_start"))
            )
            .filter(
                pl.col("event_at") <= self.now,
                pl.col("ready_from").is_null() | (pl.col("ready_from") > pl.col("event_at")),
                pl.col("cancelled_at").is_null() | (pl.col("cancelled_at") >= pl.col("event_at")),
            )
        )
        charged = self.charged(events, "late_fulfilment_charge")
        return charged.join(self.out_of_stock(), on="order_item_id", how="anti")

    @cached_property
    def returned(self) -> pl.LazyFrame:
        """Items returned for quality."""
        reasons = self.terms("return_reasons").filter("is_quality")["reason"].implode()
        return (
            self.items.filter(pl.col("return_reason").is_in(reasons))
            .filter(pl.col("returned_at").is_not_null())
            .rename({"returned_at": "event_at", "return_reason": "reason"})
        )

    def failed_checks(self) -> pl.LazyFrame:
        """The first failed check of each item."""
        reasons = self.terms("failure_reasons")["reason"].implode()
        return (
            self.table("dropoff_qc")
            .filter(pl.col("qc_id").is_not_null() & pl.col("qc_id").is_unique())
            .filter(
                pl.col("result") == "failed",
                pl.col("failure_reason").is_in(reasons),
                pl.col("checked_at") <= self.now,
            )
            .join(self.items, on="order_item_id", how="semi")
            .sort("checked_at", "qc_id")
            .unique("order_item_id", keep="first", maintain_order=True)
            .rename({"checked_at": "event_at", "failure_reason": "reason"})
        )

    def quality(self, events: pl.LazyFrame, rule: str) -> pl.LazyFrame:
        """The fixed charges of events (with `event_at`, `reason`) of the observed week."""
        amounts = self.terms("quality_charges").filter(rule=rule).select("reason", "amount")
        return (
            events.filter(self.in_week("event_at"))
            .join(amounts.lazy(), on="reason")
            .select("order_item_id", "amount")
        )

    def sales_regulations(self) -> pl.LazyFrame:
        """Products with too many rejections or returns."""
        (terms,) = self.terms("sales_regulation").to_dicts()
        end = self.cycle + timedelta(weeks=1)
        rejections_from = self.start_of(end - timedelta(days=terms["rejection_window_days"]))
        returns_from = self.start_of(self.cycle - timedelta(weeks=terms["return_lag_weeks"]))
        returns_until = self.start_of(
            self.cycle - timedelta(weeks=terms["return_lag_weeks"]) + timedelta(weeks=1)
        )
        is_rejected = (pl.col("rejected_at") >= rejections_from) & (
            pl.col("rejected_at") < self.week_end
        )
        is_delivered = (pl.col("delivered_at") >= rejections_from) & (
            pl.col("delivered_at") < self.week_end
        )
        rejections = (
            self.items.filter(is_rejected | is_delivered)
            .group_by("sku")
            .agg(
                rejected=is_rejected.sum().cast(pl.Int64),
                rejection_base=pl.len().cast(pl.Int64),
                rejecting=pl.col("customer_id").filter(is_rejected).n_unique(),
                newly=(is_rejected & (pl.col("rejected_at") >= self.week_start)).sum(),
            )
            .filter(pl.col("rejected") > 0)
        )
        in_returns = (pl.col("event_at") >= returns_from) & (pl.col("event_at") < returns_until)
        returns = (
            self.returned.filter(in_returns)
            .group_by("sku")
            .agg(returned=pl.len().cast(pl.Int64), returning=pl.col("customer_id").n_unique())
        )
        delivered = (
            self.items.filter(
                pl.col("delivered_at") >= returns_from, pl.col("delivered_at") < returns_until
            )
            .group_by("sku")
            .agg(delivered=pl.len().cast(pl.Int64))
        )
        returns = returns.join(delivered, on="sku", how="left").with_columns(
            return_base=pl.max_horizontal("returned", pl.col("delivered").fill_null(0))
        )
        thresholds = self.terms("sales_regulation_thresholds").filter(pl.col("sku").is_null())
        exact = pl.Decimal(38, 4)
        has_rejections = (
            (100 * pl.col("rejected").cast(exact))
            > pl.col("rejection_over_pct") * pl.col("rejection_base").cast(exact)
        ) & (pl.col("rejecting") >= terms["minimum_customers"])
        has_returns = (
            (100 * pl.col("returned").cast(exact))
            > pl.col("return_over_pct") * pl.col("return_base").cast(exact)
        ) & (pl.col("returning") >= terms["minimum_customers"])
        return (
            rejections.join(returns, on="sku", how="full", coalesce=True)
            .join(self.products, on="sku")
            .join(thresholds.drop("sku").lazy(), on="product_type")
            .with_columns(
                by_rejections=has_rejections.fill_null(value=False),
                by_returns=has_returns.fill_null(value=False),
            )
            .filter(pl.col("by_rejections") | pl.col("by_returns"))
            .select(
                "sku",
                grounds=pl.concat_str(
                    pl.when("by_rejections").then(pl.lit("rejection_rate")),
                    pl.when("by_returns").then(pl.lit("return_rate")),
                    separator=",",
                    ignore_nulls=True,
                ),
                occurrence=pl.when(pl.col("by_returns") | (pl.col("newly") > 0)).then(1),
            )
        )
