"""A ledger with notices to be sent, and what became of them."""

from __future__ import annotations

from datetime import datetime

from ledger import made

from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.ledger import Ledger

LONG_AGO = datetime(2024, 11, 20, 7, tzinfo=made.LAGOS)


def freeze_for(ledger: Ledger, sellers: int, *, is_simulated: bool = True) -> list[str]:
    """A cycle with one charge for each of so many sellers."""
    names = [f"S-{n}" for n in range(sellers)]
    charges = [made.charge(name, f"I{n}") for n, name in enumerate(names)]
    made.freeze_cycle(
        ledger, charges, now=None if is_simulated else LONG_AGO, is_simulated=is_simulated
    )
    return names


def statuses(ledger: Ledger) -> dict[str, str]:
    """The outcome of each seller's last attempt."""
    n = views.notice_states.c
    return dict(made.rows(ledger, n.seller_id, n.status))


def charged(ledger: Ledger) -> dict[str, str]:
    """The state of each seller's one charge."""
    s = views.action_states.c
    return dict(made.rows(ledger, s.seller_id, s.state))


def withdraw(ledger: Ledger, seller_id: str) -> None:
    s = views.action_states.c
    (action_id,) = (a for a, of in made.rows(ledger, s.action_id, s.seller_id) if of == seller_id)
    with ledger.writing(is_simulated=True, now=made.ALERT_AT) as connection:
        connection.execute(
            schema.action_events.insert().values(
                action_id=action_id, state="withdrawn", at=made.ALERT_AT, cause="tried"
            )
        )
