"""Who is a person is in no file and no table but those that are for writing to them (Rulebook §17)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from slots.claims.cases import Desk, burden, new_desk, order

from vibes_pipeline.keys import home_key
from vibes_pipeline.ledger import schema

MARK = "Zanzibari"
# Finance knows sellers by their shops' names.
NAMED = {"ledger.shops"}


@pytest.fixture(scope="module")
def desk(administration: sa.Engine) -> Iterator[Desk]:
    """Every slot has run over a marketplace in which every name, address and customer is marked."""
    with new_desk(administration) as made:
        burden(made, "S-1")
        made.seller("S-2")
        made.item("S-2", "I-2", {"pending_at": "Mon 09:00", "cancelled_at": "Tue 10:00"})
        made.market.raw["order_items"][-1]["cancel_reason"] = "out_of_stock"
        for number, seller in enumerate(made.market.raw["sellers"]):
            seller["shop_name"] = f"{MARK} shop {number}"
            seller["email"] = f"{MARK}{number}@shop.example"
        made.row("sellers", "S-2")["email"] = f"{MARK} at home"  # undeliverable
        for item in made.market.raw["order_items"]:
            item["customer_id"] = f"{MARK} {item['customer_id']}"
            item["tracking_number"] = f"{MARK} parcel"
        made.upheld(
            "C-1", "S-1", "Mon+2 10:00", order_number=order("S-1"), shop_name=MARK, comment=MARK
        )
        made.late_alert("Thu 06:00")
        made.late_cancel("Thu 23:00")
        made.alert()
        made.implement()
        made.settle("Mon+2 12:00")
        yield made


def partitions(desk: Desk) -> dict[Path, pl.DataFrame]:
    files = sorted((desk.home / "lake").rglob("*.parquet"))
    return {file: pl.read_parquet(file, glob=False) for file in files}


def test_no_partition_holds_a_name_an_address_or_a_customer(desk: Desk) -> None:
    made = partitions(desk)
    slots = {file.relative_to(desk.home / "lake" / "NG").parts[0] for file in made}
    assert slots == {"weekly-alert", "weekly-implementation", "late-alert", "late-cancellation"}
    mails = [file.read_text() for file in (desk.home / "mail" / "new").iterdir()]
    assert mails
    assert all(MARK in mail for mail in mails), "the marks are in the mails"
    for file, frame in made.items():
        assert not {"email", "shop_name"} & set(frame.columns), file
        assert MARK not in frame.write_csv(), file


def test_customers_are_hashed_with_the_key_of_the_home_and_only_those_that_are_counted(
    desk: Desk,
) -> None:
    lake = desk.home / "lake" / "NG" / "weekly-alert" / desk.market.monday.isoformat()
    items = pl.read_parquet(lake / "warehouse" / "order_items.parquet")
    customers = {i["order_item_id"]: i["customer_id"] for i in desk.market.raw["order_items"]}
    key = home_key(desk.home).customers
    hashed = {item: sha256(f"{key}{of}".encode()).hexdigest() for item, of in customers.items()}
    counted = ("S-1-1", "S-1-5", "S-1-6")  # came back, was refused, was refused
    assert dict(items.select("order_item_id", "customer_hash").iter_rows()) == {
        item: hashed[item] if item in counted else None for item in items["order_item_id"]
    }
    rejections = pl.read_parquet(lake / "metrics" / "product_rejections.parquet")
    assert rejections["rejecting_customers"].to_list() == [2]


def test_the_ledger_keeps_no_address_nor_customer_and_no_hash_that_can_be_guessed(
    desk: Desk,
) -> None:
    addresses = [str(seller["email"]) for seller in desk.market.raw["sellers"]]
    guesses = [sha256(address.encode()).hexdigest() for address in addresses]
    told = desk.rows(sa.select(schema.deliveries.c.address_hash))
    assert {len(hashed) for (hashed,) in told} == {64}
    assert desk.rows(sa.select(schema.address_keys.c.fingerprint)) == [
        (home_key(desk.home).fingerprint,)
    ]
    for name in sorted(schema.metadata.tables.keys() - NAMED):
        rows = str(desk.rows(sa.text(f"SELECT t::TEXT FROM {name} AS t")))
        assert MARK not in rows, name
        assert not any(guess in rows for guess in guesses), name


def test_the_key_itself_is_nowhere_but_in_its_file(desk: Desk) -> None:
    key = home_key(desk.home)
    secrets = {key.secret.hex(), key.customers}
    holding = [
        file.relative_to(desk.home).as_posix()
        for file in desk.home.rglob("*")
        if file.is_file() and any(secret.encode() in file.read_bytes() for secret in secrets)
    ]
    assert holding == ["key"]
    assert os.stat(key.file).st_mode & 0o077 == 0
