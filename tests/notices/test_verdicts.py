"""Of whom a refusal was, by what the other recipients of the same delivery got (Rulebook §2)."""

from __future__ import annotations

import threading

import pytest

from vibes_pipeline.notices.replies import About, Deferred, Refused, Unknown
from vibes_pipeline.notices.verdicts import FEW, Verdicts

REFUSALS = {"R": About.EITHER, "U": About.RECIPIENT, "M": About.LIKELY_RECIPIENT}


def told(events: str) -> tuple[dict[int, str], Verdicts[int]]:
    """What becomes of the refused, by their place; one recipient each, until the sending stops.

    `A`ccepted, `R`efused in doubt, `U`nknown user, `M`ailbox unavailable, `Q`uota of the relay, `F`ull mailbox, try
    `L`ater, `N`obody knows.
    """
    verdicts: Verdicts[int] = Verdicts(threading.Event())
    became: dict[int, str] = {}
    for place, event in enumerate(events.replace(" ", "")):
        to = f"{place}@shop.example"
        settled = verdicts.end() if event == "." else []
        match event:
            case "A":
                settled = verdicts.accept(to)
            case "R" | "U" | "M":
                about = REFUSALS[event]
                settled = verdicts.refuse(to, place, Refused(550, f"no {place}", about))
            case "N":
                verdicts.fail(to, Unknown("lost"))
            case "Q" | "F" | "L":
                about = {"Q": About.RELAY, "F": About.EITHER, "L": About.RECIPIENT}[event]
                verdicts.fail(to, Deferred(450, f"later {place}", about))
        became |= {s.attempt: "failed" if s.is_final else "deferred" for s in settled}
    return became, verdicts


@pytest.mark.parametrize(
    ("events", "became", "is_stopped", "complains"),
    [
        ("RAAAAAAAAA.", {0: "failed"}, False, False),
        ("AAAARAAAAA.", {4: "failed"}, False, False),
        ("AAAAAAAAAR.", {9: "failed"}, False, False),
        ("RRRAAA.", {0: "failed", 1: "failed", 2: "failed"}, False, False),
        ("RARARARA.", {0: "failed", 2: "failed", 4: "failed", 6: "failed"}, False, False),
        # Alone, a refusal in doubt stays one; an unknown user is one.
        ("R.", {0: "deferred"}, False, False),
        ("U.", {0: "failed"}, False, False),
        ("UUU.", {0: "failed", 1: "failed", 2: "failed"}, False, False),
        ("URU.", {0: "failed", 1: "deferred", 2: "failed"}, False, False),
        # So is a mailbox, unless others get the same and nobody is let through.
        ("M.", {0: "failed"}, False, False),
        ("MA.", {0: "failed"}, False, False),
        ("MM.", {0: "deferred", 1: "deferred"}, False, True),
        ("MU.", {0: "deferred", 1: "failed"}, False, False),
        # Several in doubt and nobody let through.
        ("RR.", {0: "deferred", 1: "deferred"}, False, True),
        ("RRRA.", {0: "deferred", 1: "deferred", 2: "deferred"}, False, False),
        # Few in a row: whatever it says, it is the relay.
        ("AAAAAAAA RRRRR.", dict.fromkeys(range(8, 13), "deferred"), True, True),
        ("AAAAAAAA UUUUU.", dict.fromkeys(range(8, 13), "deferred"), True, True),
        ("AAAAAAAA QFQRU.", {11: "deferred", 12: "deferred"}, True, True),
        ("AAAAAAAA NNNNN.", {}, True, True),
        # Most, though not in a row.
        ("RRARRAR.", dict.fromkeys([0, 1, 3, 4, 6], "deferred"), True, True),
        # What came too late to be stopped is judged like the rest.
        ("RRRRR AR.", dict.fromkeys([0, 1, 2, 3, 4, 6], "deferred"), True, True),
        # Nobody let through, by a word about the relay.
        ("Q.", {}, False, True),
        ("QA.", {}, False, False),
        # A mailbox's own trouble is no trouble of the relay's, however many have it.
        ("LLLLLLLL.", {}, False, False),
        ("FFFF.", {}, False, False),
        ("N.", {}, False, False),
    ],
)
def test_the_others_tell_of_whom_a_refusal_was(
    events: str, became: dict[int, str], is_stopped: bool, complains: bool
) -> None:
    settled, verdicts = told(events)
    assert settled == became
    assert verdicts.stop.is_set() == is_stopped
    assert (verdicts.complaint is not None) == complains


def test_one_sellers_many_notices_say_nothing_of_the_relay() -> None:
    verdicts: Verdicts[int] = Verdicts(threading.Event())
    for number in range(3 * FEW):
        settled = verdicts.refuse("one@shop.example", number, Refused(550, "no", About.RECIPIENT))
        assert not settled
    assert [s.is_final for s in verdicts.end()] == [True] * 3 * FEW
    assert not verdicts.stop.is_set()
