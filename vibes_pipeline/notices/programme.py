"""What mails say of the policy, as of one day: `Policy` becomes `Programme`.

Here belongs which of the policy's words and numbers mails give. How they are worded is in
`email_templates/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from babel import Locale

from vibes_pipeline.notices.content import (
    ClaimText,
    OrderBand,
    Programme,
    ReasonText,
    RuleText,
)
from vibes_pipeline.policy.claims import ClaimCategory
from vibes_pipeline.policy.model import Policy
from vibes_pipeline.policy.parameter import DECISION, Dated
from vibes_pipeline.policy.rules import Band, QualityCharge, band_edges


def programme(policy: Policy, day: date) -> Programme:
    """What mails say of a policy as of a local date; PolicyError where it has no value then."""
    orders, sales, contact = policy.order_regulation, policy.sales_regulation, policy.contact
    return Programme(
        country=policy.country,
        country_name=Locale.parse("en").territories[policy.country],
        currency=policy.currency,
        time_zone=policy.time_zone,
        notice_lines=policy.notice.notice_lines.on(day),
        html_limit_bytes=policy.notice.html_limit_bytes.on(day),
        claim_link=contact.links.raise_a_claim.on(day),
        phones=contact.phones.on(day),
        how_to_object=" ".join(reference.sentence for reference in contact.how_to_object),
        rules={
            rule.value: RuleText(
                text.title, text.words, text.exemptions.sentence if text.exemptions else None
            )
            for rule, text in policy.rules.items()
        },
        reasons={
            "returns_charge": _reasons(policy.returns_charge),
            "dropoff_qc_charge": _reasons(policy.dropoff_qc_charge),
        },
        weekly_alert_weekday=policy.slots.weekly_alert.on(day).weekday.name.capitalize(),
        order_bands=_order_bands(orders.bands.on(day)),
        daily_order_minimum=orders.daily_order_minimum.on(day),
        order_regulation_days=orders.in_force_days.on(day),
        order_regulation_window_weeks=orders.window_weeks.on(day),
        sales_regulation_days=sales.in_force_days.on(day),
        rejection_window_days=sales.rejection_window_days.on(day),
        return_lag_weeks=sales.return_lag_weeks.on(day),
        delisted_from_occurrence=policy.product_delisting.occurrence.on(day),
        claim_categories={
            name: _claim_text(category.dated_on(day))
            for name, category in policy.claims.categories.items()
        },
        seko_link=contact.links.seko_contact.on(day),
    )


def _claim_text(category: Dated[ClaimCategory]) -> ClaimText:
    """A category's name and the source texts' words on it; our own decisions are not quoted."""
    contacts = [r.redirected_to for r in category.value.reasons.values() if r.redirected_to]
    return ClaimText(
        name=category.value.name,
        words=" ".join(r.sentence for r in category.references if r.document != DECISION),
        redirected_to=contacts[0] if contacts else None,
    )


def _reasons(charge: QualityCharge) -> dict[str, ReasonText]:
    return {
        code: ReasonText(text.name, text.definition.sentence) for code, text in charge.texts.items()
    }


def _order_bands(bands: Sequence[Band]) -> list[OrderBand]:
    return [
        OrderBand(
            edges.from_pct,
            edges.includes_from,
            edges.to_pct,
            edges.includes_to,
            band.daily_share_pct,
            band.daily_order_limit,
            band.pending_to_shipped_multiple,
            band.pending_to_shipped_limit,
        )
        for band, edges in zip(bands, band_edges(bands), strict=True)
    ]
