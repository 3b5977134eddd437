"""Notices worded and sent: addresses and names out of the warehouse, the rest out of the ledger."""

from __future__ import annotations

import mailbox
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from email import message_from_binary_file
from email.message import EmailMessage
from email.policy import default
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from ledger import made
from mail_server import Post, serving
from outbox_sender import SetClock

from vibes_pipeline.errors import MailError
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.notices import workshop
from vibes_pipeline.notices.delivery import deliver_notices
from vibes_pipeline.policy import Policy, load_policy
from vibes_pipeline.settings import Settings
from vibes_pipeline.warehouse.file import new_warehouse

# Of the past for any clock, so that a live ledger takes it.
LIVE_CYCLE = date(2024, 11, 11)

SELLERS: dict[str, tuple[str | None, str | None]] = {
    "S-1": ("Lantern & Loom", "owner@lantern-loom.example"),
    "S-2": ("Kettle House", "hello@kettle-house.example"),
    "S-3": (None, "s3@shop.example"),
}


@dataclass
class Office:
    """A warehouse, a ledger and settings; `deliver` sends what is open, as a slot does."""

    ledger: Ledger
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    is_simulated: bool = True

    def __post_init__(self) -> None:
        self.stock(SELLERS)

    @property
    def settings(self) -> Settings:
        given = {"VIBES_HOME": str(self.home), "VIBES_MAIL_FROM": "VIBES <vibes@mail.example>"}
        return Settings.from_environment({**given, **self.environment})

    def stock(self, sellers: Mapping[str, tuple[str | None, str | None]]) -> None:
        """Put these sellers, and a product of each, into the warehouse."""
        with new_warehouse(self.settings.warehouse, overwrite=True) as connection:
            for seller_id, (name, email) in sellers.items():
                connection.execute(
                    "INSERT INTO raw.sellers VALUES ($1, $2, $3, 'NG', false, NULL)",
                    [seller_id, name, email],
                )
                connection.execute(
                    "INSERT INTO raw.products VALUES ($1, $2, $3, 'Home', 'Fashion')",
                    [f"SKU-{seller_id}", seller_id, f"Wonder of {seller_id}"],
                )

    def deliver(self, at: datetime) -> Counter[str]:
        return deliver_notices(
            self.ledger,
            nigeria(),
            self.settings,
            SetClock(at, self.is_simulated),
            slot_now=at,
        )

    def mails(self) -> dict[str, EmailMessage]:
        """What lies in the Maildir, by recipient."""
        kept = mailbox.Maildir(self.settings.maildir, factory=_read)
        return {str(mail["To"]): cast(EmailMessage, mail) for mail in kept}


@cache
def nigeria() -> Policy:
    return load_policy("ng")


def _read(file: Any) -> Any:
    return message_from_binary_file(file, policy=default)


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(cast(EmailMessage, part).get_content())


def lines(text: str, label: str) -> set[str]:
    """What stands behind a label, wherever it does."""
    found = (line.partition(label) for line in text.splitlines())
    return {value.strip() for before, there, value in found if there and not before}


@pytest.fixture
def office(ledger: Ledger, tmp_path: Path) -> Office:
    return Office(ledger, tmp_path)


def proposed() -> Sequence[made.Action]:
    return [
        made.charge("S-1", "I1", sku="SKU-S-1"),
        made.charge("S-1", "I2", sku="SKU-S-1", amount="1500.00", reason="wrong_item"),
        made.order_regulation("S-1"),
        made.sales_regulation("S-2", "SKU-S-2"),
        made.product_delisting("S-2", "SKU-S-2"),
        made.account_delisting("S-3"),
    ]


# --- what a mail says ---------------------------------------------------------------------------


def test_many_mails_are_worded_by_processes_and_say_the_same(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "WORTH_A_PROCESS", 1)
    begun: list[int] = []
    start = workshop.Workshop.__init__
    monkeypatch.setattr(
        workshop.Workshop,
        "__init__",
        lambda self, count: (begun.append(count), start(self, count))[1],
    )
    made.freeze_cycle(office.ledger, proposed())
    assert office.deliver(made.ALERT_AT) == Counter(sent=3)
    assert begun == [len(os.sched_getaffinity(0))]
    mails = office.mails()
    assert "Wonder of S-2" in text_of(mails["hello@kettle-house.example"])
    assert len(mails) == 3


