import ast
import ctypes
import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest

import segdrop
from builders.spool import listing
from segdrop import durable

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path(segdrop.__file__).parent
#: what changes names or forces the disk; ``replace`` of text is told apart by its arguments
OURS = {"fsync", "fdatasync", "rename", "renames", "link", "hardlink_to", "link_to"}
MODULES_WITH_REPLACE = {"os", "shutil"}


class CrashError(BaseException):
    pass


def no_hard_links(_source: object, _target: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


# who may call what


def calls_reserved_for_durable(source: str) -> list[str]:
    """``fsync`` and the others by name; ``replace`` with one argument (a path's), or of the module os."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            name = node.func.attr
            if owner == "durable":
                continue
            is_path_replace = name == "replace" and len(node.args) == 1 and not node.keywords
            is_module_replace = name == "replace" and owner in MODULES_WITH_REPLACE
            if name in OURS or is_path_replace or is_module_replace:
                found.append(f"{node.lineno}: {name}")
        elif isinstance(node.func, ast.Name) and node.func.id in OURS:
            found.append(f"{node.lineno}: {node.func.id}")
    return found


def test_only_durable_syncs_renames_and_links() -> None:
    found = {
        str(path.relative_to(PACKAGE)): calls
        for path in PACKAGE.rglob("*.py")
        if (calls := calls_reserved_for_durable(path.read_text(encoding="utf-8")))
    }
    assert set(found) == {"durable.py"}


@pytest.mark.parametrize(
    "line", ["os.fsync(1)", "p.rename(q)", "p.replace(q)", "os.replace(a, b)", "os.link(a, b)", "fsync(1)"]
)
def test_the_search_above_finds_each_such_call(line: str) -> None:
    assert calls_reserved_for_durable(line)
    assert not calls_reserved_for_durable('text.replace("a", "b"); durable.link(a, b)')


# sync


@pytest.mark.skipif(sys.platform != "linux", reason="syncfs(2) is Linux's")
def test_syncing_a_filesystem_tells_what_the_kernel_could_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []

    class Libc:
        def syncfs(self, descriptor: int) -> int:
            synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
            ctypes.set_errno(errno.EIO)
            return 0 if len(synced) == 1 else -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Libc())
    durable.sync_filesystem(tmp_path)
    with pytest.raises(OSError, match="Input/output error") as caught:
        durable.sync_filesystem(tmp_path)
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(tmp_path))
    assert synced == [str(tmp_path)] * 2


# write


def test_written_bytes_are_there_with_nothing_beside_them(tmp_path: Path) -> None:
    durable.write_bytes(tmp_path / "x", b"one")
    durable.write_bytes(tmp_path / "x", b"two")
    assert (tmp_path / "x").read_bytes() == b"two"
    assert listing(tmp_path) == ["x"]


@pytest.mark.parametrize("error", [ValueError, OSError(errno.ENOSPC, "full"), CrashError])
def test_a_writer_that_fails_leaves_the_old_contents(
    tmp_path: Path, error: BaseException | type[BaseException]
) -> None:
    durable.write_bytes(tmp_path / "x", b"old")

    def writer(stream: BinaryIO) -> None:
        stream.write(b"new, but not ")
        stream.flush()
        raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        durable.write(tmp_path / "x", writer)
    assert (tmp_path / "x").read_bytes() == b"old"
    durable.write_bytes(tmp_path / "x", b"next")
    assert listing(tmp_path) == ["x"], "what a crash leaves is used up by the next attempt"


def test_contents_are_synced_before_a_name_points_at_them_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        steps.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def noting_replace(self: Path, target: Path) -> Path:
        steps.append(f"replace {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    durable.write_bytes(tmp_path / "x", b"1")
    assert steps == ["sync x.tmp", "replace x", f"sync {tmp_path.name}"]


def test_json_is_readable_by_people_and_refuses_what_is_not_json(tmp_path: Path) -> None:
    durable.write_json(tmp_path / "x", {"name": "Größe", "n": [1, None, True]})
    assert (tmp_path / "x").read_text(encoding="utf-8").startswith('{\n  "name": "Größe"')
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError):
            durable.write_json(tmp_path / "x", {"value": value})
    assert json.loads((tmp_path / "x").read_bytes()) == {"name": "Größe", "n": [1, None, True]}


def test_a_quick_replacement_is_whole_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable.replace_quickly(tmp_path / "x", b"one")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", no_hard_links)
        with pytest.raises(PermissionError):
            durable.replace_quickly(tmp_path / "x", b"two")
    assert (tmp_path / "x").read_bytes() == b"one"


# folders


def test_a_new_folder_is_exclusive_and_an_ensured_one_is_not(tmp_path: Path) -> None:
    durable.ensure_dir(tmp_path / "a" / "b")
    durable.ensure_dir(tmp_path / "a" / "b")
    with pytest.raises(FileExistsError):
        durable.make_dir(tmp_path / "a" / "b")


def test_a_filesystem_that_cannot_sync_folders_is_worked_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    durable.sync_dir(tmp_path)


def test_a_disk_error_while_syncing_a_folder_is_never_swallowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input"):
        durable.sync_dir(tmp_path)


# publish


@pytest.fixture(params=[True, False], ids=["hard links", "no hard links"])
def source(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not request.param:
        monkeypatch.setattr(os, "link", no_hard_links)
    path = tmp_path / "source"
    path.write_bytes(b"new")
    return path


def test_publishing_gives_the_name_and_takes_the_old_one(source: Path, tmp_path: Path) -> None:
    durable.publish(source, tmp_path / "public")
    assert (tmp_path / "public").read_bytes() == b"new"
    assert listing(tmp_path) == ["public"]


def test_publishing_never_replaces(source: Path, tmp_path: Path) -> None:
    (tmp_path / "public").write_bytes(b"somebody's")
    with pytest.raises(FileExistsError):
        durable.publish(source, tmp_path / "public")
    assert (tmp_path / "public").read_bytes() == b"somebody's"
    assert source.read_bytes() == b"new"


def test_other_errors_of_link_are_no_reason_to_go_round_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_source: object, _target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left")

    (tmp_path / "source").write_bytes(b"new")
    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space"):
        durable.publish(tmp_path / "source", tmp_path / "public")
    assert listing(tmp_path) == ["source"]


# remove and move


def test_removing_what_is_gone_is_fine(tmp_path: Path) -> None:
    durable.remove(tmp_path / "x")
    durable.remove_tree(tmp_path / "y")
    assert listing(tmp_path) == []


def filled(folder: Path) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").write_text("x")
    return folder


def test_a_removal_that_was_cut_off_is_finished_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_path: Path) -> None:
        raise CrashError

    folder = filled(tmp_path / "job")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", crash)
        with pytest.raises(CrashError):
            durable.remove_tree(folder)
    assert listing(tmp_path) == [".job.removed"], "nobody meets a folder that is half removed"
    filled(folder)
    durable.remove_tree(folder)
    assert listing(tmp_path) == []


def test_a_removal_that_was_cut_off_is_finished_even_where_nothing_new_has_the_name(tmp_path: Path) -> None:
    filled(tmp_path / ".job.removed")
    durable.remove_tree(tmp_path / "job")
    assert listing(tmp_path) == []


def test_a_link_to_a_folder_is_removed_and_not_what_it_points_at(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    filled(tmp_path / "precious")
    (tmp_path / "job" / "link").symlink_to(tmp_path / "precious")
    durable.remove_tree(tmp_path / "job")
    assert (tmp_path / "precious" / "deep" / "file").exists()


@pytest.mark.parametrize("same_folder", [True, False])
def test_moving_syncs_each_folder_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same_folder: bool
) -> None:
    synced: list[Path] = []
    (tmp_path / "b").mkdir()
    (tmp_path / "x").write_text("x")
    sync: Callable[[Path], None] = durable.sync_dir
    monkeypatch.setattr(durable, "sync_dir", lambda path: (synced.append(path), sync(path)))
    durable.move(tmp_path / "x", tmp_path / "y" if same_folder else tmp_path / "b" / "y")
    assert set(synced) == ({tmp_path} if same_folder else {tmp_path, tmp_path / "b"})
