"""The documents as text to be checked: their fenced blocks and the `vibes` commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
README = PROJECT / "README.md"
DOCUMENTS = [README, *sorted((PROJECT / "docs").glob("*.md"))]
# An assignment before a command, as a shell takes it.
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


@dataclass(frozen=True)
class Command:
    """A `vibes` command as a document shows it: its arguments, and what is set for it alone."""

    arguments: list[str]
    assignments: Mapping[str, str]


def title(file: Path) -> str:
    """A file's name within the project."""
    return file.relative_to(PROJECT).as_posix()


def code_blocks(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of each fenced block."""
    yield from re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)


def commands(text: str) -> Iterator[Command]:
    """Each `vibes` command that stands at a line's beginning, after assignments."""
    for line in text.replace("\\\n", " ").splitlines():
        if not re.search(r"\bvibes\b", line):
            continue
        words = shlex.split(line.removeprefix("ExecStart="), comments=True)
        assignments = {}
        while words and (ASSIGNMENT.match(words[0]) or words[0] == "sudo"):
            name, given, value = words[0].partition("=")
            words = words[1:]
            if given:
                assignments[name] = value
        if words and Path(words[0]).name == "vibes":
            yield Command(words[1:], assignments)


def shown_in(document: Path) -> Iterator[Command]:
    """The commands of a document's blocks that are a shell's."""
    for language, content in code_blocks(document.read_text(encoding="utf-8")):
        if language == "":
            yield from commands(content)
