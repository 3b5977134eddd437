"""How failed checks name ids that may be anybody's text."""

from __future__ import annotations

import pytest

from vibes_pipeline.listing import listed, named


@pytest.mark.parametrize(
    ("ids", "count", "text"),
    [
        pytest.param(["S-1"], None, "S-1", id="one"),
        pytest.param(["S-1", "S-2"], None, "S-1, S-2", id="two"),
        pytest.param(
            [str(n) for n in range(12)], None, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more", id="many"
        ),
        pytest.param(["S-1", "S-2"], 14, "S-1, S-2 and 12 more", id="more than are at hand"),
        pytest.param(["[a](javascript:x)\n|"], None, " a  javascript:x   ", id="markup is not"),
        pytest.param(["x" * 5000], None, "x" * 40, id="as long as a book"),
        pytest.param([None, ""], None, "null, (empty)", id="none"),
        pytest.param(["S\0-\x1b1\t"], None, "S - 1 ", id="controls are not"),
    ],
)
def test_the_first_ids_are_listed_on_one_plain_line(
    ids: list[str | None], count: int | None, text: str
) -> None:
    assert listed(ids, count) == text


CHARGE = {
    "reference": "NG-ABCDEFGH",
    "rule": "returns_charge",
    "order_item_id": "I|1",
    "order_number": "O-1",
    "sku": "K-1",
    "seller_id": "S-1",
}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param(
            {}, "of returns_charge: item I 1, order O-1, SKU K-1, seller S-1", id="a charge"
        ),
        pytest.param(
            {"order_number": None, "sku": ""},
            "of returns_charge: item I 1, order null, SKU (empty), seller S-1",
            id="a charge without its order",
        ),
        pytest.param(
            {"rule": "sales_regulation", "order_item_id": None, "order_number": None},
            "of sales_regulation: SKU K-1, seller S-1",
            id="a regulation of a product",
        ),
    ],
)
def test_an_action_at_fault_is_named_by_the_rows_it_comes_from(
    changes: dict[str, object], text: str
) -> None:
    assert named(CHARGE | changes) == f"NG-ABCDEFGH {text}"
