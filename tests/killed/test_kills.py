"""A few of the kills over a bad relay; all of them: `cd tests && python -m killed --times 50`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa
from killed.kills import Killing, Kills
from served import TEMPLATE
from storm.course import Place

from vibes_pipeline.calendar import Slot

# The ledger is struck once, amid the mails.
NUMBERS = {Slot.WEEKLY_ALERT: 22}


@pytest.fixture(scope="module")
def killings(
    administration: sa.Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Slot, Killing]]:
    place = Place(administration, Path(tmp_path_factory.mktemp("killed")), TEMPLATE)
    kills = Kills(place, marketplaces=2)
    kills.prepare(NUMBERS)
    yield {slot: kills.killing(slot, number) for slot, number in NUMBERS.items()}
    place.clear()


def test_slots_killed_over_a_bad_relay_and_run_again_end_as_if_undisturbed(
    killings: Mapping[Slot, Killing],
) -> None:
    """One test, for each process that begins one prepares the undisturbed ledgers anew."""
    assert any(killing.strikes for killing in killings.values()), "no kill struck a slot at work"
    for slot, killing in killings.items():
        assert not killing.faults, f"{slot}:\n" + "\n".join(killing.faults)
