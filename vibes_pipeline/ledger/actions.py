"""Decisions as actions: their ids, columns and evidence, and the hash of all (Rulebook §2, §12).

Here belongs what is made before anything is recorded. The rows are `proposals`'s. A proposal is a
frame with the columns of `ledger.actions`: ids are text, evidence is the text of a JSON object.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from json.encoder import encode_basestring_ascii

import polars as pl

from vibes_pipeline.ledger import identity, schema
from vibes_pipeline.ledger.copying import storable
from vibes_pipeline.ledger.frames import frame_schema
from vibes_pipeline.rules import REGISTRY, Rule

# What others are shown of an action and its present state.
SHOWN_COLUMNS = (
    *("action_id", "reference", "rule", "cycle", "seller_id", "sku", "order_number"),
    *("order_item_id", "amount", "currency", "band", "daily_order_limit"),
    *("pending_to_shipped_limit", "grounds", "occurrence", "state", "policy_version"),
    *("proposed_at", "alerted_at", "implemented_at", "reversed_at", "claim_id", "cause"),
    *("withdrawn_at", "expired_at", "event_at"),
)
# Columns of a decision that the ledger has columns for; every other one is evidence.
DECIDED_COLUMNS = tuple(c.name for c in schema.actions.columns if c.info.get("is_decided"))
PROPOSAL = frame_schema(schema.actions.columns)
# A proposal is hashed by so many actions at a time, for each is a long text.
HASHED_AT_ONCE = 10_000
# Text that is the same in JSON.
PLAIN = r"^[ !#-\[\]-~]*$"
CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class Terms:
    """What every action of a proposal shares."""

    country: str
    cycle: date
    currency: str
    policy_version: str
    notice_hours: int


def actions_of(rule: str, decisions: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """One action per row of a decision; columns the ledger does not have become its evidence.

    `TypeError` for a decision without the evidence that the registry names for its rule: a view or
    a later slot would silently find nothing. Likewise for evidence that would not read the same
    before and after the database, such as a floating-point number.
    """
    _require_evidence(rule, decisions)
    subjects = decisions[REGISTRY[Rule(rule)].subject.value]
    ids = identity.action_ids(terms.country, rule, terms.cycle, subjects)
    decided = storable(decisions)
    evidence = [name for name in decided.columns if name not in DECIDED_COLUMNS]
    lacking = [name for name in DECIDED_COLUMNS if name not in decided.columns]
    return (
        decided.with_columns(pl.lit(None).alias(name) for name in lacking)
        .with_columns(_as_json(decided[name]) for name in evidence)
        .with_columns(
            ids.alias("action_id"),
            identity.references(terms.country, ids).alias("reference"),
            _object_of(evidence).alias("evidence"),
            country=pl.lit(terms.country),
            rule=pl.lit(rule),
            cycle=terms.cycle,
            currency=pl.when(pl.col("amount").is_not_null()).then(pl.lit(terms.currency)),
            notice_hours=terms.notice_hours,
            policy_version=pl.lit(terms.policy_version),
        )
        .select(pl.col(name).cast(type_) for name, type_ in PROPOSAL.items())
    )


def _require_evidence(rule: str, decisions: pl.DataFrame) -> None:
    for key, type_ in REGISTRY[Rule(rule)].evidence.items():
        found = decisions.schema.get(key)
        if found is None or found.to_python() is not type_:
            raise TypeError(
                f"the decision of {rule} needs a column {key} of {type_.__name__}, "
                f"it has {found or 'none'}"
            )


def proposal_hash(proposal: pl.DataFrame) -> str:
    """SHA-256 over the actions in the order of their ids, each in one canonical form."""
    digest = hashlib.sha256()
    for actions in proposal.select(*PROPOSAL).sort("action_id").iter_slices(HASHED_AT_ONCE):
        evidence = [CANONICAL.encode(json.loads(text)) for text in actions["evidence"]]
        columns = [_as_json(column) for column in actions.drop("evidence")]
        texts = pl.DataFrame([*columns, pl.Series("evidence", evidence, dtype=pl.String)])
        for text in texts.select(_object_of(texts.columns)).to_series():
            digest.update(f"{text}\n".encode())
    return digest.hexdigest()


def _as_json(column: pl.Series) -> pl.Series:
    """Each value as JSON; decimals and times as text, so that a value reads the same before and
    after the database.
    """
    value = pl.col(column.name)
    match column.dtype:
        case pl.String():
            if column.str.contains(PLAIN).all():
                text = _quoted(value)
            else:
                # JSON's own words for any letter that is not plain ASCII.
                texts = (None if text is None else encode_basestring_ascii(text) for text in column)
                column, text = pl.Series(column.name, texts, dtype=pl.String), value
        case pl.Decimal(scale=int(scale)):
            # 2.5000 of a computation and 2.50 of a column are one value.
            digits = value.cast(pl.String)
            shortest = digits.str.strip_chars_end("0").str.strip_chars_end(".")
            text = _quoted(shortest if scale else digits)
        case pl.Datetime(time_zone=str()):
            instant = value.cast(pl.Datetime("us", "UTC")).dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
            text = _quoted(pl.concat_str(instant.str.strip_suffix(".000000"), pl.lit("+00:00")))
        case pl.Date():
            text = _quoted(value.cast(pl.String))
        case pl.Boolean() | pl.Null():
            text = value.cast(pl.String)
        case type_ if type_.is_integer():
            text = value.cast(pl.String)
        case type_:
            raise TypeError(f"{column.name} of {type_} does not read the same from the database")
    return column.to_frame().select(text.fill_null("null").alias(column.name)).to_series()


def _quoted(text: pl.Expr) -> pl.Expr:
    return pl.concat_str(pl.lit('"'), text, pl.lit('"'))


def _object_of(names: Iterable[str]) -> pl.Expr:
    """One JSON object per row, of columns that hold JSON: keys sorted, no blanks."""
    members = [pl.concat_str(pl.lit(f"{json.dumps(name)}:"), name) for name in sorted(names)]
    inner = pl.concat_str(members, separator=",") if members else pl.lit("")
    return pl.concat_str(pl.lit("{"), inner, pl.lit("}"))
