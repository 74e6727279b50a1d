from pathlib import Path

import pytest

from builders.clocks import Clock
from builders.records import record
from segdrop.inference import journal
from segdrop.inference.journal import SYNC_SECONDS, Journal

RECORDS = [record(index, f"{index}.png") for index in (0, 1, 3)]  # 2 could not be read


def written(path: Path) -> bytes:
    with Journal(path) as journal:
        for each in RECORDS:
            journal.append(each)
    return path.read_bytes()


def test_journal_goes_on_after_the_last_image_that_it_tells_of(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written(path)
    with Journal(path) as journal:
        assert (journal.next_index, journal.count) == (4, 3)
        journal.append(record(4, "4.png"))
        assert [each.name for each in journal.records()] == ["0.png", "1.png", "3.png", "4.png"]
        assert [each.name for each in journal.records()] == ["0.png", "1.png", "3.png", "4.png"], "as often as wanted"


def test_cut_at_any_byte_it_has_the_images_whose_lines_are_whole_and_no_other(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole")
    path = tmp_path / "cut"
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        count = sum(end <= size for end in ends)
        with Journal(path) as journal:
            assert journal.count == count
            journal.append(record(9, "next.png"))
            assert [each.index for each in journal.records()] == [each.index for each in RECORDS[:count]] + [9]


def test_records_are_synced_after_all_files_and_at_most_so_many_seconds_later(tmp_path: Path) -> None:
    clock, synced = Clock(), list[float]()
    with Journal(tmp_path / "journal", clock=clock, sync=lambda: synced.append(clock())) as journal:
        journal.append(RECORDS[0])
        assert synced == []
        clock.now += SYNC_SECONDS
        journal.append(RECORDS[1])
        assert synced == [clock()]
        journal.append(RECORDS[2])
        assert len(synced) == 1


def test_after_another_start_of_the_machine_only_what_was_synced_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, boot = tmp_path / "journal", tmp_path / "boot"
    monkeypatch.setattr(journal, "_BOOT_ID", boot)
    boot.write_text("first")
    with Journal(path) as before:
        before.append(RECORDS[0])
        before.sync()
        before.append(RECORDS[1])
    with Journal(path) as same:  # a killed process: all lines count
        assert same.count == 2
        same.append(RECORDS[2])
    boot.write_text("second")
    with Journal(path) as after:
        assert (after.count, after.next_index) == (1, 1)
        after.append(RECORDS[1])
        assert [each.index for each in after.records()] == [0, 1]
    with Journal(path) as again:
        assert again.count == 2
    boot.write_text("third")
    with Journal(path) as never_synced:
        assert never_synced.count == 1


@pytest.mark.parametrize("content", [b"{}\n", b"nonsense\n", b'{"index": 1}\n{'])
def test_whole_line_that_is_no_record_is_not_passed_over(tmp_path: Path, content: bytes) -> None:
    """It is a file of ours that cannot be understood."""
    path = tmp_path / "journal"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="validation error"):
        Journal(path)
