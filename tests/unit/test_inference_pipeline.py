"""Results come in order and in the same memory, while writing goes on beside; whatever is raised arrives."""

import threading
from collections.abc import Iterator

import pytest

from builders.segmenters import ToySegmenter, by_colour, item
from segdrop.codes import Code
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.errors import Issue, StoppedError
from segdrop.inference import pipeline
from segdrop.inference.prediction import Prediction
from segdrop.inference.predictor import Predictor

PATIENCE_SECONDS = 60
SKIPPED = SkippedItem(1, "b.jpg", Issue.of(Code.IMAGE_UNREADABLE, "broken"))


def predictor() -> Predictor:
    return Predictor(ToySegmenter(by_colour(2), 2))


def items(count: int) -> Iterator[Item]:
    return (item(8, 8, index) for index in range(count))


def index_of(prediction: Prediction) -> int:
    return prediction.item.index


def test_results_are_in_the_order_of_the_images_though_a_later_one_is_written_first() -> None:
    second_is_written = threading.Event()

    def write(prediction: Prediction) -> int:
        if prediction.item.index == 0:
            assert second_is_written.wait(PATIENCE_SECONDS)
        if prediction.item.index == 1:
            second_is_written.set()
        return prediction.item.index

    assert list(pipeline.run(items(5), predictor(), write, writers=2)) == [0, 1, 2, 3, 4]


def test_images_are_predicted_while_earlier_ones_are_written() -> None:
    later_is_asked_for = threading.Event()

    def given() -> Iterator[Item]:
        for given_item in items(12):
            if given_item.index == 8:
                later_is_asked_for.set()
            yield given_item

    def write(prediction: Prediction) -> int:
        assert later_is_asked_for.wait(PATIENCE_SECONDS)
        return prediction.item.index

    assert list(pipeline.run(given(), predictor(), write)) == list(range(12))


def test_one_writer_writes_in_the_order_of_the_images() -> None:
    written: list[int] = []
    list(pipeline.run(items(30), predictor(), lambda prediction: written.append(index_of(prediction))))
    assert written == list(range(30))


def test_a_result_is_yielded_after_its_image_is_written() -> None:
    written: set[int] = set()

    def write(prediction: Prediction) -> int:
        written.add(prediction.item.index)
        return prediction.item.index

    for result in pipeline.run(items(20), predictor(), write):
        assert result in written


def test_what_is_skipped_comes_after_the_images_before_it() -> None:
    given = [item(8, 8, 0), SKIPPED, item(8, 8, 2)]
    assert list(pipeline.run(given, predictor(), index_of)) == [0, SKIPPED, 2]


@pytest.mark.parametrize("limit", ["_MOST_WAITING", "_MOST_WAITING_BYTES"])
def test_no_more_images_are_taken_than_can_wait(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(pipeline, limit, 2)
    taken = []
    may_go_on = threading.Event()

    def given() -> Iterator[Item]:
        for given_item in items(100):
            taken.append(given_item.index)
            yield given_item

    def write(prediction: Prediction) -> int:
        assert may_go_on.wait(PATIENCE_SECONDS)
        return prediction.item.index

    results = pipeline.run(given(), predictor(), write)
    threading.Timer(0.2, may_go_on.set).start()
    assert next(results) == 0
    assert len(taken) <= 8
    assert list(results) == list(range(1, 100))


def test_an_exception_of_the_input_comes_after_what_was_predicted_before_it() -> None:
    def given() -> Iterator[Item]:
        yield from items(9)
        raise StoppedError

    results = pipeline.run(given(), predictor(), index_of)
    assert [next(results) for _ in range(8)] == list(range(8))
    with pytest.raises(StoppedError):
        next(results)


def test_an_exception_of_writing_comes_in_the_place_of_its_image() -> None:
    def write(prediction: Prediction) -> int:
        if prediction.item.index == 3:
            raise OSError(28, "no space left")
        return prediction.item.index

    results = pipeline.run(items(20), predictor(), write)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="no space"):
        next(results)


def test_nothing_is_written_any_more_once_the_results_are_closed() -> None:
    running = threading.Lock()
    begun = []

    def write(prediction: Prediction) -> int:
        with running:
            begun.append(prediction.item.index)
            return prediction.item.index

    results = pipeline.run(items(200), predictor(), write, writers=2)
    next(results)
    results.close()
    with running:
        count = len(begun)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("write")]
    assert len(begun) == count < 200