def test_each_seller_is_told_of_all_their_actions_and_of_no_one_elses(office: Office) -> None:
    actions = proposed()
    made.freeze_cycle(office.ledger, actions)
    assert office.deliver(made.ALERT_AT) == Counter(sent=3)

    mails = office.mails()
    assert set(mails) == {email for _, email in SELLERS.values()}
    for seller_id, (name, email) in SELLERS.items():
        text = text_of(mails[str(email)])
        assert (name or seller_id) in text
        for action in actions:
            assert (action["reference"] in text) == (action["seller_id"] == seller_id)
        others = [n for s, (n, _) in SELLERS.items() if n and s != seller_id]
        assert not any(other in text for other in others)
    assert "Wonder of S-1" in text_of(mails["owner@lantern-loom.example"])
    assert set(made.states(office.ledger).values()) == {"alerted"}


@pytest.mark.parametrize(
    ("sent_at", "takes_effect"),
    [
        (made.local("2026-11-18 07:00"), "21 November 2026"),
        (made.local("2026-11-18 09:00"), "21 November 2026"),
        (made.local("2026-11-18 09:01"), "28 November 2026"),
        (made.local("2026-11-19 10:00"), "28 November 2026"),
        (made.local("2026-11-25 10:00"), "5 December 2026"),
    ],
)
def test_an_alert_states_the_date_it_takes_effect_as_of_its_own_attempt(
    office: Office, sent_at: datetime, takes_effect: str
) -> None:
    made.freeze_cycle(office.ledger, [made.charge("S-1", "I1")])
    office.deliver(sent_at)
    text = text_of(office.mails()["owner@lantern-loom.example"])
    assert lines(text, "Takes effect") == {f"Saturday {takes_effect}, 09:00"}


def test_an_alert_put_off_states_a_later_date_when_it_goes_out(office: Office, post: Post) -> None:
    office.environment["VIBES_MAIL_CATCHER_URL"] = post.url
    post.answers["owner@lantern-loom.example"] = ["451 later"]
    made.freeze_cycle(office.ledger, [made.charge("S-1", "I1")])
    assert office.deliver(made.ALERT_AT) == Counter(deferred=1)
    assert office.deliver(made.local("2026-11-19 10:00")) == Counter(sent=1)
    first, second = post.mails_to("owner@lantern-loom.example")
    assert "21 November 2026" in text_of(first)
    assert "28 November 2026" in text_of(second)
    assert "21 November 2026" not in text_of(second)


def test_a_withdrawn_action_is_not_in_the_mail(office: Office) -> None:
    gone, kept = made.charge("S-1", "I1"), made.charge("S-1", "I2", amount="1500.00")
    made.freeze_cycle(office.ledger, [gone, kept])
    made.implement_cycle(office.ledger, contradicted=[gone["action_id"]])
    office.deliver(made.IMPLEMENT_AT)
    text = text_of(office.mails()["owner@lantern-loom.example"])
    assert kept["reference"] in text
    assert gone["reference"] not in text


def test_the_post_implementation_mail_tells_what_was_implemented_and_when(office: Office) -> None:
    charge, late = made.charge("S-1", "I1"), made.charge("S-2", "I2")
    made.freeze_cycle(office.ledger, [charge, late])
    made.accept(office.ledger, sellers=["S-1"])
    made.accept(office.ledger, made.local("2026-11-19 10:00"))
    made.implement_cycle(office.ledger)
    assert office.deliver(made.IMPLEMENT_AT) == Counter(sent=1)
    ((to, mail),) = office.mails().items()
    assert to == "owner@lantern-loom.example"
    text = text_of(mail)
    assert charge["reference"] in text
    assert lines(text, "Implemented") == {"Saturday 21 November 2026, 09:00"}


# --- where it goes ------------------------------------------------------------------------------


def test_a_live_ledgers_mail_goes_to_the_mail_server(
    ledger: Ledger, tmp_path: Path, post: Post
) -> None:
    office = Office(
        ledger,
        tmp_path,
        {"VIBES_SMTP_URL": post.url},
        is_simulated=False,
    )
    alert_at = _freeze_live(office)
    assert office.deliver(alert_at) == Counter(sent=1)
    assert post.copies() == Counter(["owner@lantern-loom.example"])
    assert not office.settings.maildir.exists()


