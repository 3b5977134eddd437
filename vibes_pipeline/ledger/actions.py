"""Decisions as actions: their ids, columns and evidence, and the hash of all (Rulebook §2, §12).

Here belongs what is made before anything is recorded. The rows are `proposals`'s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import polars as pl

from vibes_pipeline.ledger import identity, schema
from vibes_pipeline.ledger.frames import frame_schema
from vibes_pipeline.rules import REGISTRY, Rule

Action = Mapping[str, Any]

# Columns of a decision that the ledger has columns for; every other one is evidence.
DECIDED_COLUMNS = tuple(c.name for c in schema.actions.columns if c.info.get("is_decided"))


@dataclass(frozen=True)
class Terms:
    """What every action of a proposal shares."""

    country: str
    cycle: date
    currency: str
    policy_version: str
    notice_hours: int


def actions_of(rule: str, decisions: pl.DataFrame, terms: Terms) -> list[Action]:
    """One action per row of a decision; columns the ledger does not have become its evidence.

    `TypeError` for a decision without the evidence that the registry names for its rule: a view or
    a later slot would silently find nothing.
    """
    _require_evidence(rule, decisions)
    subject = REGISTRY[Rule(rule)].subject.value
    evidence_columns = [c for c in decisions.columns if c not in DECIDED_COLUMNS]
    made: list[Action] = []
    for row in decisions.iter_rows(named=True):
        action_id = identity.action_id(terms.country, rule, terms.cycle, row[subject])
        made.append(
            {
                "action_id": action_id,
                "reference": identity.reference(terms.country, action_id),
                "country": terms.country,
                "rule": rule,
                "cycle": terms.cycle,
                "currency": None if row.get("amount") is None else terms.currency,
                "notice_hours": terms.notice_hours,
                "policy_version": terms.policy_version,
                **{column: storable(row.get(column)) for column in DECIDED_COLUMNS},
                "evidence": {column: _as_json(row[column]) for column in evidence_columns},
            }
        )
    return made


def _require_evidence(rule: str, decisions: pl.DataFrame) -> None:
    for key, type_ in REGISTRY[Rule(rule)].evidence.items():
        found = decisions.schema.get(key)
        if found is None or found.to_python() is not type_:
            raise TypeError(
                f"the decision of {rule} needs a column {key} of {type_.__name__}, "
                f"it has {found or 'none'}"
            )


def proposal_frame(actions: Sequence[Action], time_zone: ZoneInfo) -> pl.DataFrame:
    """Actions as a frame that Parquet can hold: ids and evidence (JSON) as text."""
    types = frame_schema(schema.actions.columns, pl.Datetime("us", time_zone.key))
    rows = [
        {**a, "action_id": str(a["action_id"]), "evidence": json.dumps(a["evidence"])}
        for a in actions
    ]
    return pl.DataFrame(rows, schema=types, orient="row")


def proposal_rows(frame: pl.DataFrame) -> list[Action]:
    """The actions of a frame that `proposal_frame` made."""
    return [
        {**row, "action_id": UUID(row["action_id"]), "evidence": json.loads(row["evidence"])}
        for row in frame.iter_rows(named=True)
    ]


def proposal_hash(actions: Iterable[Action]) -> str:
    """SHA-256 over the actions in the order of their ids, each in one canonical form."""
    digest = hashlib.sha256()
    for action in sorted(actions, key=lambda a: str(a["action_id"])):
        plain = {c.name: _as_json(action[c.name]) for c in schema.actions.columns}
        digest.update(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _as_json(value: object) -> Any:
    """Decimals and times as text, so that a value reads the same before and after the database."""
    match value:
        case Decimal():
            # 2.5000 of a computation and 2.50 of a column are one value.
            return format(value.normalize(), "f")
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
        case str():
            return storable(value)
        case Mapping():
            return {key: _as_json(inner) for key, inner in value.items()}
        case _:
            return value


def storable(value: object) -> object:
    """The value as PostgreSQL can hold it: any text but a NUL."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value
