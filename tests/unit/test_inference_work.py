"""The order of the journal: an image is told of when all before it are done, whatever is decoded ahead."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.records import item, prediction
from segdrop.codes import Code
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.errors import Issue
from segdrop.inference import work as module
from segdrop.inference.journal import Journal
from segdrop.inference.prediction import Prediction
from segdrop.inference.work import Work

BROKEN = Issue.of(Code.IMAGE_UNREADABLE, "cannot be read")


class ReadsAhead:
    """A predictor that takes all images before it gives the first prediction, as one with batches does."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def predictions(self, items: Iterator[Item | SkippedItem]) -> Iterator[Prediction | SkippedItem]:
        for taken in list(items):
            is_skipped = isinstance(taken, SkippedItem)
            yield taken if is_skipped else prediction([[0, 1]], taken.name, taken.index)


class Told:
    """Stands in for the model, its loaded network, the request and the reporter: whatever is asked, it is this."""

    max_images = None
    max_output_bytes = 1 << 40

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *_: Any) -> Any:
        return None

    def apply(self, class_ids: Any) -> Any:
        return class_ids


def run(path: Path, *decoded: Item | SkippedItem, breaks_at: int | None = None) -> list[int]:
    """The indices in the journal, in their order."""

    class Breaks:
        name = "breaks"

        def write(self, prediction: Prediction) -> None:
            if prediction.item.index == breaks_at:
                raise RuntimeError("a crash")

        def finish(self, records: Any) -> None:
            pass

    with Journal(path) as journal:
        told: Any = Told()
        job = Work(told, False, told, [Breaks()], None, journal, list(decoded), told, [])  # type: ignore[arg-type]
        try:
            job.run()
        except RuntimeError:
            assert breaks_at is not None
        return [record.index for record in journal._lines()]


@pytest.fixture(autouse=True)
def reads_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Predictor", ReadsAhead)
    monkeypatch.setattr(module, "folder_bytes", lambda _folder: 0)
    monkeypatch.setattr(module, "scratch_of", lambda folder: folder)


DECODED = (
    item("0.png", 0),
    SkippedItem(1, "1.png", BROKEN),
    item("2.png", 2),
    item("3.png", 3),
    SkippedItem(4, "4.png", BROKEN),
)


def test_images_and_those_that_are_left_out_are_told_of_in_the_order_of_the_input(tmp_path: Path) -> None:
    assert run(tmp_path / "journal", *DECODED) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("breaks_at", "told"), [(0, []), (2, [0, 1]), (3, [0, 1, 2])])
def test_a_crash_leaves_no_image_behind_that_was_decoded_ahead(tmp_path: Path, breaks_at: int, told: list[int]) -> None:
    assert run(tmp_path / "journal", *DECODED, breaks_at=breaks_at) == told
    with Journal(tmp_path / "journal") as journal:
        assert journal.next_index == len(told)
