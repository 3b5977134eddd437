"""Which addresses may enter a header (Design, Headers)."""

from __future__ import annotations

from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notice_samples import MESSAGE_DATE, SENDER, action, nigeria, notice

from vibes_pipeline.notices.address import UnusableAddress, usable_address
from vibes_pipeline.notices.message import compose

PROGRAMME = nigeria()


@pytest.mark.parametrize(
    "address",
    [
        "owner@shop.example",
        "first.last+vibes@mail.shop.example",
        "o'neil@shop.example",
        "1@1shop.example",
        "a-b_c=d@x-y.co",
        "x" * 64 + "@shop.example",
    ],
)
def test_one_bare_address_is_usable_and_returned_as_it_is(address: str) -> None:
    assert usable_address(address) == address


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (None, "there is none"),
        ("", "there is none"),
        ("owner@shop.example\r\nBcc: all@shop.example", "a control character"),
        ("owner@shop.example\n", "a control character"),
        ("owner@shop.example\x00", "a control character"),
        ("=?utf-8?q?a=0D=0ABcc=3A_b=40c.example?=@shop.example", "an encoded word"),
        ("a@shop.example,b@shop.example", "more than one address"),
        ("a@shop.example;b@shop.example", "more than one address"),
        ("Owner <owner@shop.example>", "a space"),
        ("<owner@shop.example>", "angle brackets"),
        (" owner@shop.example", "a space"),
        ("ówner@shop.example", "not ASCII"),
        ("owner@shöp.example", "not ASCII"),
        ("owner", "exactly one @"),
        ("a@b@shop.example", "exactly one @"),
        ("owner@", "the domain"),
        ("owner@localhost", "the domain"),
        ("owner@shop..example", "the domain"),
        ("owner@-shop.example", "the domain"),
        ("owner@shop.example.", "the domain"),
        ("owner@[127.0.0.1]", "the domain"),
        ("owner@127.0.0.1", "the domain"),
        ("owner@" + "a" * 64 + ".example", "the domain"),
        ("@shop.example", "before the @"),
        (".owner@shop.example", "before the @"),
        ("ow..ner@shop.example", "before the @"),
        ('"owner"@shop.example', "before the @"),
        ("user%other.example@shop.example", "before the @"),
        ("x" * 65 + "@shop.example", "before the @"),
        ("a@" + "b." * 125 + "example", "longer than 254"),
    ],
)
def test_anything_else_is_refused_with_its_reason(address: str | None, reason: str) -> None:
    with pytest.raises(UnusableAddress, match=reason) as refusal:
        usable_address(address)
    assert reason in refusal.value.reason
    assert not address or address not in str(refusal.value)


@given(
    st.text(max_size=60)
    | st.from_regex(r"[^@]{0,20}@[^@]{0,20}", fullmatch=True)
    | st.from_regex(r"[a-z0-9#$&'*+/=?^_{}~.-]{1,12}@[a-z0-9-]{1,8}\.[a-z]{2,5}", fullmatch=True)
)
def test_what_is_usable_stands_in_the_message_as_it_is_and_adds_no_header(address: str) -> None:
    try:
        usable_address(address)
    except UnusableAddress:
        return
    assert _raw_headers(address) == _raw_headers("owner@shop.example").replace(
        b"owner@shop.example", address.encode()
    )


def test_the_longest_usable_address_is_not_folded_or_encoded() -> None:
    longest = "x" * 64 + "@" + "a" * 60 + "." + "b" * 60 + "." + "c" * 59 + ".example"
    raw = _raw_headers(longest)
    assert b"To: " + longest.encode() + b"\r\n" in raw
    assert message_from_bytes(raw)["To"] == longest


def _raw_headers(address: str) -> bytes:
    mail = compose(
        notice([action("out_of_stock_charge")], address=address), PROGRAMME, SENDER, MESSAGE_DATE
    )
    return mail.content.partition(b"\r\n\r\n")[0] + b"\r\n"
