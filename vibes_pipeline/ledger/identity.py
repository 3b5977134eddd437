"""Deterministic names: action ids and references, notice and posting ids (Rulebook §12).

A rerun makes the same names, so the ledger's keys refuse to record anything twice.
"""

from __future__ import annotations

import base64
from datetime import date
from uuid import NAMESPACE_URL, UUID, uuid5

from vibes_pipeline.rules import ITEM_RULES

VIBES_NAMESPACE = uuid5(NAMESPACE_URL, "vibes")
REFERENCE_LENGTH = 8


def action_id(country: str, rule: str, cycle: date, subject: str) -> UUID:
    """UUIDv5 of `NG|rule|item` where a rule strikes items once, else `NG|rule|cycle|subject`."""
    name = (country, rule) if rule in ITEM_RULES else (country, rule, cycle.isoformat())
    return uuid5(VIBES_NAMESPACE, "|".join((*name, subject)))


def reference(country: str, action: UUID) -> str:
    """`NG-` and the first 8 characters of the id's base32: what mails print and claims quote."""
    return f"{country}-{base64.b32encode(action.bytes).decode()[:REFERENCE_LENGTH]}"


def notice_id(country: str, kind: str, period: date, seller_id: str) -> UUID:
    """One notice of a kind to a seller about a period."""
    return uuid5(VIBES_NAMESPACE, "|".join((country, kind, period.isoformat(), seller_id)))


def claim_notice_id(country: str, kind: str, claim_id: str, occasion: str) -> UUID:
    """One notice of a kind about a claim; `occasion` tells several of one claim apart."""
    return uuid5(VIBES_NAMESPACE, "|".join((country, kind, claim_id, occasion)))


def posting_id(action: UUID, kind: str) -> UUID:
    """One debit and at most one reversal of an action."""
    return uuid5(VIBES_NAMESPACE, f"{action}|{kind}")
