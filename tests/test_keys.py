"""The key of a home: made once, its owner's alone, and what is hashed with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from vibes_pipeline.errors import SettingsError
from vibes_pipeline.keys import Key, home_key

AT_ONCE = 16
KEY = Key(Path("key"), bytes(range(32)))
ANOTHER = Key(Path("key"), bytes(32))
ADDRESS = "owner@shop.example"
UNKEYED = sha256(ADDRESS.encode()).hexdigest()


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_all_who_begin_at_the_same_moment_get_the_same_key(
    tmp_path: Path, loose_umask: None
) -> None:
    home, together = tmp_path / "new" / "home", threading.Barrier(AT_ONCE)

    def begin(_: int) -> Key:
        together.wait()
        return home_key(home)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        keys = set(threads.map(begin, range(AT_ONCE)))
    assert keys == {home_key(home)}
    assert [file.name for file in home.iterdir()] == ["key"], "nothing else is left"
    assert (home / "key").stat().st_mode & 0o777 == 0o600


def test_each_home_has_a_key_of_its_own(tmp_path: Path) -> None:
    assert home_key(tmp_path / "one").secret != home_key(tmp_path / "two").secret


@pytest.mark.parametrize("content", ["", "no key", "ab" * 31, "AB" * 32, "ab" * 32 + "\nab"])
def test_a_file_that_holds_no_key_is_one_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(SettingsError) as refused:
        home_key(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path / 'key'} does not hold a key (64 hexadecimal digits); restore it from the backup"
    )
    assert (tmp_path / "key").read_text() == content, "it is not overwritten"


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    with pytest.raises(SettingsError, match=r"key cannot be made or read: Is a directory; let "):
        home_key(tmp_path)


def test_nothing_shown_of_a_key_gives_it_away() -> None:
    shown = {repr(KEY), KEY.fingerprint, KEY.customers, KEY.hash_address(ADDRESS)}
    assert not any(KEY.secret.hex()[:16] in str(text) for text in shown)
    assert len({KEY.fingerprint, KEY.customers[:16], (KEY.hash_address("") or "")[:16]}) == 3


@pytest.mark.parametrize(
    ("hashed", "address", "is_same"),
    [
        (KEY.hash_address(ADDRESS), ADDRESS, True),
        (KEY.hash_address(ADDRESS), "mended@shop.example", False),
        (KEY.hash_address(ADDRESS), None, False),
        (None, None, True),
        (None, ADDRESS, False),
        # Recorded by a version that had no key.
        (UNKEYED, ADDRESS, True),
        (UNKEYED, "mended@shop.example", False),
        (ANOTHER.hash_address(ADDRESS), ADDRESS, False),
    ],
)
def test_a_mended_address_is_told_from_the_one_that_failed(
    hashed: str | None, address: str | None, is_same: bool
) -> None:
    assert KEY.is_of_address(hashed, address) is is_same


def test_an_address_cannot_be_found_by_hashing_all_that_there_are() -> None:
    assert KEY.hash_address(ADDRESS) not in (UNKEYED, ANOTHER.hash_address(ADDRESS), None)