def test_a_live_ledgers_mail_is_only_stored_without_a_mail_server(
    ledger: Ledger, tmp_path: Path
) -> None:
    office = Office(ledger, tmp_path, is_simulated=False)
    alert_at = _freeze_live(office)
    assert office.deliver(alert_at) == Counter(stored=1)
    assert made.states(ledger) == {("returns_charge", "I1"): "proposed"}


def _freeze_live(office: Office) -> datetime:
    """One charge of now, and when that is: a live ledger records nothing long after it happened."""
    now = datetime.now(made.LAGOS)
    made.freeze_cycle(
        office.ledger,
        [made.charge("S-1", "I1", given=made.terms(LIVE_CYCLE))],
        cycle=LIVE_CYCLE,
        now=now,
        is_simulated=False,
    )
    return now


def test_a_simulated_ledger_never_writes_to_sellers(office: Office, post: Post) -> None:
    office.environment["VIBES_SMTP_URL"] = post.url
    made.freeze_cycle(office.ledger, proposed())
    assert office.deliver(made.ALERT_AT) == Counter(sent=3)
    assert post.received == []
    assert len(office.mails()) == 3


def test_a_mail_server_that_cannot_be_reached_is_named(ledger: Ledger, tmp_path: Path) -> None:
    with serving() as gone:
        pass
    office = Office(ledger, tmp_path, {"VIBES_SMTP_URL": gone.url}, is_simulated=False)
    alert_at = _freeze_live(office)
    with pytest.raises(MailError, match=rf"127.0.0.1:{gone.port}.*check VIBES_SMTP_URL"):
        office.deliver(alert_at)
    assert made.states(ledger) == {("returns_charge", "I1"): "proposed"}


def test_a_mail_server_is_not_used_before_a_sender_is_named(
    ledger: Ledger, tmp_path: Path, post: Post
) -> None:
    unnamed = {"VIBES_SMTP_URL": post.url, "VIBES_MAIL_FROM": ""}
    office = Office(ledger, tmp_path, unnamed, is_simulated=False)
    alert_at = _freeze_live(office)
    with pytest.raises(MailError) as error:
        office.deliver(alert_at)
    assert str(error.value) == (
        "VIBES_SMTP_URL is set but VIBES_MAIL_FROM is not; name the address that sellers are "
        "written from"
    )
    assert post.received == []


# --- the warehouse as it is now -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "sellers"),
    [
        ("the warehouse has no address of the seller", {**SELLERS, "S-1": ("Lantern", None)}),
        ("the address is none", {**SELLERS, "S-1": ("Lantern", "ask at the shop")}),
        ("the warehouse no longer knows the seller", {"S-2": SELLERS["S-2"]}),
    ],
)
def test_a_seller_who_cannot_be_written_to_is_once_the_warehouse_is_mended(
    office: Office, why: str, sellers: Mapping[str, tuple[str | None, str | None]]
) -> None:
    office.stock(sellers)
    made.freeze_cycle(office.ledger, [made.charge("S-1", "I1"), made.charge("S-2", "I2")])
    assert office.deliver(made.ALERT_AT) == Counter(sent=1, undeliverable=1)
    assert office.deliver(made.local("2026-11-19 10:00")) == Counter()
    office.stock(SELLERS)
    assert office.deliver(made.local("2026-11-20 10:00")) == Counter(sent=1)
    mail = office.mails()["owner@lantern-loom.example"]
    assert "28 November 2026" in text_of(mail)


def test_what_a_seller_calls_their_shop_does_no_harm(office: Office) -> None:
    hostile = "Shop\r\nBcc: all@shop.example\r\n\r\n<script>alert(1)</script>"
    office.stock({"S-1": (hostile, "owner@lantern-loom.example")})
    made.freeze_cycle(office.ledger, [made.charge("S-1", "I1")])
    office.deliver(made.ALERT_AT)
    (mail,) = office.mails().values()
    assert mail["Bcc"] is None
    html = mail.get_body(("html",))
    assert html is not None
    assert "<script>" not in str(cast(EmailMessage, html).get_content())
