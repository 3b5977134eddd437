"""Deterministic names: action ids and references, notice and posting ids (Rulebook §12).

A rerun makes the same names, so the ledger's keys refuse to record anything twice. Ids are made a
column at a time; in a frame an id is text.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Iterable
from datetime import date
from uuid import NAMESPACE_URL, UUID, uuid5

import polars as pl

from vibes_pipeline.rules import ITEM_RULES

VIBES_NAMESPACE = uuid5(NAMESPACE_URL, "vibes")
# Of a reference; eight characters of base32 are five bytes.
REFERENCE_BYTES = 5
# What RFC 4122 makes of a hexadecimal digit whose first two bits say the variant.
VARIANT = {f"{digit:x}": f"{0b1000 | digit & 0b0011:x}" for digit in range(16)}


def action_ids(country: str, rule: str, cycle: date, subjects: pl.Series) -> pl.Series:
    """UUIDv5 of `NG|rule|item` where a rule strikes items once, else `NG|rule|cycle|subject`."""
    name = (country, rule) if rule in ITEM_RULES else (country, rule, cycle.isoformat())
    return _ids(["|".join((*name, subject)) for subject in subjects])


def references(country: str, actions: pl.Series) -> pl.Series:
    """`NG-` and the first 8 characters of each id's base32: what mails print and claims quote."""
    digits = actions.str.replace_all("-", "").str.head(2 * REFERENCE_BYTES)
    return pl.Series(
        [f"{country}-{b32encode(bytes.fromhex(each)).decode()}" for each in digits],
        dtype=pl.String,
    )


def notice_ids(country: str, kind: str, period: date, sellers: pl.Series) -> pl.Series:
    """One notice of a kind to each seller about a period."""
    return _ids(["|".join((country, kind, period.isoformat(), seller)) for seller in sellers])


def claim_notice_id(country: str, kind: str, claim_id: str, occasion: str) -> UUID:
    """One notice of a kind about a claim; `occasion` tells several of one claim apart."""
    return uuid5(VIBES_NAMESPACE, "|".join((country, kind, claim_id, occasion)))


def posting_ids(actions: pl.Series, kind: str) -> pl.Series:
    """One debit and at most one reversal of each action."""
    return _ids([f"{action}|{kind}" for action in actions])


def _ids(names: Iterable[str]) -> pl.Series:
    """The UUIDv5 of each name, as text (RFC 4122: SHA-1, with version and variant set in it)."""
    namespace = VIBES_NAMESPACE.bytes
    digests = [hashlib.sha1(namespace + name.encode()).hexdigest() for name in names]
    at = pl.col("digest").str
    return (
        pl.DataFrame({"digest": digests}, schema={"digest": pl.String})
        .select(
            pl.concat_str(
                at.slice(0, 8),
                pl.lit("-"),
                at.slice(8, 4),
                pl.lit("-5"),
                at.slice(13, 3),
                pl.lit("-"),
                at.slice(16, 1).replace_strict(VARIANT),
                at.slice(17, 3),
                pl.lit("-"),
                at.slice(20, 12),
            )
        )
        .to_series()
    )
