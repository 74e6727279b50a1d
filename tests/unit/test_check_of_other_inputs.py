"""The checks of an image, a video or a JSON file of images: its request, and every byte of it once."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from builders.specs import check_spec, limits
from segdrop.codes import Code
from segdrop.dataset import full_check, quick_check
from segdrop.dataset.quick_check import QuickCheck, RequestSources
from segdrop.errors import StoppedError
from segdrop.input_kinds import InputKind
from segdrop.request import PredictRequest
from segdrop.settings import LimitSettings, Settings
from segdrop.spec import CheckSpec, QuickCheckItem, QuickCheckSpec

PREDICT = {"task": "predict", "model": "previous"}  # which one that is, is found out later


def photograph() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 10, 10)).save(stream, "JPEG")
    return stream.getvalue()


PHOTO = photograph()


def checked(
    tmp_path: Path, request: dict[str, Any] | bytes | None, default_model: str = "", **defaults: Any
) -> QuickCheck:
    path = tmp_path / "street.json"
    if request is not None:
        path.write_bytes(request if isinstance(request, bytes) else json.dumps(request).encode())
    sources = RequestSources(
        path if request is not None else None, "street.json", defaults, tmp_path, default_model=default_model
    )
    return quick_check.check_other(sources, "street.jpg")


def codes(found: QuickCheck) -> list[Code]:
    return [issue.code for issue in found.issues]


def test_a_request_for_a_prediction_is_accepted(tmp_path: Path) -> None:
    found = checked(tmp_path, PREDICT | {"priority": 3})
    assert found.issues == []
    assert isinstance(found.request, PredictRequest)
    assert (found.request.model, found.request.priority, found.cache_bytes) == ("previous", 3, 0)


@pytest.mark.parametrize("request_", [None, {}, {"task": "train"}, PREDICT | {"task": "evaluate"}])
def test_any_other_task_is_refused_and_the_fix_says_what_to_write(
    tmp_path: Path, request_: dict[str, Any] | None
) -> None:
    found = checked(tmp_path, request_)
    assert found.request is None
    (issue,) = found.issues
    assert (issue.code, issue.files) == (Code.REQUEST_NEEDS_PREDICT, ("street.jpg",))
    assert '"task": "predict"' in issue.fix


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b'{"task": "predict", "model": }', Code.REQUEST_NOT_JSON),
        (PREDICT | {"level": 3}, Code.REQUEST_UNKNOWN_KEY),
        (PREDICT | {"overlay_alpha": 7}, Code.REQUEST_INVALID_VALUE),
        (PREDICT | {"class_map": "no such preset"}, Code.REQUEST_INVALID_VALUE),
    ],
)
def test_what_is_wrong_with_the_request_is_told_as_with_a_zip(
    tmp_path: Path, request_: dict[str, Any] | bytes, code: Code
) -> None:
    found = checked(tmp_path, request_, default_model="previous")
    assert (found.request, codes(found)) == (None, [code])


def test_the_operators_model_serves_where_there_is_no_request_or_none_in_it(tmp_path: Path) -> None:
    for request in (None, {"task": "predict"}):
        found = checked(tmp_path, request, default_model="previous", level=2, task="train", tile=512)
        assert isinstance(found.request, PredictRequest)
        assert (found.request.model, found.request.tile) == ("previous", 512)
    found = checked(tmp_path, {"task": "predict", "model": "night"}, default_model="previous")
    assert codes(found) == [Code.MODEL_NOT_FOUND]
    assert "'night'" in found.issues[0].message


def other_spec(tmp_path: Path, **changes: Any) -> CheckSpec:
    path = tmp_path / "street.jpg"
    path.write_bytes(PHOTO)
    return check_spec(path, PREDICT).model_copy(update={"kind": InputKind.IMAGE} | changes)


def test_the_full_check_reads_every_byte_and_has_no_dataset(tmp_path: Path) -> None:
    report = full_check.check_other(other_spec(tmp_path), [])
    assert (report.input_sha256, report.input_bytes) == (hashlib.sha256(PHOTO).hexdigest(), len(PHOTO))
    assert isinstance(report.request, PredictRequest)
    assert (report.changed_while_read, report.dataset, report.issues) == (False, None, [])


class Writer:
    """Asked whether the check has to stop, it writes to the input and says no."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __bool__(self) -> bool:
        with self._path.open("ab") as stream:
            stream.write(b"more")
        return False


def test_a_writer_that_still_has_it_open_is_noticed(tmp_path: Path) -> None:
    spec = other_spec(tmp_path)
    read = iter([Writer(spec.archive)])
    stop = type("Once", (), {"__bool__": lambda _: bool(next(read, False))})()
    assert full_check.check_other(spec, stop).changed_while_read


def test_the_full_check_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        full_check.check_other(other_spec(tmp_path), ["SIGTERM"])


def test_a_spec_carries_the_kind_and_the_limits_of_what_is_predicted(tmp_path: Path) -> None:
    order = QuickCheckSpec(
        items=[QuickCheckItem(key="0", kind=InputKind.VIDEO, archive=tmp_path / "a.mp4", name="a.mp4")],
        defaults={},
        models_dir=tmp_path,
        limits=limits(max_video_frames=7),
        answer_path=tmp_path / "answers",
        error_path=tmp_path / "error",
        default_model="street",
    )
    (tmp_path / "spec.json").write_text(json.dumps(order.dump(tmp_path, tmp_path)))
    assert QuickCheckSpec.load(tmp_path / "spec.json") == order


def test_the_settings_of_what_is_predicted_are_those_of_the_contract() -> None:
    found = LimitSettings().for_child()
    assert (found.max_json_bytes, found.max_json_images) == (256 << 20, 1000)
    assert (found.max_video_frames, found.max_output_bytes) == (216_000, 20 << 30)
    assert Settings().inference.default_model == ""
