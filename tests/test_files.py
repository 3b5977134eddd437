"""Files and folders put into place whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from vibes_pipeline.files import put_into_place


def put(place: Path, text: str, form: str, error: Exception | None = None) -> None:
    """Put a file with the text into place, or a folder with a part of the text."""
    with put_into_place(place) as temporary:
        if form == "folder":
            temporary.mkdir()
            (temporary / f"{text}.part").write_text(text)
        else:
            temporary.write_text(text)
        if error:
            raise error


def held(place: Path) -> list[str]:
    """The texts at a place and, so that nothing else may be left, beside it."""
    return sorted(file.read_text() for file in place.parent.rglob("*") if file.is_file())


@pytest.mark.parametrize("new", ["file", "folder"])
@pytest.mark.parametrize("old", ["file", "folder"])
def test_a_file_or_folder_takes_the_place_of_either(tmp_path: Path, old: str, new: str) -> None:
    place = tmp_path / "rows.parquet"
    put(place, "old", old)
    put(place, "new", new)
    assert held(place) == ["new"]
    assert place.is_dir() == (new == "folder")
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("new", ["file", "folder"])
@pytest.mark.parametrize("old", ["file", "folder"])
def test_what_fails_leaves_the_old_one_and_nothing_else(tmp_path: Path, old: str, new: str) -> None:
    place = tmp_path / "rows.parquet"
    put(place, "old", old)
    with pytest.raises(KeyError):
        put(place, "new", new, KeyError())
    assert held(place) == ["old"]
    assert list(tmp_path.iterdir()) == [place]
