"""In which order images are to be corrected, and the page that shows them."""

import csv
import html
import re
import time
from pathlib import Path

import numpy as np
import pytest

from builders.predictions import prediction, setting, written
from segdrop.inference.outputs import review
from segdrop.inference.outputs.pictures import Pictures
from segdrop.inference.outputs.review import Review
from segdrop.inference.outputs.review_order import Candidate, review_order


def candidates(*values: tuple[float, tuple[float, ...]]) -> list[Candidate]:
    return [Candidate(index, doubt, descriptor) for index, (doubt, descriptor) in enumerate(values)]


def test_images_that_are_all_unlike_come_by_doubt() -> None:
    corners = [(0.1, (0.0, 0.0)), (0.9, (0.0, 9.0)), (0.5, (9.0, 0.0)), (0.3, (9.0, 9.0))]
    assert review_order(candidates(*corners)) == [1, 2, 3, 0]


def test_what_is_nearly_the_same_as_one_before_waits_though_it_is_doubted() -> None:
    near = (0.0, 0.01)
    far = (5.0, 5.0)
    order = review_order(candidates((0.9, (0.0, 0.0)), (0.89, near), (0.3, far), (0.31, (5.0, 5.1))))
    assert order[:2] == [0, 3]
    assert order.index(1) > 1


def test_what_is_odd_does_not_win_by_being_odder_still() -> None:
    """An image of a twentieth of the doubt, a thousand times as far away."""
    crowd = [(0.8 + number / 100, (float(number % 4), float(number // 4))) for number in range(16)]
    assert review_order(candidates(*crowd, (0.04, (1_000.0, 0.0))))[-1] == 16


def test_every_image_comes_once_and_beyond_the_chosen_by_doubt() -> None:
    random = np.random.default_rng(0)
    given = candidates(*((float(doubt), tuple(random.random(3).tolist())) for doubt in random.random(40)))
    order = review_order(given, most_chosen=5)
    assert sorted(order) == list(range(40))
    rest = [given[position].doubt for position in order[5:]]
    assert rest == sorted(rest, reverse=True)
    assert given[order[0]].doubt == max(one.doubt for one in given)


@pytest.mark.parametrize("descriptor", [(), (1.0, 1.0)])
def test_images_that_nothing_tells_apart_come_by_doubt_then_in_their_order(descriptor: tuple[float, ...]) -> None:
    assert review_order(candidates(*((doubt, descriptor) for doubt in (0.1, 0.5, 0.1, 0.5)))) == [1, 3, 0, 2]
    assert review_order([]) == []
    assert review_order(candidates((0.0, descriptor), (0.0, descriptor), (0.0, descriptor))) == [0, 1, 2]


def test_ten_thousand_images_are_ordered_in_seconds() -> None:
    random = np.random.default_rng(0)
    given = candidates(*((float(doubt), tuple(random.random(8).tolist())) for doubt in random.random(10_000)))
    started = time.process_time()
    assert len(review_order(given)) == 10_000
    assert time.process_time() - started < 10


def test_table_has_all_images_in_that_order(tmp_path: Path) -> None:
    job = setting(tmp_path / "out")
    doubts = [0.2, 0.9, 0.5, 0.1]
    given = [
        prediction(index, f"{index}.png", doubt=doubt, descriptor=(10.0 * (index % 2), 10.0 * (index // 2)))
        for index, doubt in enumerate(doubts)
    ]
    written([Review(job, Pictures(job))], given)
    with (job.folder / "review.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["1.png", "2.png", "0.png", "3.png"]
    assert rows[0] == {"rank": "1", "name": "1.png", "doubt": "0.9", "mean confidence": "0.8"}


def test_page_stands_alone_and_runs_nothing_that_is_in_a_name(tmp_path: Path) -> None:
    job = setting(tmp_path / "out", ["<i>x</i>", "b & c", '"><script>'])
    evil = '"><img src=x onerror=alert(1)>.png'
    written([Review(job, Pictures(job))], [prediction(0, evil), prediction(1, "雲.png", seconds=2.0)])
    page = (job.folder / "review.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "<script" not in page
    assert html.escape(evil, quote=False).replace('"', "&#34;") in page
    assert "&lt;i&gt;x&lt;/i&gt;" in page
    assert "雲.png" in page
    assert page.count("data:image/jpeg;base64,/9j/") == 2
    assert not re.search(r"(?:src|href)=[\"'](?!data:)", page)
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)


def test_only_the_first_have_pictures_and_only_the_most_doubtful_are_ranked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "MOST_RANKED", 4)
    monkeypatch.setattr(review, "MOST_SHOWN", 2)
    job = setting(tmp_path / "out")
    given = [prediction(index, doubt=((index * 7) % 10) / 10) for index in range(10)]
    records, _ = written([Review(job, Pictures(job))], given)
    assert len((job.folder / "review.csv").read_text().splitlines()) == 1 + 4
    page = (job.folder / "review.html").read_text()
    assert page.count("data:image/jpeg") == 2
    assert "The first 2 of 4 images are shown" in page
    assert "the 4 of most doubt, of 10" in page
    assert "no picture kept" not in page
    assert sum(record.parts["review"] is None for record in records) > 0  # no picture for the trifling ones


def test_process_that_goes_on_after_a_crash_shows_the_pictures_of_both(tmp_path: Path) -> None:
    job = setting(tmp_path / "out")
    first = Review(job, Pictures(job))
    parts = [first.write(prediction(index, doubt=0.5)) for index in range(2)]
    with job.scratch.joinpath("review.thumbnails").open("ab") as stream:
        stream.write(b"half a pictu")  # what a crash leaves
    second = Review(job, Pictures(job))
    again, third = second.write(prediction(1, doubt=0.5)), second.write(prediction(2, doubt=0.5))
    records, _ = written([], [prediction(index) for index in range(3)])
    known = [
        record.model_copy(update={"parts": {"review": part}})
        for record, part in zip(records, [parts[0], again, third], strict=True)
    ]
    for _ in range(2):  # finishing may be repeated
        second.finish(lambda: iter(known))
        assert (job.folder / "review.html").read_text().count("base64,/9j/") == 3


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (2_000, 5), (300, 400)])
def test_thumbnails_of_any_shape_are_small(tmp_path: Path, size: tuple[int, int]) -> None:
    job = setting(tmp_path / "out")
    picture = review.thumbnail(Pictures(job), prediction(size=size))
    assert picture.shape[0] <= 200
    assert picture.shape[1] <= 2 * 260 + 4
