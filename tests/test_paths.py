"""Where the top-level folders are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from vibes_pipeline import paths
from vibes_pipeline.errors import VibesError


def test_in_the_source_tree_the_templates_lie_beside_the_package() -> None:
    assert paths.email_templates_dir() == Path(paths.__file__).parents[1] / "email_templates"


def test_in_a_wheel_the_folders_lie_inside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package" / "sql").mkdir(parents=True)
    (tmp_path / "sql").mkdir()
    monkeypatch.setattr(paths, "_PACKAGE", tmp_path / "package")
    assert paths.sql_dir() == tmp_path / "package" / "sql"


def test_a_missing_folder_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "_PACKAGE", tmp_path / "package")
    with pytest.raises(VibesError, match=r"sql is missing .*: install again"):
        paths.sql_dir()
