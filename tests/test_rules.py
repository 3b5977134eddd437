"""The registry of rules agrees with the rulebook, with `sql/` and with what decisions must carry."""

from __future__ import annotations

import polars as pl
import pytest
from ledger import made

from vibes_pipeline.engine.models import load_models
from vibes_pipeline.ledger.actions import actions_of
from vibes_pipeline.rules import LATE_RULES, MAIL_ORDER, REGISTRY, Evidence, Rule, Subject

NEEDED = [(rule, key) for rule, registered in REGISTRY.items() for key in registered.evidence]


def test_every_rule_is_registered_and_has_a_place_of_its_own_in_mails() -> None:
    assert set(REGISTRY) == set(Rule)
    assert len({registered.mail_order for registered in REGISTRY.values()}) == len(MAIL_ORDER)


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_is_decided_by_the_file_of_its_name(rule: Rule) -> None:
    stage = "late_orders" if rule in LATE_RULES else "decisions"
    assert f"{stage}.{rule}s" in load_models()


def test_what_a_rule_strikes_is_an_item_a_product_or_a_seller() -> None:
    struck = {rule: r.subject for rule, r in REGISTRY.items() if r.subject is not Subject.ITEM}
    assert struck == {
        Rule.ORDER_REGULATION: Subject.SELLER,
        Rule.ACCOUNT_DELISTING: Subject.SELLER,
        Rule.SALES_REGULATION: Subject.PRODUCT,
        Rule.PRODUCT_DELISTING: Subject.PRODUCT,
    }


@pytest.mark.parametrize(("rule", "key"), NEEDED)
@pytest.mark.parametrize("fault", ["absent", "of another type"])
def test_a_decision_without_the_evidence_that_something_hangs_on_makes_no_action(
    rule: Rule, key: Evidence, fault: str
) -> None:
    columns = {str(k): [made.EVIDENCE[k]] for k in REGISTRY[rule].evidence}
    frame = pl.DataFrame({"seller_id": ["S-1"], "sku": ["K"], "order_item_id": ["I-1"], **columns})
    broken = frame.drop(key) if fault == "absent" else frame.with_columns(pl.lit(0.5).alias(key))
    assert len(actions_of(rule, frame, made.terms())) == 1
    with pytest.raises(TypeError, match=f"the decision of {rule} needs a column {key} of "):
        actions_of(rule, broken, made.terms())
