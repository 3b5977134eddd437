"""The law in the repository: what cites a section of the rulebook cites one that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import PROJECT, README, title

RULEBOOK = PROJECT / "docs" / "rulebook.md"
# Where the rulebook is cited: as `Rulebook §6`, or, once that is said, as `§6`.
CITING = ("vibes_pipeline", "sql", "email_templates", "tests", "docs", "benchmarks")
SUFFIXES = {".py", ".sql", ".yaml", ".md", ".html", ".txt"}
SECTION = re.compile(r"^## (\d+)\. ", re.M)


def sections(text: str) -> set[str]:
    return set(SECTION.findall(text))


def cited(text: str) -> set[str]:
    return set(re.findall(r"§ ?(\d+)", text))


def citing_files() -> Iterator[Path]:
    yield README
    for folder in CITING:
        for file in sorted((PROJECT / folder).rglob("*")):
            if file.suffix in SUFFIXES and file not in (RULEBOOK, Path(__file__)):
                yield file


def test_every_section_that_is_cited_is_in_the_rulebook() -> None:
    known = sections(RULEBOOK.read_text(encoding="utf-8"))
    wrong = {
        title(file): sorted(unknown)
        for file in citing_files()
        # The mail transports cite the sections of a mail standard, by its name.
        if (unknown := cited(_without_standards(file.read_text(encoding="utf-8"))) - known)
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("text", "sections_cited"),
    [
        pytest.param("-- (Rulebook §6, §11).", {"6", "11"}, id="two sections"),
        pytest.param("once, ever (§99)", {"99"}, id="a section that is none"),
        pytest.param("the time limits of RFC 5321 §4.5.3.2", set(), id="of another text"),
    ],
)
def test_a_citation_is_found(text: str, sections_cited: set[str]) -> None:
    assert cited(_without_standards(text)) == sections_cited


def test_the_readme_leads_to_the_rulebook() -> None:
    assert "(docs/rulebook.md)" in README.read_text(encoding="utf-8")


def _without_standards(text: str) -> str:
    return re.sub(r"RFC \d+ §[\d.]+", "", text)
