"""Mails to operators in the ledger: planned with their words, then sent attempt by attempt (§17).

Every row is appended. Here belong planning a mail and what its sender asks; how it is worded and
how it travels is not known here. A failed run may come before the ledger's first slot, so nothing
here opens the ledger, or asks whether it is open.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from vibes_pipeline.ledger import schema, views
from vibes_pipeline.ledger.identity import VIBES_NAMESPACE
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.ledger.states import Status

# Nothing more is done about a mail to one operator; `unknown` once is sent once more.
ENDED = (Status.SENT, Status.STORED, Status.FAILED)


class Kind(StrEnum):
    """What operators are written to about, by the outbox."""

    MORNING = "morning"
    FAILED_RUN = "failed_run"


@dataclass(frozen=True)
class OperatorsMail:
    """A mail as it was worded; `told` is what the next one about the same is compared with."""

    kind: Kind
    about: str
    told: Mapping[str, Any]
    planned_at: datetime
    pointless_at: datetime
    subject: str
    body: str
    html: str | None = None


@dataclass(frozen=True)
class OpenMail:
    """A mail that one operator, known by the hash of the address, has not got yet."""

    mail_id: UUID
    address_hash: str
    status: str
    attempt: int
    last_at: datetime
    unknowns: int
    subject: str
    body: str
    html: str | None
    planned_at: datetime


def plan(
    ledger: Ledger, mail: OperatorsMail, addresses: Collection[str], occasion: str = ""
) -> bool:
    """Append a mail that goes to these addresses, given as hashes; False if it is there already.

    `occasion` tells several mails about the same apart.
    """
    name = "|".join((ledger.country, mail.kind, mail.about, occasion))
    row = {"mail_id": uuid5(VIBES_NAMESPACE, name), "country": ledger.country, **vars(mail)}
    with ledger.engine.begin() as connection:
        added = connection.execute(
            insert(schema.operators_mails)
            .values(row)
            .on_conflict_do_nothing()
            .returning(schema.operators_mails.c.mail_id)
        ).scalar()
        if added is not None and addresses:
            queued = {"mail_id": added, "attempt": 0, "status": Status.QUEUED}
            connection.execute(
                insert(schema.operators_deliveries),
                [
                    {**queued, "address_hash": address, "at": mail.planned_at}
                    for address in dict.fromkeys(addresses)
                ],
            )
    return added is not None


def newest(
    ledger: Ledger, kind: Kind, about: str | None = None, *, before: str | None = None
) -> OperatorsMail | None:
    """The mail of a kind that was planned last, about one thing, or about what sorts before it."""
    m = schema.operators_mails.c
    columns = [m[name] for name in OperatorsMail.__dataclass_fields__]
    select = sa.select(*columns).where(m.country == ledger.country, m.kind == kind)
    if about is not None:
        select = select.where(m.about == about)
    if before is not None:
        select = select.where(m.about < before)
    with ledger.reading() as connection:
        row = connection.execute(
            select.order_by(m.planned_at.desc(), m.mail_id).limit(1)
        ).one_or_none()
    return OperatorsMail(*row) if row else None


def open_mails(ledger: Ledger, now: datetime) -> list[OpenMail]:
    """Mails that an operator has not got and that are not past their time, oldest first."""
    s, m = views.operators_mail_states.c, schema.operators_mails.c
    columns = [
        (m if name in ("subject", "body", "html") else s)[name]
        for name in OpenMail.__dataclass_fields__
    ]
    with ledger.reading() as connection:
        rows = connection.execute(
            sa.select(*columns)
            .join(schema.operators_mails, m.mail_id == s.mail_id)
            .where(
                s.country == ledger.country,
                s.pointless_at > now,
                s.status.not_in(ENDED),
            )
            .order_by(s.planned_at, s.mail_id, s.address_hash)
        )
        return [OpenMail(*row) for row in rows]


def record(
    ledger: Ledger,
    mail: OpenMail,
    attempt: int,
    status: str,
    at: datetime,
    *,
    code: int | None = None,
    detail: str | None = None,
) -> None:
    """Append the beginning of an attempt, `sending`, or its outcome."""
    with ledger.engine.begin() as connection:
        connection.execute(
            insert(schema.operators_deliveries).values(
                mail_id=mail.mail_id,
                address_hash=mail.address_hash,
                attempt=attempt,
                status=status,
                at=at,
                code=code,
                detail=detail,
            )
        )
