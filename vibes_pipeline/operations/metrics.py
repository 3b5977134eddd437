"""A status as Prometheus scrapes it.

A registry of its own is made for each scrape, from the same status that the page shows: nothing is
counted in this process. Everything is the ledger's present state or a total that only rises.
Prometheus knows only binary floating point, so here, and nowhere else, money is a float: for
watching, never for booking.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from vibes_pipeline.ledger.ledger import LedgerMode
from vibes_pipeline.ledger.states import NOT_SENT
from vibes_pipeline.operations.causes import TOLD, Cause
from vibes_pipeline.operations.slot_states import SlotState
from vibes_pipeline.operations.status import Status
from vibes_pipeline.operations.verdict import Verdict, points, verdict_of


def exposition(status: Status) -> bytes:
    """The text that a scrape is answered with."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(status))
    return generate_latest(registry)


# The registry knows a collector by its identity.
@dataclass(frozen=True, eq=False)
class StatusCollector(Collector):
    """The metrics of one status; of what is not known there are no samples."""

    status: Status

    def collect(self) -> Iterable[Metric]:
        """Every family."""
        yield self._info()
        yield from self._verdict()
        if not self._is_up:
            return
        yield from self._ledger()
        yield from self._slots()
        yield from self._waiting()
        yield from self._warehouse()
        yield from self._totals()

    def _info(self) -> Metric:
        info = {"country": self.status.policy.country, **self.status.versions}
        return InfoMetricFamily("vibes", "The versions of what runs", value=info)

    def _verdict(self) -> Iterator[Metric]:
        verdict = verdict_of(points(self.status))
        yield _gauge(
            "vibes_verdict",
            "1 for the present verdict, 0 for the others",
            ("verdict",),
            (((each,), each is verdict) for each in Verdict),
        )
        yield _gauge("vibes_ledger_up", "Whether the ledger can be asked", (), [((), self._is_up)])

    @property
    def _is_up(self) -> bool:
        return self.status.ledger.mode is not None

    def _ledger(self) -> Iterator[Metric]:
        mode, heard_at = self.status.ledger.mode, self.status.daemon_heard_at
        yield _gauge(
            "vibes_ledger_mode",
            "1 for the ledger's mode, 0 for the others",
            ("mode",),
            (((each.name.lower(),), each is mode) for each in LedgerMode),
        )
        yield _gauge(
            "vibes_daemon_last_heard_timestamp_seconds",
            "When the daemon that starts the slots was last heard of",
            (),
            [((), heard_at.timestamp())] if heard_at else [],
        )

    def _slots(self) -> Iterator[Metric]:
        slots = self.status.slots
        yield _gauge(
            "vibes_slot_state",
            "1 for the slot's present state, 0 for the others",
            ("slot", "state"),
            (((s.slot, each), s.state is each) for s in slots for each in SlotState),
        )
        timed = [slot for slot in slots if slot.next_due_at]
        yield _gauge(
            "vibes_slots_missing",
            "Periods of the slot that are due and not done",
            ("slot",),
            (((slot.slot,), slot.missing) for slot in timed),
        )
        for name, help_text, instants in (
            ("last_done", "The instant of the newest period done", [s.done_at for s in timed]),
            ("next_due", "When the slot is due next", [s.next_due_at for s in timed]),
            (
                "missing_since",
                "Since when the oldest period that is not done has been due",
                [s.due_at if s.missing else None for s in timed],
            ),
        ):
            yield _gauge(
                f"vibes_slot_{name}_timestamp_seconds",
                help_text,
                ("slot",),
                (((s.slot,), at.timestamp()) for s, at in zip(timed, instants, strict=True) if at),
            )

    def _waiting(self) -> Iterator[Metric]:
        unsent = {each.status: each for each in self.status.outbox}
        yield _gauge(
            "vibes_notices_unsent",
            "Notices that are still to be delivered",
            ("status",),
            (((s,), unsent[s].count if s in unsent else 0) for s in NOT_SENT),
        )
        yield _gauge(
            "vibes_notices_oldest_unsent_timestamp_seconds",
            "When the oldest notice that is still to be delivered was planned",
            ("status",),
            (((each.status,), each.oldest_at.timestamp()) for each in unsent.values()),
        )
        counts = {waits.cause: waits.count for waits in self.status.waiting}
        yield _gauge(
            "vibes_waiting",
            "What waits by its cause, for a person or for information",
            ("cause", "for_a_person"),
            (
                ((cause, str(TOLD[cause].is_for_a_person).lower()), counts.get(cause, 0))
                for cause in Cause
                if cause is not Cause.SLOTS_LATE
            ),
        )

    def _warehouse(self) -> Iterator[Metric]:
        tables = self.status.warehouse.tables or {}
        yield _gauge(
            "vibes_warehouse_complete_through_timestamp_seconds",
            "Up to when the warehouse says that a table is complete",
            ("table",),
            (((name,), at.timestamp()) for name, at in tables.items() if at),
        )

    def _totals(self) -> Iterator[Metric]:
        actions = CounterMetricFamily(
            "vibes_actions", "Actions that have entered a state", labels=("rule", "state")
        )
        for total in self.status.actions:
            actions.add_metric((total.rule, total.state), total.count)
        yield actions
        money = CounterMetricFamily(
            "vibes_posted_amount",
            "Money posted, in units of the currency, reversals counted up too",
            labels=("rule", "kind", "currency"),
        )
        for posted in self.status.posted:
            labels = (posted.rule, posted.kind, posted.currency)
            money.add_metric(labels, float(abs(posted.amount)))
        yield money


def _gauge(
    name: str,
    help_text: str,
    labels: tuple[str, ...],
    samples: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    """A family and its samples, each the values of its labels and its own."""
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
