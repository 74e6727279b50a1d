"""Classes whose names differ in spelling only, and the request that says what is meant."""

import json
from pathlib import Path
from typing import Any

import pytest

from builders.exports import labelme as exports
from builders.exports.boxes import SIZE, corners, photo
from builders.exports.reading import read_back
from segdrop.dataset.classes import spellings
from segdrop.errors import Issue
from segdrop.request import TrainRequest


def found(*names: str, class_map: dict[str, Any] | None = None, pixels: int = 9) -> list[Issue]:
    return spellings.alike(names, [pixels] * len(names), TrainRequest(class_map=class_map))


@pytest.mark.parametrize(
    "names",
    [
        ("rust", "Rust"), ("rust spot", "rust_spot"), ("Rust-Spot", "rust  spot"), ("leaf vein", "leaf veins"),
        ("branch", "Branches"), ("berry", "berries"), ("box", "boxes"), ("caf\u00e9", "cafe\u0301"),
    ],
)  # fmt: skip
def test_spellings_of_one_name_are_doubted(names: tuple[str, str]) -> None:
    issue = found("background", *names, "sky")[0]
    assert (issue.code, issue.severity, issue.count) == ("classes.alike", "warning", 2)
    assert all(f"'{name}'" in issue.message for name in names)
    assert json.dumps({names[1]: names[0]}, ensure_ascii=False) in issue.fix
    assert "class_map" in issue.fix


@pytest.mark.parametrize(
    "names",
    [
        ("class_1", "class_11"), ("grass", "gras"), ("glass", "glasses"), ("c", "c++"), ("s", "ss"),
        ("car", "cart"), ("wall-brick", "wall-stone"), ("1", "1s"),
    ],
)  # fmt: skip
def test_names_that_are_alike_by_chance_are_not(names: tuple[str, str]) -> None:
    assert not found(*names)


def test_class_without_pixels_is_not_asked_about() -> None:
    assert not found("rust", "Rust", pixels=0)


def test_request_settles_it(tmp_path: Path) -> None:
    labels = ("Rust", "rust", "rusts", "hole")
    content = {
        f"{i}.json": exports.document([exports.shape(label, "polygon", corners((1, 1, 9, 9)))], f"{i}.png")
        for i, label in enumerate(labels)
    } | {f"{i}.png": photo(i) for i in range(len(labels))}
    report, _, _ = read_back(content, tmp_path, SIZE)
    assert "classes.alike" in {issue.code for issue in report.issues}
    for number, (class_map, classes) in enumerate(
        [
            ({"Rust": "rust", "rusts": "rust"}, ["background", "rust", "hole"]),
            ({"Rust": "Rust", "rust": "rust", "rusts": "many"}, ["background", "Rust", "hole", "rust", "many"]),
        ]
    ):
        (tmp_path / str(number)).mkdir()
        report, _, _ = read_back(content, tmp_path / str(number), SIZE, {"class_map": class_map})
        assert report.dataset is not None
        assert sorted(report.dataset.classes) == sorted(classes)
        assert "classes.alike" not in {issue.code for issue in report.issues}
