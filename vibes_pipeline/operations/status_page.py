"""A status as a page, with which the web UI opens; it leads on to all others."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_urlsafe

from vibes_pipeline.ledger.ledger import LedgerMode
from vibes_pipeline.operations.slot_states import SlotState, SlotStatus
from vibes_pipeline.operations.status import Status
from vibes_pipeline.operations.status_text import IN_ORDER, STATES, ledger_words
from vibes_pipeline.operations.verdict import Verdict, headline, points, verdict_of
from vibes_pipeline.policy import Policy
from vibes_pipeline.reports.page import common, environment, weeks_address

RELOAD_SECONDS = 20
COLOURS: Mapping[SlotState, str] = {
    SlotState.DONE: Verdict.OK,
    SlotState.LATE: Verdict.FAILING,
    SlotState.FAILED: Verdict.FAILING,
    SlotState.MISSED: Verdict.ATTENTION,
    SlotState.NOT_DUE: "",
    SlotState.DUE: "",
    SlotState.RUNNING: "",
    SlotState.NOT_REPLAYED: "",
}


def links(policy: Policy) -> dict[str, str]:
    """Where one goes from here, on the same host."""
    return {
        "Lineage": "/asset-groups",
        "Runs": "/runs",
        "Timeline": "/overview/activity/timeline",
        "Schedules and sensors": "/automation",
        "Weekly reports": weeks_address(policy),
    }


def render(status: Status) -> str:
    """The page."""
    policy, found = status.policy, points(status)
    mode = status.ledger.mode
    return (
        environment(policy)
        .get_template("status.html")
        .render(
            status=status,
            verdict=verdict_of(found).value,
            headline=headline(found),
            points=found,
            waiting_causes=sum(point.waits for point in found),
            links=links(policy),
            state_words=_state_words,
            verdict_of_state=COLOURS,
            ledger_words=ledger_words(status) if mode else "",
            is_simulated=mode is LedgerMode.SIMULATED,
            reload_seconds=RELOAD_SECONDS,
            nonce=token_urlsafe(16),
            **common(policy),
        )
    )


def _state_words(slot: SlotStatus) -> str:
    """The state, and the period that it is about."""
    if slot.next_due_at is None and slot.state is SlotState.DONE:
        return IN_ORDER
    return f"{STATES[slot.state]}{f', {slot.period}' if slot.period else ''}"
