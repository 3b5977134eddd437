"""The paths of the top-level files that the package needs; no other module knows them.

In the source tree these files lie beside the package, in an installed wheel inside it.
"""

from __future__ import annotations

from pathlib import Path

from vibes_pipeline.errors import VibesError

_PACKAGE = Path(__file__).resolve().parent


def sql_dir() -> Path:
    """The folder of the rules' SQL files; VibesError if the installation lacks it."""
    return _find("sql")


def email_templates_dir() -> Path:
    """The folder of the mails' templates; VibesError if the installation lacks it."""
    return _find("email_templates")


def workspace_file() -> Path:
    """The file that names Dagster's code locations; VibesError if the installation lacks it."""
    return _find("workspace.yaml")


def _find(name: str) -> Path:
    for candidate in (_PACKAGE / name, _PACKAGE.parent / name):
        if candidate.exists():
            return candidate
    raise VibesError(f"{name} is missing beside or in {_PACKAGE}: install again")
