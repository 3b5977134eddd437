"""How a query asks for what is at hand, so that its cost does not grow with the ledger's age.

Here belong the conditions alone: open, unsent, one of some ids. Which rows the rules need says
`history`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from vibes_pipeline.ledger import schema


def is_open(action_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether an action is proposed or alerted: neither implemented, withdrawn nor expired."""
    return action_id.in_(sa.select(schema.open_actions.c.action_id))


def is_unsent(notice_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether no mail server has accepted a notice."""
    return notice_id.in_(sa.select(schema.unsent_notices.c.notice_id))


def waits_for_a_person(claim_id: sa.ColumnElement[Any], country: str) -> sa.ColumnElement[bool]:
    """Whether a claim was accepted at intake and is not decided."""
    o = schema.open_claims.c
    return is_one_of(claim_id, sa.select(o.claim_id).where(o.country == country))


def is_one_of(column: sa.ColumnElement[Any], few: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """Whether a value is among the few of a query; each is looked up by index, below a view too."""
    return column == sa.any_(sa.func.array(few.scalar_subquery()))


def is_any_of(column: sa.ColumnElement[Any], ids: Sequence[str]) -> sa.ColumnElement[bool]:
    """Whether a text is one of the ledger's own few ids; each is looked up as by `is_one_of`."""
    return column == sa.any_(sa.literal(ids, sa.ARRAY(sa.Text)))


def is_among(column: sa.ColumnElement[Any], ids: Iterable[str]) -> sa.ColumnElement[bool]:
    """Whether a text is one of many thousands; one with a NUL is none that the ledger holds."""
    held = json.dumps([text for text in ids if "\0" not in text], ensure_ascii=False)
    return column.in_(
        sa.select(sa.func.jsonb_array_elements_text(sa.cast(sa.literal(held, sa.Text), JSONB)))
    )
