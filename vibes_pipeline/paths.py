"""The one place that knows where the top-level folders `sql/` and `email_templates/` are.

In the source tree they lie beside the package, in an installed wheel inside it.
"""

from __future__ import annotations

from pathlib import Path

from vibes_pipeline.errors import VibesError

_PACKAGE = Path(__file__).resolve().parent


def sql_dir() -> Path:
    """The folder of the rules' SQL files; VibesError if the installation lacks it."""
    return _folder("sql")


def email_templates_dir() -> Path:
    """The folder of the mails' templates; VibesError if the installation lacks it."""
    return _folder("email_templates")


def _folder(name: str) -> Path:
    for candidate in (_PACKAGE / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise VibesError(f"the folder {name} is missing beside or in {_PACKAGE}: install again")
