"""What is told of all images: legend, summary and the JSON for programs."""

import base64
import csv
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders.predictions import prediction, setting, written
from segdrop.dataset import lettering
from segdrop.inference.outputs import catalog, tables
from segdrop.inference.outputs.image_json import ImageJson
from segdrop.inference.outputs.legend import Legend
from segdrop.inference.outputs.pictures import Pictures
from segdrop.inference.outputs.summary import Summary
from segdrop.inference.prediction import ImageRecord
from segdrop.spec import InputKind


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_legend_has_the_share_of_each_class_over_all_pixels(tmp_path: Path) -> None:
    job = setting(tmp_path / "out", background=0, excluded=("bird",))
    small = prediction(0, size=(1, 4), class_ids=np.array([[0, 0, 1, 255]], np.uint16))
    large = prediction(1, size=(2, 6), class_ids=np.ones((2, 6), np.uint16))
    written([Legend(job)], [small, large])
    legend = json.loads((job.folder / "legend.json").read_text())
    assert [(entry["id"], entry["name"], entry["pixels"], entry["share"]) for entry in legend["classes"]] == [
        (0, "background", 2, 0.125),
        (1, "cat", 13, 0.8125),
        (2, "dog", 0, 0.0),
    ]
    assert [entry["colour"] for entry in legend["classes"]] == ["#000000", "#800000", "#008000"]
    assert legend["left_out"]["classes"] == ["bird"]
    assert (legend["left_out"]["id"], legend["left_out"]["pixels"]) == (255, 1)
    assert (legend["model"], legend["background_id"]) == ("pets-1", 0)


@pytest.mark.parametrize(
    "names",
    [
        ["Straße", "道路", "дорога", "شارع", "🚗", "a\u0301\u202e\x00\n", "", "x" * 5_000, "\ud800"],
        ["only one"],
        [f"class {number}" for number in range(300)],
    ],
)
def test_legend_of_any_names_is_drawn_in_the_colours_of_the_classes(tmp_path: Path, names: list[str]) -> None:
    job = setting(tmp_path / "out", names)
    written([Legend(job)], [prediction()])
    assert len(json.loads((job.folder / "legend.json").read_text())["classes"]) == len(names)
    with Image.open(job.folder / "legend.png") as picture:
        assert picture.width * picture.height < 20_000_000
        drawn = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    assert set(job.colours) <= drawn


def test_legend_without_any_image_is_a_legend(tmp_path: Path) -> None:
    job = setting(tmp_path / "out")
    written(catalog.build(["masks", "json"], job, InputKind.JSON), [])
    assert [entry["share"] for entry in json.loads((job.folder / "legend.json").read_text())["classes"]] == [0, 0, 0]
    assert rows(job.folder / "summary.csv") == []
    assert json.loads((job.folder / "predictions.json").read_text())["image_names"] == []


def test_text_in_pictures_keeps_its_letters_as_far_as_the_font_has_them() -> None:
    assert lettering.drawable("Straße, Bäume, Łódź, naïve") == "Strasse, Baume, Lodz, naive"
    assert lettering.drawable("道路 x\u0301\n") == "?? x?"


def test_summary_has_a_row_for_each_image_and_a_column_for_each_class(tmp_path: Path) -> None:
    job = setting(tmp_path / "out")
    written([Summary(job)], [prediction(0), prediction(1, size=(2, 4), doubt=0.5)])
    first, second = rows(job.folder / "summary.csv")
    assert first == {
        "name": "folder/0.png",
        "width": "16",
        "height": "12",
        "share of background": "0.375",
        "share of cat": "0.3125",
        "share of dog": "0.3125",
        "mean confidence": "0.8",
        "doubt": "0.25",
    }
    assert (second["width"], second["height"], second["doubt"]) == ("4", "2", "0.5")


def test_summary_tells_times_of_frames_and_what_is_left_out_where_there_are_any(tmp_path: Path) -> None:
    job = setting(tmp_path / "out")
    ids = np.array([[255, 1]], np.uint16)
    written([Summary(job)], [prediction(0, seconds=0.04, size=(1, 2), class_ids=ids)])
    (row,) = rows(job.folder / "summary.csv")
    assert (row["seconds"], row["share left out"], row["share of cat"]) == ("0.04", "0.5", "0.5")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1"])
def test_text_that_a_spreadsheet_would_run_is_text(text: str, tmp_path: Path) -> None:
    tables.write(tmp_path / "a.csv", ["name", text], [[text, -1.5], ["plain=1", None]])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as stream:
        safe = "'" + text.replace("\r", " ")
        assert list(csv.reader(stream)) == [["name", safe], [safe, "-1.5"], ["plain=1", ""]]


def test_names_with_quotes_commas_and_line_ends_stay_one_cell(tmp_path: Path) -> None:
    name = 'a "b",\nc\ud800.png'
    tables.write(tmp_path / "a.csv", ["name"], [[name]])
    assert rows(tmp_path / "a.csv") == [{"name": 'a "b",\nc?.png'}]


def test_json_of_an_image_tells_what_is_in_it(tmp_path: Path) -> None:
    job = setting(tmp_path / "out")
    output = ImageJson(job, Pictures(job), with_masks=False)
    written([output], [prediction(0, size=(1, 4), class_ids=np.array([[0, 2, 2, 255]], np.uint16), seconds=1.5)])
    assert json.loads((job.folder / "json/folder/stem0.json").read_text()) == {
        "name": "folder/0.png",
        "index": 0,
        "height": 1,
        "width": 4,
        "seconds": 1.5,
        "classes": [
            {"id": 0, "name": "background", "pixels": 1, "share": 0.25},
            {"id": 2, "name": "dog", "pixels": 2, "share": 0.5},
        ],
        "left_out_share": 0.25,
        "mean_confidence": 0.8,
        "doubt": 0.25,
    }
    assert not (job.folder / "predictions.json").exists()


def test_masks_of_images_that_came_in_a_json_go_back_in_one(tmp_path: Path) -> None:
    job = setting(tmp_path / "out")
    given = [prediction(0), prediction(1, 'b "雲".png'), prediction(4)]
    written(catalog.build(["json"], job, InputKind.JSON), given)
    found: dict[str, Any] = json.loads((job.folder / "predictions.json").read_text())
    assert found["image_names"] == ["folder/0.png", 'b "雲".png', "folder/4.png"]
    masks = [np.asarray(Image.open(io.BytesIO(base64.b64decode(mask)))) for mask in found["masks"]]
    assert all((mask == one.class_ids).all() for mask, one in zip(masks, given, strict=True))
    assert [one["index"] for one in found["predictions"]] == [0, 1, 4]
    assert (found["class_names"], found["ignored_id"]) == (list(job.classes), 255)


def test_finishing_takes_no_more_memory_for_more_images(tmp_path: Path) -> None:
    """So many records come again and again, of one image whose files are there."""
    peaks = []
    for count in (50, 500):
        job = setting(tmp_path / f"out{count}")
        outputs = catalog.build(["json"], job, InputKind.JSON)[:-1]  # of images to review some thousands are kept
        (record,), _ = written(outputs, [prediction()])

        def records(count: int = count, record: ImageRecord = record) -> Any:
            return (record.model_copy(update={"index": index}) for index in range(count))

        tracemalloc.start()
        for output in outputs:
            output.finish(records)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(rows(job.folder / "summary.csv")) == count
    assert peaks[1] < 1.2 * peaks[0] + 20_000
