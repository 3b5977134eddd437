"""The documents name only what is there: commands and their options, files, settings, tables."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from documents import DOCUMENTS, PROJECT, README, code_blocks, commands, shown_in, title

from vibes_pipeline.cli.main import COMMANDS, cli
from vibes_pipeline.exports.tables import EXPORTS
from vibes_pipeline.settings import Settings

DEPLOYED = sorted(file for file in (PROJECT / "deploy").iterdir() if file.is_file())
# What the documents write in place of a file or a name that the reader has.
PLACEHOLDERS = {"TABLE", "FILE", "DIR", "NOTICE_ID"}


def in_documents() -> Iterator[object]:
    for document in DOCUMENTS:
        for command in shown_in(document):
            shown = " ".join(command.arguments)
            yield pytest.param(command.arguments, id=f"{title(document)}: {shown}")


def in_services() -> Iterator[object]:
    for file in DEPLOYED:
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("ExecStart="):
                for command in commands(line):
                    shown = " ".join(command.arguments)
                    yield pytest.param(command.arguments, id=f"{title(file)}: {shown}")


def parse(arguments: list[str]) -> list[click.Context]:
    """The contexts of a command line, group first, as click parses it; nothing is run."""
    contexts = [cli.make_context("vibes", list(arguments))]
    while isinstance(contexts[-1].command, click.Group):
        parent = contexts[-1]
        rest = [*parent._protected_args, *parent.args]
        if parent.command.invoke_without_command and not rest:
            break
        name, command, rest = parent.command.resolve_command(parent, rest)  # type: ignore[attr-defined]
        contexts.append(command.make_context(name, rest, parent=parent))
    return contexts


@pytest.mark.parametrize("arguments", [*in_documents(), *in_services()])
def test_every_command_shown_is_one_that_is_understood(arguments: list[str]) -> None:
    parameters = parse(arguments)[-1].params
    if "table" in parameters and parameters["table"] not in PLACEHOLDERS:
        assert parameters["table"] in EXPORTS


def test_the_documents_show_commands_and_the_services_run_them() -> None:
    shown = [param.values[0][0] for param in in_documents() if param.values[0]]  # type: ignore[attr-defined]
    assert {"run", "replay", "up", "export", "report", "sql", "prune"} <= set(shown)
    assert len(list(in_services())) == 2


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("vibes replya --from 2026-10-14T07:00", id="no such command"),
        pytest.param("vibes run weekly-alert --as-of 2026-11-18T07:00", id="no such option"),
        pytest.param("VIBES_HOME=./x vibes export", id="an argument is missing"),
        pytest.param("vibes mail send", id="no such command of a group"),
        pytest.param("/opt/vibes/.venv/bin/vibes up --only postgres", id="no such choice"),
    ],
)
def test_a_command_that_is_wrong_is_found(line: str) -> None:
    (command,) = commands(line)
    with pytest.raises(click.UsageError):
        parse(command.arguments)


def test_the_readme_lists_every_command_and_every_table() -> None:
    text = README.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `vibes (\w+)", text, re.M)) == set(COMMANDS)
    (exported,) = re.findall(r"^\| `vibes export .*$", text, re.M)
    assert set(re.findall(r"`(\w+)`", exported)) == set(EXPORTS)


def test_the_help_of_export_names_every_table() -> None:
    told = cli.get_command(click.Context(cli), "export").help
    assert [table for table in EXPORTS if not re.search(rf"\b{table}\b", told)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), f"{title(document)} links to {target}"
        if heading:
            assert heading in headings(file), f"{title(document)} links to {target}"


def headings(file: Path) -> set[str]:
    """The anchors of a document's headings, as repository hosts make them."""
    titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("file", [*DOCUMENTS, *DEPLOYED], ids=title)
def test_every_setting_named_is_read(file: Path) -> None:
    assert settings_in(file) <= settings_read()


def test_the_readme_lists_every_setting_that_is_read() -> None:
    rows = re.findall(r"^\| (`VIBES_[^|]+)\|", README.read_text(encoding="utf-8"), re.M)
    assert {name for row in rows for name in re.findall(r"VIBES_\w+", row)} == settings_read()


def settings_in(file: Path) -> set[str]:
    return set(re.findall(r"\bVIBES_[A-Z_]+\b", file.read_text(encoding="utf-8")))


def settings_read() -> set[str]:
    """The variables that `Settings` asks the environment for; it takes a copy, so by its source."""
    source = Path(inspect.getfile(Settings))
    return set(re.findall(r'given(?:\.get\(|\[)"(VIBES_\w+)"', source.read_text(encoding="utf-8")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_every_folder_and_file_of_the_project_named_in_text_is_there(document: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    named = re.findall(
        r"`((?:vibes_pipeline|sql|email_templates|tests|deploy|docs)/[\w/.]*)`", text
    )
    missing = [name for name in named if not (PROJECT / name).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_every_python_and_yaml_example_is_well_formed(document: Path) -> None:
    for language, content in code_blocks(document.read_text(encoding="utf-8")):
        if language == "python":
            compile(content, title(document), "exec")
        if language == "yaml":
            assert yaml.safe_load(content)
