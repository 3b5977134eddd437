"""What is promised on Wednesday is what happens on Saturday, also when slots and mails are late.

Small marketplaces, a real ledger and the steps of `weekly` as a slot runs them, without Dagster
(Rulebook §2). What a rule decides of one week is tested in `rules`.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from ledger import made
from slots.weekly.programme import Programme, catching, out_of_stock, regulations, text_of
from slots.whole_slots import address, rejected, returned

from vibes_pipeline.errors import LedgerError, MailError

# --- the two slots of one cycle -------------------------------------------------------------------


def test_what_is_alerted_on_wednesday_is_implemented_and_posted_on_saturday(
    programme: Programme,
) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-returned", returned())
    programme.item(seller, "I-gone", out_of_stock(commission="700.00"))
    programme.item(seller, "I-refused-1", rejected("Tue 10:00"))
    programme.item(seller, "I-refused-2", rejected("Wed 10:00"))

    programme.alert()
    assert made.states(programme.ledger) == {
        ("returns_charge", "I-returned"): "alerted",
        ("out_of_stock_charge", "I-gone"): "alerted",
        ("sales_regulation", "K-S-1"): "alerted",
        ("order_regulation", "S-1"): "alerted",
    }
    assert programme.postings() == {}

    done = programme.implement()
    assert set(made.states(programme.ledger).values()) == {"implemented"}
    assert programme.postings() == {"I-returned": Decimal(1500), "I-gone": Decimal(1400)}
    assert (done.posted, done.withdrawn) == (Decimal(2900), 0)
    assert programme.times("returns_charge", "I-returned") == {
        "proposed": made.local("2026-11-18 07:00"),
        "alerted": made.local("2026-11-18 07:00"),
        "implemented": made.local("2026-11-21 09:00"),
    }
    assert programme.mails() == 2  # one before, one after


def test_running_either_slot_again_changes_nothing_and_mails_nobody(programme: Programme) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    first = programme.alert()
    programme.item("S-1", "I-2", returned())
    programme.row("order_items", "I-1")["return_reason"] = "used_refurbished"
    assert programme.alert(at="Fri+1 12:00") == first
    programme.row("order_items", "I-1")["return_reason"] = "wrong_item"
    done = programme.implement()
    before = made.counts(programme.ledger)

    assert programme.implement(at="Sun+1 09:00") == done
    assert programme.alert(at="Sun+1 10:00") == first
    assert made.counts(programme.ledger) == before
    assert programme.mails() == 2


def test_a_cycle_that_an_earlier_version_froze_is_finished_by_one_with_more_models(
    programme: Programme,
) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    frozen = programme.alert()
    (newest,) = programme.home.glob("lake/NG/weekly-alert/*/events/charged_weeks.parquet")
    newest.unlink()
    assert programme.alert(at="Fri+1 12:00") == frozen


def test_a_saturday_without_its_wednesday_implements_nothing(programme: Programme) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    assert programme.implement().by_rule == {}
    assert made.states(programme.ledger) == {}


def test_cycles_are_frozen_in_order(programme: Programme) -> None:
    programme.alert(1)
    with pytest.raises(LedgerError, match=r"cycle 2026-11-09 comes before 2026-11-16, .* in order"):
        programme.alert(0)


def test_a_seller_s_actions_of_all_rules_are_in_one_mail(programme: Programme) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-1", returned())
    programme.item(seller, "I-2", out_of_stock())
    programme.item(programme.seller("S-2"), "I-3", returned())
    with catching(programme) as post:
        programme.alert()
    assert post.copies() == {address("S-1"): 1, address("S-2"): 1}
    (mail,) = post.mails_to(address("S-1"))
    assert all(item in text_of(mail) for item in ("I-1", "I-2"))
    assert "I-3" not in text_of(mail)


# --- the notice guarantee -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alerted_at", "implemented_at", "is_implemented"),
    [
        pytest.param("Wed+1 07:00", "Sat+1 09:00", True, id="both on time"),
        pytest.param("Wed+1 09:00", "Sat+1 09:00", True, id="exactly 72 hours"),
        pytest.param("Wed+1 09:00:01", "Sat+1 09:00", False, id="a second less"),
        pytest.param(
            "Thu+1 10:00", "Sun+1 10:00", True, id="a day late both, 72 hours all the same"
        ),
        pytest.param("Thu+1 10:00", "Sun+1 09:59:59.999999", False, id="a microsecond less"),
    ],
)
def test_nothing_is_implemented_before_its_accepted_alert_is_72_hours_old(
    programme: Programme, alerted_at: str, implemented_at: str, is_implemented: bool
) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-1", returned())
    programme.item(seller, "I-2", rejected("Tue 10:00"))
    programme.item(seller, "I-3", rejected("Tue 10:00"))
    programme.alert(at=alerted_at)
    programme.implement(at=implemented_at)
    state = "implemented" if is_implemented else "alerted"
    assert programme.state("returns_charge", "I-1") == state
    # A regulation of which the alert could only say that it takes effect after its end is not in it.
    is_told = alerted_at in ("Wed+1 07:00", "Wed+1 09:00")
    assert programme.state("sales_regulation", "K-S-1") == (state if is_told else "proposed")
    assert programme.postings() == ({"I-1": Decimal(1500)} if is_implemented else {})


def test_an_alert_sent_on_thursday_moves_charges_a_week_and_its_regulations_expire(
    programme: Programme,
) -> None:
    seller = programme.seller("S-1")
    programme.item(seller, "I-returned", returned())
    programme.item(seller, "I-refused-1", rejected("Tue 10:00"))
    programme.item(seller, "I-refused-2", rejected("Tue 10:00"))
    programme.item(seller, "I-gone", out_of_stock())

    with catching(programme) as post:
        programme.alert(0, at="Thu+1 09:30")
    (mail,) = post.mails_to(address(seller))
    assert "Saturday 28 November 2026, 09:00" in text_of(mail)
    assert "Saturday 21 November 2026" not in text_of(mail)

    assert "Order Regulation" not in text_of(mail)

    programme.implement(0)
    assert made.states(programme.ledger) == {
        ("returns_charge", "I-returned"): "alerted",
        ("out_of_stock_charge", "I-gone"): "alerted",
        ("sales_regulation", "K-S-1"): "proposed",
        ("order_regulation", seller): "proposed",
    }

    programme.alert(1)
    assert programme.state("order_regulation", seller) == "expired"
    # Of the same two rejections the next cycle makes a regulation of its own; neither is new in its
    # week, so it is no occurrence.
    assert regulations(programme) == {0: ("expired", 1), 1: ("alerted", None)}
    assert programme.state("returns_charge", "I-returned") == "alerted"

    programme.implement(1)
    saturday = made.local("2026-11-28 09:00")
    assert programme.times("returns_charge", "I-returned")["implemented"] == saturday
    assert programme.times("out_of_stock_charge", "I-gone")["implemented"] == saturday
    assert regulations(programme) == {0: ("expired", 1), 1: ("implemented", None)}


def test_missed_weeks_are_caught_up_oldest_first_and_each_once(programme: Programme) -> None:
    seller = programme.seller("S-1")
    for week in range(3):
        programme.item(seller, f"I-{week}", returned(f"Tue+{week} 10:00"))
    # Down from the first Wednesday until the third week's Thursday.
    back = "Thu+3 12:00"
    for week in range(3):
        programme.alert(week, at=back)
        if week < 2:
            programme.implement(week, at=back)
    assert set(made.states(programme.ledger).values()) == {"alerted"}
    assert programme.mails() == 3
    programme.implement(2)
    assert programme.postings() == {}  # Saturday gives them 45 hours only
    programme.alert(3)
    done = programme.implement(3)
    assert done.by_rule == {"returns_charge": 3}
    assert set(programme.postings()) == {"I-0", "I-1", "I-2"}


# --- addresses ------------------------------------------------------------------------------------


def test_an_undeliverable_seller_s_charges_wait_until_the_address_is_mended(
    programme: Programme,
) -> None:
    # By which slot the address is mended; when its seller is then told, and charged.
    cases = {
        "S-whole": (None, "2026-11-18 07:00", "2026-11-21 09:00"),
        "S-by-saturday": ("Sat+1", "2026-11-21 09:00", "2026-11-28 09:00"),
        "S-by-wednesday": ("Wed+2", "2026-11-25 07:00", "2026-11-28 09:00"),
        "S-by-next-saturday": ("Sat+2", "2026-11-28 09:00", "2026-12-05 09:00"),
        "S-never": ("never", None, None),
    }
    for seller, (mended, *_) in cases.items():
        programme.seller(seller, email=None if mended else address(seller))
        programme.item(seller, f"I-{seller}", returned())
    for week in range(3):
        for slot, run in (
            (f"Wed+{week + 1}", programme.alert),
            (f"Sat+{week + 1}", programme.implement),
        ):
            for seller, (mended, *_) in cases.items():
                if slot == mended:
                    assert programme.state("returns_charge", f"I-{seller}") == "proposed"
                    programme.row("sellers", seller)["email"] = address(seller)
            run(week)
    for seller, (_, told_at, implemented_at) in cases.items():
        times = programme.times("returns_charge", f"I-{seller}")
        assert times.get("alerted") == (told_at and made.local(told_at)), seller
        assert times.get("implemented") == (implemented_at and made.local(implemented_at)), seller


def test_an_address_mended_between_slots_starts_the_72_hours_when_its_mail_is_accepted(
    programme: Programme,
) -> None:
    programme.item(programme.seller("S-1", email="nobody"), "I-1", returned())
    programme.alert()
    assert programme.deliver(programme.market.at("Wed+1 08:00")) == {}
    programme.row("sellers", "S-1")["email"] = address("S-1")
    assert programme.deliver(programme.market.at("Wed+1 08:30")) == {"sent": 1}
    programme.implement()
    assert programme.times("returns_charge", "I-1")["implemented"] == made.IMPLEMENT_AT


def test_an_undeliverable_regulation_expires_with_its_cycle(programme: Programme) -> None:
    seller = programme.seller("S-1", email=None)
    for item in ("I-1", "I-2"):
        programme.item(seller, item, rejected("Tue 10:00"))
    programme.alert(0)
    programme.implement(0)
    assert regulations(programme) == {0: ("proposed", 1)}
    programme.alert(1)
    assert regulations(programme) == {0: ("expired", 1), 1: ("proposed", None)}


def test_a_seller_whom_the_server_refuses_is_told_at_a_mended_address_once(
    programme: Programme,
) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    with catching(programme) as post:
        post.answers[address("S-1")] = ["550 no such mailbox"]
        programme.alert(0)
        programme.implement(0)
        assert programme.state("returns_charge", "I-1") == "proposed"
        assert post.copies() == {address("S-1"): 1}
        programme.row("sellers", "S-1")["email"] = "new@shop.example"
        programme.alert(1)
        programme.implement(1)
    assert post.copies() == {address("S-1"): 1, "new@shop.example": 2}
    assert programme.state("returns_charge", "I-1") == "implemented"


def test_without_a_mail_server_the_proposal_stands_and_goes_out_with_the_next_run(
    programme: Programme,
) -> None:
    programme.item(programme.seller("S-1"), "I-1", returned())
    programme.environment["VIBES_MAIL_CATCHER_URL"] = "smtp://127.0.0.1:1"
    with pytest.raises(MailError, match=r"127\.0\.0\.1:1 .*VIBES_MAIL_CATCHER_URL"):
        programme.alert()
    assert programme.state("returns_charge", "I-1") == "proposed"
    with catching(programme) as post:
        programme.alert(at="Wed+1 08:00")
    assert post.copies() == {address("S-1"): 1}
    assert programme.times("returns_charge", "I-1") == {
        "proposed": made.local("2026-11-18 07:00"),
        "alerted": made.local("2026-11-18 08:00"),
    }
