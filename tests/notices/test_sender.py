"""The sender of mails is an address, with or without a name; anything else is refused."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest
from mail_reader import PROGRAMME
from notice_samples import MESSAGE_DATE, action, notice

from vibes_pipeline.errors import MailError
from vibes_pipeline.notices.mail import Mail
from vibes_pipeline.notices.message import compose


def sent_by(sender: str) -> Mail:
    return compose(notice([action("returns_charge")]), PROGRAMME, sender, MESSAGE_DATE)


@pytest.mark.parametrize(
    "sender", ["vibes@mail.example", "<vibes@mail.example>", '"VIBES, daily" <vibes@mail.example>']
)
def test_a_sender_is_an_address_with_or_without_a_name(sender: str) -> None:
    mail = sent_by(sender)
    assert mail.sender == "vibes@mail.example"
    message = message_from_bytes(mail.content, policy=policy.SMTP)
    assert message["From"].addresses[0].addr_spec == "vibes@mail.example"
    assert message["Message-ID"].endswith("@mail.example>")


@pytest.mark.parametrize(
    "sender",
    [
        "",
        "VIBES",
        "VIBES vibes@mail.example",
        "VIBES <vibes@mail.example",
        "VIBES <vibes>",
        "VIBES\r\nBcc: x@mail.example <vibes@mail.example>",
        "=?utf-8?q?a=0D=0ABcc=3A_b?= <vibes@mail.example>",
    ],
)
def test_a_sender_that_is_none_is_one_clear_error(sender: str) -> None:
    with pytest.raises(MailError, match="the sender must be an address or `Name <address>`"):
        sent_by(sender)
