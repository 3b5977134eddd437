"""The samples of mails: worded as they are sent, and nothing but files come of them."""

from __future__ import annotations

import mailbox
from email import message_from_binary_file
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

import pytest
from ledger import made
from outbox_sender import SetClock
from rules.marketplace import NIGERIA, Marketplace

from vibes_pipeline.errors import UsageError
from vibes_pipeline.ledger.ledger import Ledger
from vibes_pipeline.notices.delivery import deliver_notices
from vibes_pipeline.notices.preview import Sample, kinds, samples, write_gallery
from vibes_pipeline.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Three sellers in the warehouse, the second with an address nobody can write to."""
    market = Marketplace()
    for seller_id, email in (("S-1", "one@shop.example"), ("S-2", None), ("S-3", "3@shop.example")):
        market.seller(seller_id=seller_id, email=email, shop_name="<b>Shop</b>")
    return Settings.from_environment(
        {"VIBES_HOME": str(tmp_path), "VIBES_WAREHOUSE": str(market.write(tmp_path / "raw"))}
    )


def after_an_alert(ledger: Ledger, settings: Settings) -> None:
    made.freeze_cycle(
        ledger,
        [
            made.charge("S-1", "I1"),
            made.order_regulation("S-1"),
            made.charge("S-2", "I2"),
            made.sales_regulation("S-2", "SKU-A"),
            made.product_delisting("S-2", "SKU-A"),
            made.account_delisting("S-3"),
        ],
    )
    clock = SetClock(made.ALERT_AT, True)
    deliver_notices(ledger, NIGERIA, settings, clock, slot_now=made.ALERT_AT)


def made_of(ledger: Ledger, settings: Settings) -> dict[str, Sample]:
    return {sample.kind: sample for sample in samples(ledger, NIGERIA, settings)}


def test_a_sample_is_the_mail_that_was_sent(ledger: Ledger, settings: Settings) -> None:
    after_an_alert(ledger, settings)
    sample = made_of(ledger, settings)["weekly_alert"]
    sent = {
        str(mail["To"]): cast(EmailMessage, mail)
        for mail in mailbox.Maildir(settings.maildir, factory=_read)
    }
    assert sample.message is not None
    as_sent = sent[str(sample.message["To"])]
    for name in ("Message-ID", "Subject", "Date", "From"):
        assert as_sent[name] == sample.message[name]
    assert _body(as_sent, "plain") == sample.text
    assert _body(as_sent, "html") == sample.html


def test_the_sample_of_a_kind_tells_of_most_rules_to_a_seller_who_can_be_written_to(
    ledger: Ledger, settings: Settings
) -> None:
    after_an_alert(ledger, settings)
    sample = made_of(ledger, settings)["weekly_alert"]
    assert sample.message is not None
    assert sample.message["To"] == "one@shop.example"
    assert list(sample.rules) == ["order_regulation", "returns_charge"]
    assert sample.actions == 2


def test_a_kind_that_the_ledger_has_no_notice_of_is_said_to_be_without(
    ledger: Ledger, settings: Settings, tmp_path: Path
) -> None:
    gallery = write_gallery(samples(ledger, NIGERIA, settings), tmp_path / "gallery")
    page = gallery.read_text(encoding="utf-8")
    assert page.count("has no notice of this kind") == len(kinds())
    assert [file.name for file in gallery.parent.iterdir()] == ["index.html"]


def test_a_gallery_leaves_the_ledger_as_it_was(
    ledger: Ledger, settings: Settings, tmp_path: Path
) -> None:
    after_an_alert(ledger, settings)
    before, mails = made.counts(ledger), len(mailbox.Maildir(settings.maildir))
    write_gallery(samples(ledger, NIGERIA, settings), tmp_path / "gallery")
    assert made.counts(ledger) == before
    assert len(mailbox.Maildir(settings.maildir)) == mails


def test_a_gallery_has_each_mail_as_three_files_and_escapes_seller_text(
    ledger: Ledger, settings: Settings, tmp_path: Path
) -> None:
    after_an_alert(ledger, settings)
    gallery = write_gallery(samples(ledger, NIGERIA, settings), tmp_path / "gallery")
    assert {file.name for file in gallery.parent.glob("weekly_alert.*")} == {
        "weekly_alert.eml",
        "weekly_alert.html",
        "weekly_alert.txt",
    }
    page = gallery.read_text(encoding="utf-8")
    assert "<b>Shop</b>" not in page
    assert "&lt;b&gt;Shop&lt;/b&gt;" in page


def test_a_file_where_the_gallery_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(UsageError, match=r"taken is a file; name a folder"):
        write_gallery([], tmp_path / "taken")


def _read(file: Any) -> Any:
    return message_from_binary_file(file, policy=default)


def _body(mail: EmailMessage, subtype: str) -> str:
    part = mail.get_body((subtype,))
    assert part is not None
    return str(cast(EmailMessage, part).get_content())
