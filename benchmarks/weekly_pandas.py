"""The weekly decisions as one would write them in pandas, over the warehouse's Parquet files.

Here belongs a rival of `weekly_compute`: what `weekly_polars` decides, and nothing else. Times are
compared in UTC without a zone, money is counted in kobo: both as NumPy's own types.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import numpy as np
import pandas as pd
from weekly_given import TIMES, Given

TEXTS = [
    "order_item_id",
    "order_number",
    "seller_id",
    "sku",
    "customer_id",
    "cancel_reason",
    "return_reason",
]
MONEY = ["item_price", "commission"]


class Script(Given):
    """The decisions of one cycle."""

    def decisions(self) -> Mapping[str, pd.DataFrame]:
        """The rows of each decision, by the relation that the pipeline keeps them in."""
        return {
            "decisions.order_regulations": self.order_regulations(),
            "decisions.out_of_stock_charges": self.out_of_stock,
            "decisions.late_fulfilment_charges": self.late(),
            "decisions.returns_charges": self.quality(self.returned, "returns_charge"),
            "decisions.dropoff_qc_charges": self.quality(self.failed_checks(), "dropoff_qc_charge"),
            "decisions.sales_regulations": self.sales_regulations(),
        }

    def table(self, name: str, **options: object) -> pd.DataFrame:
        """A raw table; its text stays in Arrow, its times become NumPy's, in UTC."""
        rows = pd.read_parquet(self.raw / f"{name}.parquet", dtype_backend="pyarrow", **options)
        for time in rows.columns[rows.columns.str.endswith("_at")]:
            rows[time] = rows[time].to_numpy("datetime64[us]", na_value=np.datetime64("NaT"))
        return rows

    def terms(self, name: str) -> pd.DataFrame:
        """The rows of a policy table on the cycle's day."""
        rows = pd.read_parquet(self.policy / f"{name}.parquet")
        return rows[(rows.valid_from <= self.cycle) & (rows.valid_until > self.cycle)]

    @cached_property
    def calendar(self) -> pd.DataFrame:
        """The policy's days; `day` and `starts_at` as NumPy's times."""
        days = pd.read_parquet(self.policy / "calendar.parquet")
        days["day"] = pd.to_datetime(days.day).astype("datetime64[us]")
        days["starts_at"] = days.starts_at.dt.tz_convert("UTC").dt.tz_localize(None)
        return days

    def start_of(self, day: date) -> pd.Timestamp:
        """Local 00:00 of a day."""
        return self.calendar.set_index("day").starts_at[pd.Timestamp(day)]

    @cached_property
    def sellers(self) -> pd.DataFrame:
        """The country's sellers with an id of their own."""
        rows = self.table("sellers")
        is_good = rows.seller_id.notna() & ~rows.seller_id.duplicated(keep=False)
        return rows[is_good & (rows.country == self.country)]

    @cached_property
    def products(self) -> pd.DataFrame:
        """Their products, each with an id and a known type."""
        rows = self.table("products", columns=["sku", "seller_id", "product_type"])
        is_good = rows.sku.notna() & ~rows.sku.duplicated(keep=False)
        is_good &= rows.product_type.isin(self.terms("product_types").product_type)
        rows = rows[is_good & rows.seller_id.isin(self.sellers.seller_id)]
        return rows.rename(columns={"seller_id": "owner"})

    @cached_property
    def items(self) -> pd.DataFrame:
        """The good items with a time since the horizon, as they stood at the instant."""
        rows = self.table(
            "order_items",
            columns=[*TEXTS, *MONEY, *TIMES],
            filters=[[(time, ">=", self.horizon)] for time in TIMES],
        )
        for amount in MONEY:
            kobo = 100 * rows[amount].astype("double[pyarrow]")
            rows[amount] = kobo.to_numpy(float, na_value=np.nan).round()
        rows = rows[~rows.order_item_id.duplicated(keep=False)].merge(self.products, on="sku")
        is_good = (
            (rows.order_item_id.str.len() > 0)
            & (rows.order_number.str.len() > 0)
            & (rows.item_price >= 0)
            & (rows.commission >= 0)
            & (rows.pending_at <= utc(self.now))
            & (rows.owner == rows.seller_id)
            & (rows.delivered_at.isna() | rows.rejected_at.isna())
        )
        for time in TIMES[1:]:
            is_good &= ~(rows[time] < rows.pending_at)
        for event, reason in (("cancelled_at", "cancel_reason"), ("returned_at", "return_reason")):
            is_good &= rows[event].isna() | rows[reason].isin(self.terms(f"{reason}s").reason)
        rows = rows[is_good.fillna(False)].drop(columns=["owner", "item_price"])
        for time in TIMES[1:]:
            rows[time] = rows[time].where(rows[time] <= utc(self.now))
        delivered_or_rejected = earliest(rows.delivered_at, rows.rejected_at)
        rows["ready_from"] = earliest(rows.ready_to_ship_at, rows.shipped_at, delivered_or_rejected)
        rows["shipped_from"] = rows.shipped_at.fillna(delivered_or_rejected)
        return rows

    def in_week(self, times: pd.Series) -> pd.Series:
        """Whether times lie in the observed week."""
        return (times >= utc(self.week_start)) & (times < utc(self.week_end))

    def record(self) -> pd.DataFrame:
        """What each seller shipped and cancelled in the observed week."""
        reasons = self.terms("cancel_reasons")
        items = self.items
        shipped = items[self.in_week(items.shipped_from)].groupby("seller_id")
        cancelled = items[
            self.in_week(items.cancelled_at)
            & items.cancel_reason.isin(reasons[reasons.is_accountable].reason)
        ]
        counts = {
            "shipped_items": shipped.size(),
            "shipped_orders": shipped.order_number.nunique(),
            "cancelled_items": cancelled.groupby("seller_id").size(),
        }
        return pd.DataFrame(counts).fillna(0).astype("int64").reset_index(names="seller_id")

    def order_regulations(self) -> pd.DataFrame:
        """Sellers above the lightest band, with their limits."""
        (terms,) = self.terms("order_regulation").to_dict("records")
        until = self.cycle + timedelta(weeks=1)
        week = self.calendar.day.between(utc(self.cycle), utc(until), inclusive="left")
        days = max(1, int(self.calendar[week].is_fulfilment_day.sum()))
        bands = self.terms("order_regulation_bands")
        bands = bands[bands.daily_order_limit.notna() | bands.daily_share_pct.notna()]
        exempt = self.sellers[self.sellers.is_jumia_express.fillna(False)].seller_id
        rows = self.record().merge(self.sellers[["seller_id"]], on="seller_id")
        rows = rows[~rows.seller_id.isin(exempt)].merge(bands, how="cross")
        base = rows.cancelled_items + rows.shipped_items
        rate = 1_000_000 * rows.cancelled_items
        over, under = base * exact(rows.from_pct), base * exact(rows.to_pct)
        is_in = (rate > over) | (rows.includes_from & (rate == over))
        is_in &= rows.to_pct.isna() | (rate < under) | (rows.includes_to & (rate == under))
        rows = rows[is_in & (base > 0)].copy()
        share = exact(rows.daily_share_pct) * rows.shipped_orders
        limit = (share // (1_000_000 * days)).clip(lower=terms["daily_order_minimum"])
        rows["daily_order_limit"] = rows.daily_order_limit.fillna(limit)
        rows["pending_to_shipped_limit"] = rows.pending_to_shipped_limit.fillna(
            rows.pending_to_shipped_multiple * rows.daily_order_limit
        )
        return rows[["seller_id", "band", "daily_order_limit", "pending_to_shipped_limit"]]

    def charged(self, events: pd.DataFrame, rule: str) -> pd.DataFrame:
        """The commission charges of events (with `event_at`) of the observed week."""
        rules = self.terms("commission_charges")
        (terms,) = rules[rules.rule == rule].to_dict("records")
        rows = events[self.in_week(events.event_at)].merge(
            self.sellers[["seller_id", "onboarded_at"]], on="seller_id"
        )
        exempt = pd.Timedelta(days=terms["exempt_first_days"])
        rows = rows[~(rows.event_at < rows.onboarded_at + exempt)]
        kobo = rows.commission * float(terms["commission_multiple"])
        amount = kobo.round().clip(upper=100 * float(terms["cap"])) / 100
        return rows[["order_item_id"]].assign(amount=amount).query("amount > 0")

    @cached_property
    def out_of_stock(self) -> pd.DataFrame:
        """Charges for items cancelled as out of stock."""
        reasons = self.terms("cancel_reasons")
        items = self.items
        events = items[items.cancel_reason.isin(reasons[reasons.is_out_of_stock].reason)]
        return self.charged(
            events.rename(columns={"cancelled_at": "event_at"}), "out_of_stock_charge"
        )

    def late(self) -> pd.DataFrame:
        """Charges for items not ready by their deadline and not charged as out of stock."""
        (hours,) = self.terms("fulfilment").hours
        days, items = self.calendar, self.items
        local = items.pending_at.dt.tz_localize("UTC").dt.tz_convert(self.time_zone)
        position = np.searchsorted(days.day, local.dt.tz_localize(None), side="right") - 1
        day = days.iloc[position]
        begun = (items.pending_at.to_numpy() - day.starts_at.to_numpy()) // np.timedelta64(1, "us")
        clock = 1_000_000 * day.clock_before.to_numpy() + 3_600_000_000 * int(hours)
        clock += np.where(day.is_fulfilment_day, begun, 0)
        ends = days[days.is_fulfilment_day]
        last = ends.iloc[np.searchsorted(1_000_000 * ends.clock_after, clock, side="left")]
        rest = (clock - 1_000_000 * last.clock_before.to_numpy()).astype("timedelta64[us]")
        items = items.assign(event_at=last.starts_at.to_numpy() + rest)
        events = items[
            (items.event_at <= utc(self.now))
            & ~(items.ready_from <= items.event_at)
            & ~(items.cancelled_at < items.event_at)
        ]
        rows = self.charged(events, "late_fulfilment_charge")
        return rows[~rows.order_item_id.isin(self.out_of_stock.order_item_id)]

    @cached_property
    def returned(self) -> pd.DataFrame:
        """Items returned for quality."""
        reasons = self.terms("return_reasons")
        items = self.items[self.items.returned_at.notna()]
        rows = items[items.return_reason.isin(reasons[reasons.is_quality].reason)]
        return rows.rename(columns={"returned_at": "event_at", "return_reason": "reason"})

    def failed_checks(self) -> pd.DataFrame:
        """The first failed check of each item."""
        checks = self.table("dropoff_qc")
        checks = checks[
            checks.qc_id.notna()
            & ~checks.qc_id.duplicated(keep=False)
            & (checks.result == "failed")
            & checks.failure_reason.isin(self.terms("failure_reasons").reason)
            & (checks.checked_at <= utc(self.now))
            & checks.order_item_id.isin(self.items.order_item_id)
        ]
        first = checks.sort_values(["checked_at", "qc_id"]).drop_duplicates("order_item_id")
        return first.rename(columns={"checked_at": "event_at", "failure_reason": "reason"})

    def quality(self, events: pd.DataFrame, rule: str) -> pd.DataFrame:
        """The fixed charges of events (with `event_at`, `reason`) of the observed week."""
        amounts = self.terms("quality_charges")
        amounts = amounts[amounts.rule == rule].astype({"reason": events.reason.dtype})
        rows = events[self.in_week(events.event_at)].merge(amounts, on="reason")
        return rows[["order_item_id", "amount"]]

    def sales_regulations(self) -> pd.DataFrame:
        """Products with too many rejections or returns."""
        (terms,) = self.terms("sales_regulation").to_dict("records")
        end = self.cycle + timedelta(weeks=1)
        lag = self.cycle - timedelta(weeks=terms["return_lag_weeks"])
        since = self.start_of(end - timedelta(days=terms["rejection_window_days"]))
        returns = [self.start_of(lag), self.start_of(lag + timedelta(weeks=1))]
        items, returned = self.items, self.returned

        def between(times: pd.Series, start: pd.Timestamp, end: pd.Timestamp) -> pd.Series:
            return (times >= start) & (times < end)

        rejected = items[between(items.rejected_at, since, utc(self.week_end))]
        delivered = items[between(items.delivered_at, since, utc(self.week_end))]
        returned = returned[between(returned.event_at, *returns)]
        delivered_then = items[between(items.delivered_at, *returns)]
        rows = pd.DataFrame(
            {
                "rejected": rejected.groupby("sku").size(),
                "rejecting": rejected.groupby("sku").customer_id.nunique(),
                "newly": rejected[rejected.rejected_at >= utc(self.week_start)]
                .groupby("sku")
                .size(),
                "delivered": delivered.groupby("sku").size(),
                "returned": returned.groupby("sku").size(),
                "returning": returned.groupby("sku").customer_id.nunique(),
                "delivered_then": delivered_then.groupby("sku").size(),
            }
        )
        rows = rows.fillna(0).astype("int64").reset_index(names="sku")
        thresholds = self.terms("sales_regulation_thresholds")
        thresholds = thresholds[thresholds.sku.isna()].drop(columns="sku")
        thresholds = thresholds.astype({"product_type": self.products.product_type.dtype})
        rows = rows.merge(self.products, on="sku").merge(thresholds, on="product_type")
        minimum = terms["minimum_customers"]
        by_rejections = (rows.rejecting >= minimum) & (
            1_000_000 * rows.rejected
            > exact(rows.rejection_over_pct) * (rows.rejected + rows.delivered)
        )
        by_returns = (rows.returning >= minimum) & (
            1_000_000 * rows.returned
            > exact(rows.return_over_pct) * rows[["returned", "delivered_then"]].max(axis=1)
        )
        grounds = np.select(
            [by_rejections & by_returns, by_rejections, by_returns],
            ["rejection_rate,return_rate", "rejection_rate", "return_rate"],
            "",
        )
        occurrence = pd.Series(1, rows.index, dtype="Int64").where(by_returns | (rows.newly > 0))
        rows = rows[["sku"]].assign(grounds=grounds, occurrence=occurrence)
        return rows[by_rejections | by_returns]


def utc(instant: date) -> pd.Timestamp:
    """An instant, or a day's start, as NumPy's times have it: in UTC, without a zone."""
    if isinstance(instant, datetime):
        instant = instant.astimezone(UTC).replace(tzinfo=None)
    return pd.Timestamp(instant)


def earliest(*times: pd.Series) -> pd.Series:
    """The earliest of each row's times that are there."""
    first = times[0].to_numpy()
    for others in times[1:]:
        first = np.fmin(first, others.to_numpy())
    return pd.Series(first, times[0].index)


def exact(pct: pd.Series) -> pd.Series:
    """Percentages as whole ten-thousandths of a percent, exact; missing ones stay so."""
    return (10_000 * pct).astype(float).round().astype("Int64")
