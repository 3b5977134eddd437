"""Shells to run commands in: a home and a database of their own, a small warehouse to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa
from cli import troubles
from cli.shell import Shell, new_shell


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The marketplace of troubles as a folder of Parquet; not to be changed."""
    return troubles.market().write(tmp_path_factory.mktemp("troubles"))


@pytest.fixture
def shell(
    administration: sa.Engine, with_dagster: str, warehouse: Path, tmp_path: Path
) -> Iterator[Shell]:
    """A shell over an empty ledger."""
    with new_shell(administration, with_dagster, warehouse, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def shells(
    administration: sa.Engine,
    with_dagster: str,
    warehouse: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Shell]]:
    """Makes a shell over an empty ledger for a whole module, by a name for its home."""
    with ExitStack() as opened:
        yield lambda name: opened.enter_context(
            new_shell(administration, with_dagster, warehouse, tmp_path_factory.mktemp(name))
        )


@pytest.fixture(scope="module")
def unharmed(shells: Callable[[str], Shell]) -> Shell:
    """A shell for a whole module, whose commands must all leave the ledger as they found it."""
    return shells("unharmed")
