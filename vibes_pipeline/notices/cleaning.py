"""Makes a seller's text harmless before a mail has it: one line, printable, not too long.

Here belongs the cleaning of texts and of whole notices. What an address must be is `address`'s.
"""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from vibes_pipeline.notices.content import Notice, NoticeAction, NoticeClaim

LONGEST_SELLER_TEXT = 160


def clean(text: str, longest: int = LONGEST_SELLER_TEXT) -> str:
    """Seller text on one line, without control, format or unassigned characters, not too long."""
    if not text.isprintable():
        text = "".join(
            "" if unicodedata.category(c) == "Cf" else c if c.isprintable() else " " for c in text
        )
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def cleaned(notice: Notice, zone: ZoneInfo) -> Notice:
    """The notice with all text cleaned and all times local."""
    return replace(
        notice,
        seller_id=clean(notice.seller_id),
        shop_name=clean(notice.shop_name),
        actions=[_cleaned_action(action, zone) for action in notice.actions],
        takes_effect_at=notice.takes_effect_at and notice.takes_effect_at.astimezone(zone),
        implemented_at=notice.implemented_at and notice.implemented_at.astimezone(zone),
        claim=notice.claim and _cleaned_claim(notice.claim),
    )


def _cleaned_claim(claim: NoticeClaim) -> NoticeClaim:
    return replace(
        claim,
        claim_id=clean(claim.claim_id),
        category=_clean_or_none(claim.category),
        order_number=_clean_or_none(claim.order_number),
        sku=_clean_or_none(claim.sku),
        action_reference=_clean_or_none(claim.action_reference),
    )


def _cleaned_action(action: NoticeAction, zone: ZoneInfo) -> NoticeAction:
    return replace(
        action,
        seller_id=clean(action.seller_id),
        sku=_clean_or_none(action.sku),
        product_name=_clean_or_none(action.product_name),
        order_number=_clean_or_none(action.order_number),
        order_item_id=_clean_or_none(action.order_item_id),
        claim_id=_clean_or_none(action.claim_id),
        event_at=action.event_at and action.event_at.astimezone(zone),
        evidence={key: _clean_evidence(value) for key, value in action.evidence.items()},
    )


def _clean_or_none(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _clean_evidence(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value
