"""A policy file is read strictly: each error names the file, the line and the key."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from vibes_pipeline.errors import PolicyError, UsageError
from vibes_pipeline.policy import loader
from vibes_pipeline.policy.loader import (
    known_countries,
    load_policy,
    parse_former_policy,
    parse_policy,
)

NG = Path(loader.__file__).with_name("ng.yaml").read_text(encoding="utf-8")


def write(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def amended(*edits: tuple[str, str]) -> str:
    """Nigeria's policy with the first occurrence of each old text replaced."""
    text = NG
    for old, new in edits:
        assert old in text, f"the policy no longer holds {old!r}"
        text = text.replace(old, new, 1)
    return text


def line_of(marker: str, text: str) -> int:
    assert marker in text, f"nothing to find the line by: {marker!r}"
    return text[: text.index(marker)].count("\n") + 1


# --- finding the file ---------------------------------------------------------------------------


def test_a_country_is_known_in_either_case() -> None:
    assert load_policy("NG").version == load_policy("ng").version


def test_the_packaged_policy_is_not_needed_when_a_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, amended(("country: NG", "country: GH")))
    policy = load_policy("ng", path)
    assert (policy.country, policy.source) == ("GH", path)


@pytest.mark.parametrize("country", ["gh", "../policy/ng", "", None])
def test_an_unknown_country_is_wrong_usage_and_lists_the_known_ones(country: str | None) -> None:
    with pytest.raises(UsageError, match=r"known: ng, or name a policy file") as caught:
        load_policy(country)
    assert caught.value.exit_status == 2
    assert known_countries() == ["ng"]


def test_a_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no policy file .*none\.yaml"):
        load_policy(path=tmp_path / "none.yaml")


def test_a_folder_is_no_policy_file(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(path=tmp_path)


def test_text_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(NG.encode("utf-16"))
    with pytest.raises(PolicyError, match="not UTF-8 text"):
        load_policy(path=path)


# --- what a file must not be --------------------------------------------------------------------

A_VALUE = "      - from: 2016-01-01\n        value: 72\n"


def errors() -> list[dict[str, Any]]:
    path = Path(__file__).parents[1] / "cases" / "policy_errors.yaml"
    rows: list[dict[str, Any]] = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)
    return rows


@pytest.mark.parametrize("row", errors(), ids=lambda row: row["case"])
def test_an_error_names_file_line_and_key(row: dict[str, Any], tmp_path: Path) -> None:
    text = amended(*((edit["old"], edit["new"]) for edit in row["edits"]))
    path = write(tmp_path, text)
    with pytest.raises(PolicyError) as caught:
        load_policy(path=path)
    said = str(caught.value)
    assert said.startswith(f"{path}, line {line_of(row['at'], text)}: {row['message']}")
    assert "\n" not in said


def test_a_second_document_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "country: NG\n---\ncountry: GH\n")
    with pytest.raises(
        PolicyError, match="line 2: a second YAML document; a policy file holds one"
    ):
        load_policy(path=path)


def test_a_year_of_holidays_left_out_is_an_error(tmp_path: Path) -> None:
    start, end = NG.index("      2017:\n"), NG.index("      2018:\n")
    text = NG[:start] + NG[end:]
    message = (
        f"line {line_of('      2018:', text)}: fulfilment.public_holidays.years.2018: "
        "2018 follows 2016; list every year once, in order"
    )
    with pytest.raises(PolicyError, match=message):
        load_policy(path=write(tmp_path, text))


def test_a_failure_reason_without_its_amount_is_an_error(tmp_path: Path) -> None:
    text = amended(("[wrong_item, defective_item, used", "[broken_seal, defective_item, used"))
    group = text[: text.index("dropoff_qc_charge:\n  amounts:")].count("\n") + 1
    message = f"line {group + 1}: dropoff_qc_charge.amounts: has nothing for broken_seal"
    with pytest.raises(PolicyError, match=message):
        load_policy(path=write(tmp_path, text))


