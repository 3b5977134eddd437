"""One slot at one instant: its period, its `now`, its policy, its partitions (Rulebook §2).

Here belongs what every step of a slot needs to know. What the steps do is in `weekly`,
`late_orders`, `claims` and `mail`; none of this knows Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property

from vibes_pipeline.calendar import ObservedWeek, Slot, day_start
from vibes_pipeline.engine.choice import engine_of
from vibes_pipeline.engine.protocol import Engine, Parameters
from vibes_pipeline.errors import VibesError
from vibes_pipeline.keys import home_key
from vibes_pipeline.lake import partition_folder, require_kept
from vibes_pipeline.policy import Policy
from vibes_pipeline.policy.tables import policy_tables
from vibes_pipeline.settings import Settings
from vibes_pipeline.warehouse.contract import BOUNDS, LATEST_INSTANT
from vibes_pipeline.warehouse.source import Warehouse
from vibes_pipeline.zones import require_agreement

# No good item is so new: with this horizon the working set holds only items asked for by id.
NO_HORIZON = LATEST_INSTANT


@dataclass(frozen=True)
class SlotRun:
    """A slot of a period, as of `now`."""

    slot: Slot
    period: date
    now: datetime
    is_simulated: bool
    policy: Policy
    settings: Settings = field(repr=False)
    engine: Engine = field(repr=False)

    @classmethod
    def begin(
        cls,
        slot: Slot,
        period: date,
        policy: Policy,
        settings: Settings,
        *,
        now: datetime,
        is_simulated: bool,
        warehouse: Warehouse | None = None,
    ) -> SlotRun:
        """The slot of a period at its one instant; `order` says whether it may be begun.

        `warehouse` is the one an earlier step has read: the slot goes on with the state it saw.
        Raises `TimeZoneError` when an engine's local time is another than the calendar's.
        """
        require_agreement(policy.calendar)
        now = now.astimezone(policy.time_zone)
        return cls(
            slot=slot,
            period=period,
            now=now,
            is_simulated=is_simulated,
            policy=policy,
            settings=settings,
            engine=engine_of(
                slot,
                settings,
                warehouse or Warehouse.of(settings),
                partition_folder(settings.lake, policy.country, slot, period),
                policy.time_zone,
                policy_tables(policy),
            ),
        )

    @property
    def due_at(self) -> datetime:
        """When the slot was due; `now` is later when it was missed."""
        return self.policy.slot_calendar.due_at(self.slot, self.period)

    @property
    def week(self) -> ObservedWeek:
        """The observed week of a weekly slot."""
        return ObservedWeek(self.period, self.policy.time_zone)

    @property
    def view(self) -> Parameters:
        """The parameters of every model of any slot: one country, as of `now` (§13).

        They hold the key that hashes customers' ids; no model puts the key into its rows.
        """
        return {
            "country": self.policy.country,
            "now": self.now,
            "customer_key": home_key(self.settings.home).customers,
            **BOUNDS,
        }

    def parameters(
        self, *, first_cycle: date | None = None, horizon: datetime | None = None
    ) -> Parameters:
        """The parameters of this slot's models.

        `first_cycle` is the first cycle of this ledger, by default this one; `horizon` is how
        far back the working set reaches, by default as far as any weekly rule looks.
        """
        return {
            **self.view,
            "cycle": self.period,
            "week_start": self.week.start,
            "week_end": self.week.end,
            "first_cycle": min(first_cycle or self.period, self.period),
            "horizon": horizon or self._horizon,
        }

    def require_decided(self, relation: str) -> None:
        """`VibesError` when the lake lacks the relation's partition of this decided cycle."""
        require_kept(self.engine.folder, self.period)
        if not self.engine.partition(relation).exists():
            raise VibesError(
                f"{self.engine.folder} lacks the partitions that cycle {self.period} was decided "
                "on; restore the lake's backup and run the slot again"
            )

    def day_start(self, day: date) -> datetime:
        """Local 00:00 of a day."""
        return day_start(day, self.policy.time_zone)

    def earliest_entry(self, day: date) -> datetime:
        """How early an item may have entered a state whose deadline falls on the day or later.

        From that time to the day the fulfilment clock has run its hours. Raises
        `CalendarError` for a day, or a `now`, outside the years whose holidays are listed.
        """
        calendar = self.policy.calendar
        calendar.require(day)
        calendar.require(self.policy.local_date(self.now))
        clock_seconds = 3600 * self.policy.fulfilment.hours.on(day)
        days = calendar.days()
        start = first = (day - days[0].day).days
        while start > 0 and days[first].clock_before - days[start].clock_before < clock_seconds:
            start -= 1
        # Items that entered while the clock stood still wait for it: include those days.
        while start > 0 and not days[start - 1].is_fulfilment_day:
            start -= 1
        return days[start].starts_at

    @cached_property
    def _horizon(self) -> datetime:
        """The earliest time of an item that a weekly rule may look at."""
        monday, week = self.period, timedelta(weeks=1)
        rejections = self.policy.sales_regulation.rejection_window_days.on(monday)
        return self.earliest_entry(
            min(
                monday - timedelta(days=self.policy.late_data.late_arrival_days.on(monday)),
                monday + week - timedelta(days=rejections),
                monday + week - week * self.policy.order_regulation.window_weeks.on(monday),
                monday - week * self.policy.sales_regulation.return_lag_weeks.on(monday),
            )
        )
