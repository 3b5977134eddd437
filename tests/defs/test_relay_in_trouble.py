"""A relay that refuses everyone, as the slots, the sensors and the operators meet it (Rulebook §2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from cli import troubles
from defs import loaded
from defs.factory import Factory
from ledger import made
from notices.relay import Relay, relaying
from rules.marketplace import NIGERIA

from vibes_pipeline.calendar import Slot
from vibes_pipeline.dagster_host import in_process
from vibes_pipeline.definitions import definitions
from vibes_pipeline.defs import operators, sensors
from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger import views
from vibes_pipeline.ledger.ledger import Ledger

OPERATOR = "night@operators.example"
REFUSAL = "550 5.7.1 relaying denied"


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """Refuses every seller; takes what goes to the operators."""
    to = {OPERATOR: {"RCPT": "250 OK"}}
    with relaying(Relay(says={"RCPT": REFUSAL}, to=to)) as server:
        monkeypatch.setenv("VIBES_SMTP_URL", server.url)
        monkeypatch.setenv("VIBES_MAIL_FROM", "vibes@mail.example")
        monkeypatch.setenv("VIBES_OPERATORS", OPERATOR)
        yield server


def due_cycle() -> date:
    return NIGERIA.slot_calendar.period_of(Slot.WEEKLY_ALERT, datetime.now(UTC))


def run_alert(factory: Factory) -> None:
    in_process.run_slot(Slot.WEEKLY_ALERT, due_cycle(), factory.instance)


def statuses(ledger: Ledger) -> Counter[str]:
    return Counter(status for (status,) in made.rows(ledger, views.notice_states.c.status))


def tell(factory: Factory) -> Any:
    """Evaluate `failed_runs` for the newest run."""
    run = factory.instance.get_runs(limit=1)[0]
    (failure,) = [
        entry.get_dagster_event()
        for entry in factory.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    ]
    context = dg.build_run_status_sensor_context(
        "failed_runs",
        dagster_event=failure,
        dagster_instance=factory.instance,
        dagster_run=run,
        resources=loaded.country(definitions),
    )
    return operators.failed_runs(context.for_run_failure())


def put_back(ledger: Ledger, by: timedelta) -> None:
    """As if everything had happened that much earlier; only who owns the database can do this."""
    with ledger.engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        for table, column in (("notices", "planned_at"), ("deliveries", "at")):
            connection.execute(
                sa.text(f"UPDATE ledger.{table} SET {column} = {column} - :by"), {"by": by}
            )


def test_a_slot_whose_mails_the_relay_refuses_fails_and_ends_once_they_are_sent(
    factory: Factory, relay: Relay
) -> None:
    factory.market = troubles.market(due_cycle().isoformat())
    factory.market.write(factory.folder / "raw")
    with pytest.raises(MailError) as error:
        run_alert(factory)
    assert str(error.value).startswith(
        f"the mail server takes no mails, whoever they are to ({REFUSAL}); 5 deferred; "
    )
    assert statuses(factory.ledger) == {"deferred": troubles.SELLERS}
    check = factory.evaluations()["every_notice_is_accepted"]
    assert not check.passed
    assert check.metadata["not_accepted"].value == troubles.SELLERS
    assert not factory.ledger.is_finished(Slot.WEEKLY_ALERT, due_cycle())
    assert "notices/weekly_alerts" not in factory.materialized()

    # One mail to each operator, with the relay's words.
    assert tell(factory) is None
    assert relay.mails == [OPERATOR]

    # Tried again before anything is due, the slot is not done by that.
    with pytest.raises(MailError, match="none of the 5 notices is sent yet, 5 wait for another"):
        run_alert(factory)
    relay.says = {}
    put_back(factory.ledger, timedelta(minutes=5))
    run_alert(factory)
    assert statuses(factory.ledger) == {"sent": troubles.SELLERS}
    assert factory.ledger.is_finished(Slot.WEEKLY_ALERT, due_cycle())
    assert len(relay.mails) == 1 + troubles.SELLERS


def test_a_relay_in_trouble_is_tried_with_growing_pauses_and_told_of_once(
    factory: Factory, relay: Relay
) -> None:
    factory.market = troubles.market(due_cycle().isoformat())
    factory.market.write(factory.folder / "raw")
    with pytest.raises(MailError):
        run_alert(factory)
    put_back(factory.ledger, timedelta(hours=2))

    def wanted() -> bool:
        context = dg.build_sensor_context(
            instance=factory.instance, resources=loaded.country(definitions)
        )
        asked = sensors.undelivered_notices(context)
        return bool(getattr(asked, "run_requests", None))

    told = []
    for _ in range(3):
        job = definitions.resolve_job_def("notice_delivery")
        assert not job.execute_in_process(instance=factory.instance, raise_on_error=False).success
        put_back(factory.ledger, timedelta(hours=2))
        assert not wanted(), "they are due, but the last delivery failed just now"
        told.append(tell(factory))
    assert relay.mails == [OPERATOR]
    assert [isinstance(skipped, dg.SkipReason) for skipped in told] == [False, True, True]

    relay.says = {}
    assert job.execute_in_process(instance=factory.instance).success
    assert statuses(factory.ledger) == {"sent": troubles.SELLERS}
    assert not wanted()
