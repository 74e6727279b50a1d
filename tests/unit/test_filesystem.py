"""The innermost mount above a folder decides, as the kernel lists it."""

from pathlib import Path

import pytest

from segdrop.intake import filesystem

_LINE = "{number} 1 0:{number} / {mount} rw,relatime shared:1 - {kind} source rw\n"


def _mountinfo(tmp_path: Path, *mounts: tuple[str, str]) -> Path:
    path = tmp_path / "mountinfo"
    lines = (_LINE.format(number=i, mount=mount, kind=kind) for i, (mount, kind) in enumerate(mounts, 20))
    path.write_text("".join(lines))
    return path


def test_the_innermost_mount_decides(tmp_path: Path) -> None:
    inner = tmp_path / "share" / "inbox"
    inner.mkdir(parents=True)
    table = _mountinfo(tmp_path, ("/", "ext4"), (str(tmp_path / "share"), "cifs"), ("/elsewhere", "nfs"))
    assert filesystem.type_of(inner, table) == "cifs"
    assert filesystem.type_of(tmp_path, table) == "ext4"


def test_of_two_mounts_on_one_place_the_later_covers_the_earlier(tmp_path: Path) -> None:
    assert (
        filesystem.type_of(tmp_path, _mountinfo(tmp_path, (str(tmp_path), "ext4"), (str(tmp_path), "nfs4"))) == "nfs4"
    )


def test_spaces_in_mount_points_are_octal(tmp_path: Path) -> None:
    folder = tmp_path / "my share"
    folder.mkdir()
    table = _mountinfo(tmp_path, ("/", "ext4"), (str(folder).replace(" ", "\\040"), "nfs"))
    assert filesystem.type_of(folder, table) == "nfs"


def test_a_system_without_mountinfo_is_unknown_and_not_a_network(tmp_path: Path) -> None:
    found = filesystem.type_of(tmp_path, tmp_path / "absent")
    assert found is None
    assert not filesystem.is_network(found)


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph"])
def test_network_filesystems_are_known(kind: str) -> None:
    assert filesystem.is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs"])
def test_local_filesystems_are_not_taken_for_networks(kind: str) -> None:
    assert not filesystem.is_network(kind)
