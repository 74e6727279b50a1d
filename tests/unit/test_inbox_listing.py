"""The inbox is listed again whenever a name may have come or gone, and seldom otherwise."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.clocks import Clock
from segdrop.intake import listing
from segdrop.intake.listing import FolderListing

A_WHILE_SECONDS = 2.5  # longer than the coarsest clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every folder read since."""
    read: list[Path] = []

    def counted(folder: Path) -> Iterator["os.DirEntry[str]"]:
        read.append(folder)
        return scandir(folder)

    scandir = os.scandir
    monkeypatch.setattr(listing.os, "scandir", counted)
    return read


def settled(folder: Path, clock: Clock) -> FolderListing:
    """A listing that has been read while the folder's times had stood still for long enough."""
    found = FolderListing(folder, clock)
    found.names()
    clock.now += A_WHILE_SECONDS
    found.names()
    return found


def test_an_unchanged_folder_is_not_read_again(tmp_path: Path, clock: Clock, listings: list[Path]) -> None:
    (tmp_path / "a.zip").touch()
    found = settled(tmp_path, clock)
    before = len(listings)
    clock.now += A_WHILE_SECONDS
    assert found.names().archives == ["a.zip"]
    assert len(listings) == before


def test_what_comes_goes_or_is_renamed_is_seen_at_once(tmp_path: Path, clock: Clock) -> None:
    found = settled(tmp_path, clock)
    (tmp_path / "a.zip.part").touch()
    assert found.names().bystanders == {"a.zip.part": "hidden or temporary name"}
    found = settled(tmp_path, clock)
    (tmp_path / "a.zip.part").rename(tmp_path / "a.zip")
    assert (found.names().archives, found.names().bystanders) == (["a.zip"], {})
    found = settled(tmp_path, clock)
    (tmp_path / "a.zip").unlink()
    assert found.names().archives == []


def test_two_changes_within_one_tick_of_a_coarse_clock_are_both_seen(tmp_path: Path, clock: Clock) -> None:
    def add(name: str) -> None:
        (tmp_path / name).touch()
        os.utime(tmp_path, (1_000_000_000, 1_000_000_000))  # as of a filesystem that counts in seconds

    add("a.zip")
    found = FolderListing(tmp_path, clock)
    assert found.names().archives == ["a.zip"]
    stamped = found._stamp
    clock.now += 1.0
    add("b.zip")
    found._stamp = (*found._stamp[:-1], tmp_path.stat().st_ctime_ns)  # its ctime cannot be set: taken as unchanged
    assert stamped[:-1] == found._stamp[:-1]
    assert found.names().archives == ["a.zip", "b.zip"]


def test_a_folder_without_times_is_read_every_ten_seconds(tmp_path: Path, clock: Clock) -> None:
    found = settled(tmp_path, clock)
    (tmp_path / "a.zip").touch()
    status = tmp_path.stat()
    found._stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)  # no change
    assert found.names().archives == []
    clock.now += 10.0
    assert found.names().archives == ["a.zip"]


def test_another_folder_in_its_place_is_read_at_once(tmp_path: Path, clock: Clock) -> None:
    inbox, other = tmp_path / "inbox", tmp_path / "other"
    for folder in (inbox, other):
        folder.mkdir()
    (other / "a.zip").touch()
    for folder in (inbox, other):
        os.utime(folder, (1_000_000_000, 1_000_000_000))
    found = settled(inbox, clock)
    inbox.rmdir()
    other.rename(inbox)
    assert found.names().archives == ["a.zip"]
