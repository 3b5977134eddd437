"""`vibes simulate`: what it writes, and what is wrong with a command in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest
from cli import troubles
from cli.shell import Shell
from policy.amendments import NG


def shell(folder: Path, warehouse: Path) -> Shell:
    """Its engine is a server that nobody has started: a simulation asks for none."""
    return Shell(
        folder,
        {
            "VIBES_HOME": str(folder / "home"),
            "VIBES_WAREHOUSE": str(warehouse),
            "VIBES_ENGINE": "sc://127.0.0.1:1",
        },
    )


def test_the_command_tells_totals_and_writes_the_differences_and_a_page(
    past: Path, tmp_path: Path
) -> None:
    (tmp_path / "draft.yaml").write_text(NG.replace("value: 2500", "value: 1000"), encoding="utf-8")
    span = ("--from", "2023-11-13", "--until", "2023-11-13")
    out = tmp_path / "a" / "folder"
    done = shell(tmp_path, past)(
        "simulate", tmp_path / "draft.yaml", *span, "--out", out, "--format", "json"
    )
    assert done.status == 0, done.err
    told = json.loads(done.out)
    totals = {row["rule"]: row for row in told["totals"]}
    assert {
        rule: row["actions_before"] for rule, row in totals.items() if row["actions_before"]
    } == (troubles.ACTIONS)
    assert totals["out_of_stock_charge"] == {
        "rule": "out_of_stock_charge",
        "actions_before": 2,
        "actions_after": 2,
        "amount_before": "3200.00",
        "amount_after": "2000.00",
    }
    assert totals["order_regulation"]["amount_before"] == "0.00"
    assert told["differences"] == {"added": 0, "removed": 0, "changed": 2}
    assert pl.read_parquet(out / "differences.parquet").columns[:7] == [
        *("cycle", "rule", "subject", "seller_id", "change", "amount_before", "amount_after")
    ]
    assert "−₦1,200.00" in (out / "index.html").read_text(encoding="utf-8")
    assert not (tmp_path / "home" / "postgres").exists(), "the ledger was not touched"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(
            ("ruined.yaml", "--from", "2023-11-13", "--until", "2023-11-13"),
            r".*ruined\.yaml, line \d+: out_of_stock_charge\.cap\.values\[0\]\.value: should be a "
            r"number such as 2\.5, not 'much'",
            id="a draft that does not load",
        ),
        pytest.param(
            ("none.yaml", "--from", "2023-11-13", "--until", "2023-11-13"),
            r"there is no policy file .*none\.yaml",
            id="no draft",
        ),
        pytest.param(
            ("ruined.yaml", "--from", "2023-11-14", "--until", "2023-11-13"),
            r"2023-11-14 is a Tuesday; a cycle is named by its Monday, here 2023-11-13",
            id="no Monday",
        ),
        pytest.param(
            ("good.yaml", "--from", "2023-11-13", "--until", "2023-11-13", "--out", "good.yaml"),
            r"--out good\.yaml: no folder can be made there: File exists",
            id="the folder is a file",
        ),
    ],
)
def test_what_is_wrong_with_a_command_is_one_line(
    past: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(NG, encoding="utf-8")
    Path("ruined.yaml").write_text(NG.replace("value: 2500", "value: much", 1), encoding="utf-8")
    refused = shell(tmp_path, past)("simulate", *line)
    assert refused.status != 0
    assert re.fullmatch(message, refused.error)
