"""`vibes explain` as a person or a script uses it; what it answers is told in tests/answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cli.shell import Shell, imported_by
from slots.claims.cases import STOCKLESS, Desk, new_desk

OF_ITEM = "name one item, or --all with --out FILE.jsonl"


@pytest.fixture(scope="module")
def desk(administration: sa.Engine) -> Iterator[Desk]:
    with new_desk(administration) as desk:
        desk.seller("S-1")
        desk.item("S-1", "I-1", STOCKLESS)
        desk.item("S-1", "I-2\x1b[2J", STOCKLESS)
        desk.alert()
        desk.claim("C-1", "S-1", raised_at="Thu+1 10:00", order_number="O-I-1")
        desk.claim("C-2", "S-1", raised_at="Thu+1 10:00", order_number="another")
        desk.settle("Thu+1 10:00")
        yield desk


@pytest.fixture(scope="module")
def shell(desk: Desk) -> Shell:
    url = desk.ledger.engine.url.render_as_string(hide_password=False)
    return Shell(
        desk.home,
        {
            "VIBES_HOME": str(desk.home),
            "VIBES_WAREHOUSE": str(desk.settings().warehouse),
            "VIBES_POSTGRES_URL": url,
        },
    )


def test_an_action_is_a_page_for_people_and_a_document_for_tools(shell: Shell, desk: Desk) -> None:
    reference = desk.reference("out_of_stock_charge", "I-1")
    text = shell("explain", reference)
    assert (text.status, text.err) == (0, "")
    assert text.out.startswith(f"{reference}  Out of Stock Charge  alerted\n")
    assert "  2 × ₦1,000.00 = ₦2,000.00, at most ₦2,500.00\n" in text.out
    document = json.loads(shell("explain", reference, "--format", "json").out)
    assert document["action"]["reference"] == reference
    assert document["arithmetic"] == "min(2 * 1000.00, 2500.00)"


def test_an_explanation_waits_for_nothing_that_only_others_need(shell: Shell, desk: Desk) -> None:
    reference = desk.reference("out_of_stock_charge", "I-1")
    imported = imported_by("explain", reference, shell=shell)
    assert imported.isdisjoint({"alembic", "dagster", "jinja2", "sqlglot"})


def test_a_claim_is_explained_by_the_actions_that_it_is_about(shell: Shell) -> None:
    document = json.loads(shell("explain", "C-1", "--format", "json").out)
    assert document["action"]["order_item_id"] == "I-1"
    assert [claim["claim_id"] for claim in document["claims"]] == ["C-1"]
    assert shell("explain", "C-2").out == "claim C-2 is about no action of the ledger\n"
    assert json.loads(shell("explain", "C-2", "--format", "json").out) == []


def test_an_item_is_answered_as_of_now_or_of_an_instant(shell: Shell, tmp_path: Path) -> None:
    out = shell("explain", "item", "I-1").out
    # On a simulated ledger it is as late as its newest slot.
    assert out.splitlines()[0] == "item I-1 at Wed 2026-11-18 07:00"
    assert out.splitlines()[1].split()[:2] == ["out_of_stock_charge", "acted"]
    asked = ("explain", "item", "I-1", "--at", "2026-11-10T09:59", "--format", "json")
    document = json.loads(shell(*asked).out)
    assert [rule["code"] for rule in document["rules"]][:2] == ["no_event", "in_time"]
    file = tmp_path / "all.jsonl"
    assert shell("explain", "item", "--all", "--out", file).out == f"2 items explained in {file}\n"
    assert len(file.read_text(encoding="utf-8").splitlines()) == 2


def test_a_seller_and_a_product_are_answered_by_cycle(shell: Shell) -> None:
    out = shell("explain", "seller", "S-1", "--cycle", "2026-11-09").out
    assert out.splitlines()[1].split()[:2] == ["order_regulation", "acted"]
    asked = ("explain", "product", "K-S-1", "--cycle", "2026-11-09", "--format", "json")
    document = json.loads(shell(*asked).out)
    assert list(document) == ["rule", "code", "action", "facts", "text"]
    assert document["code"] == "no_event"


@pytest.mark.parametrize("style", ["text", "json"])
def test_text_of_sellers_commands_no_terminal(shell: Shell, desk: Desk, style: str) -> None:
    for asked in (["item", "I-2\x1b[2J"], [desk.reference("out_of_stock_charge", "I-2\x1b[2J")]):
        assert "\x1b" not in shell("explain", *asked, "--format", style).out


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("item",), OF_ITEM),
        (("item", "I-1", "--all", "--out", "all.jsonl"), OF_ITEM),
        (("item", "--all"), OF_ITEM),
        (("item", "I-1", "--out", "all.jsonl"), OF_ITEM),
        (("item", "--all", "--out", "all.csv"), "the ending says the format; write .jsonl"),
        (("item", "I-1", "--at", "yesterday"), "'yesterday' is not a time"),
        (("seller", "S-1", "--cycle", "2026-11-10"), "2026-11-10 is a Tuesday"),
        (("NG-AAAAAAAA",), "knows no action, posting, notice or claim 'NG-AAAAAAAA'"),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    shell: Shell, asked: tuple[str, ...], why: str
) -> None:
    outcome = shell("explain", *asked)
    assert outcome.status == 2
    assert why in outcome.error