def test_an_alias_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a: *b\n")
    with pytest.raises(PolicyError, match="line 1: "):
        load_policy(path=path)


def test_a_claim_category_that_is_missing_is_named(tmp_path: Path) -> None:
    start, end = NG.index("    vibes_action:\n"), NG.index("  rule_events:\n")
    path = write(tmp_path, NG[:start] + NG[end:])
    with pytest.raises(PolicyError, match=r"claims\.categories: has no category vibes_action"):
        load_policy(path=path)


@pytest.mark.parametrize("text", ["", "# only a comment\n"])
def test_an_empty_file_is_an_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="empty; a policy is a mapping of keys"):
        load_policy(path=write(tmp_path, text))


def test_a_file_that_is_a_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="line 1: should be a mapping of keys"):
        load_policy(path=write(tmp_path, "- country: NG\n"))


def test_a_control_character_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="not YAML"):
        load_policy(path=write(tmp_path, "country: N\x00G\n"))


def test_of_several_errors_the_first_in_the_file_is_named_and_the_others_counted(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path, amended(("currency: NGN", "currency: ngn"), (A_VALUE, "      - from: never\n"))
    )
    with pytest.raises(PolicyError, match=r"line 12: currency: .* \(and 2 more\)$"):
        load_policy(path=path)


# --- what a file says ---------------------------------------------------------------------------


def test_numbers_are_read_exactly(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        amended(("        value: 1500\n", "        value: 1500.10\n"), ("5.0\n", "5.0001\n")),
    )
    policy = load_policy(path=path)
    day = policy.calendar.first_day
    assert policy.returns_charge.amounts["wrong_item"].on(day) == Decimal("1500.10")
    assert policy.order_regulation.bands.on(day)[1].up_to_pct == Decimal("5.0001")


def test_comments_whitespace_and_the_order_of_keys_do_not_change_the_version(
    tmp_path: Path,
) -> None:
    same = amended(
        ("country: NG\ncurrency: NGN\n", "currency:   'NGN'  # the naira\n\ncountry: NG\n"),
    )
    assert load_policy(path=write(tmp_path, same)).version == load_policy("ng").version


def test_a_changed_number_changes_the_version(tmp_path: Path) -> None:
    changed = load_policy(path=write(tmp_path, amended(("value: 1500\n", "value: 1501\n"))))
    assert changed.version != load_policy("ng").version
    assert re.fullmatch(r"[0-9a-f]{64}", changed.version)
    assert changed.short_version == changed.version[:12]


def test_a_policy_keeps_its_text_and_source(tmp_path: Path) -> None:
    path = write(tmp_path, NG)
    policy = load_policy(path=path)
    assert (policy.text, policy.source) == (NG, path)


# --- policies of before -------------------------------------------------------------------------


def test_a_former_policy_lacks_what_came_since_and_keeps_its_own_values_and_version() -> None:
    """A group of today, and a parameter in a group that there was before."""
    text = amended(("        value: 28\n", "        value: 21\n"))
    for key in ("\nlake:\n  lake_retention_weeks", "  evidence_patience_slots"):
        start = text.index(f"{key}:\n")
        end = re.compile(r"\n(?=\S| {2}\S)").search(text, text.index("\n    description", start))
        assert end is not None
        text = text[:start] + text[end.start() + (key[0] == " ") :]
    assert "lake_retention_weeks" not in text
    assert "evidence_patience_slots" not in text
    with pytest.raises(PolicyError, match="required key is missing"):
        parse_policy(Path("former.yaml"), text)

    former = parse_former_policy(Path("former.yaml"), text, NG)
    present = load_policy("ng")
    assert former.lake == present.lake
    assert former.warehouse == present.warehouse
    assert former.late_data.late_arrival_days.values[0].value == 21
    assert former.text == text
    assert former.version != present.version
    # A fault is still a fault.
    with pytest.raises(PolicyError, match="unknown key"):
        parse_former_policy(Path("former.yaml"), f"{text}\nnobody_knows: 1\n", NG)
