"""How failed checks name ids that may be anybody's text."""

from __future__ import annotations

import pytest

from vibes_pipeline.defs.evidence import listed


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
    ],
)
def test_the_first_ids_are_listed_on_one_plain_line(
    ids: list[str], count: int | None, text: str
) -> None:
    assert listed(ids, count) == text
