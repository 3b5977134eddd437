"""How many courses the costly property tests try: few in the suite, more when asked for.

A course of slots over a real ledger takes seconds, so the suite tries a few of each; after a change
of the rules `VIBES_LONG_TESTS=10 .venv/bin/pytest tests/slots/weekly -k whatever` tries ten times as
many.
"""

from __future__ import annotations

import os

from hypothesis import Phase, settings

LONGER = int(os.environ.get("VIBES_LONG_TESTS", "1"))


def courses(in_the_suite: int) -> settings:
    """So many courses, the same ones each time; unshrunk, for a course is short as it is."""
    return settings(
        max_examples=in_the_suite * LONGER,
        deadline=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
    )
