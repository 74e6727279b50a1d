"""Images, videos and JSON files of images: taken with a request for a prediction, and left where they are without."""

import io
import json
import os
import time
import unicodedata
from pathlib import Path

import pytest
from PIL import Image
from structlog.testing import capture_logs

from builders.spool import job_record, listing, small_zip
from segdrop import regular_files
from segdrop.input_kinds import InputKind
from segdrop.intake import json_files
from segdrop.intake.inbox import Inbox
from segdrop.settings import IntakeSettings

SETTINGS = IntakeSettings(settle_seconds=5, incomplete_seconds=300, scan_seconds=2)
LONG = 1000.0
PREDICT = {"task": "predict", "model": "street"}
LABELME = {"version": "5.4.1", "flags": {}, "shapes": [], "imagePath": "photo.jpg", "imageData": None}
#: what tools keep beside an image, by the tool; none of it is a request
OF_TOOLS = {
    "LabelMe": LABELME,
    "LabelMe with the image in it": LABELME | {"imageData": "A" * 100_000},
    "VIA": {"photo.jpg1234": {"filename": "photo.jpg", "size": 1234, "regions": [], "file_attributes": {}}},
    "Label Studio": {"id": 1, "data": {"image": "/photo.jpg"}, "annotations": [{"task": 1, "result": []}]},
    "Supervisely": {"description": "", "tags": [], "size": {"height": 8, "width": 8}, "objects": []},
    "Cityscapes": {"imgHeight": 8, "imgWidth": 8, "objects": []},
    "Segment Anything": {"image": {"file_name": "photo.jpg"}, "annotations": []},
    "COCO": {"images": [{"id": 1, "file_name": "photo.jpg"}], "annotations": [], "categories": []},
    "a camera": {"SourceFile": "photo.jpg", "Model": "X100"},
    "Google Photos": {"title": "photo.jpg", "description": "", "photoTakenTime": {"timestamp": "0"}},
}


def picture(size: int = 4, form: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (size, size), (200, 10, 10)).save(stream, form)
    return stream.getvalue()


JPEG = picture()


def write(folder: Path, **files: object) -> None:
    """Write files by their names, with ``__`` for the dot: JSON of what is no bytes."""
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def inbox_of(folder: Path, **options: object) -> Inbox:
    return Inbox(folder, SETTINGS, **options)


def settle(inbox: Inbox, now: float = 0, *jobs: object) -> dict[str, str | None]:
    """Returns what would be checked next, with its request."""
    inbox.scan(now, jobs)
    while inbox.next_due(now) < 1 and inbox.settling():
        now += 0.05
        inbox.scan(now, jobs)
    inbox.scan(now + SETTINGS.settle_seconds, jobs)
    return {arrival.name: arrival.sidecar_name for arrival in inbox.to_check()}


# with a request, and without


@pytest.mark.parametrize("name", ["street__jpg", "street__PNG", "street__tif", "street__mp4", "street__MOV"])
def test_an_image_or_a_video_is_taken_with_a_request_for_a_prediction(tmp_path: Path, name: str) -> None:
    write(tmp_path, **{name: JPEG}, street__json=PREDICT)
    inbox = inbox_of(tmp_path)
    file_name = name.replace("__", ".")
    assert settle(inbox) == {file_name: "street.json"}
    kind = InputKind.VIDEO if file_name.lower().endswith(("mp4", "mov")) else InputKind.IMAGE
    assert inbox.arrivals[file_name].kind is kind


@pytest.mark.parametrize("options", [{}, {"has_default_model": True}])
def test_without_a_request_an_image_is_taken_only_where_the_operator_has_named_a_model(
    tmp_path: Path, options: dict[str, bool]
) -> None:
    write(tmp_path, street__jpg=JPEG)
    inbox = inbox_of(tmp_path, **options)
    assert settle(inbox) == ({"street.jpg": None} if options else {})
    if not options:
        assert inbox.bystanders["street.jpg"] == (
            'an image: put NAME.json with {"task": "predict", "model": "..."} beside it'
        )
        assert inbox.left_behind().keys() == {"street.jpg"}
        assert not inbox.unsettled()


def test_a_request_that_comes_later_is_taken_with_its_image(tmp_path: Path) -> None:
    write(tmp_path, street__jpg=JPEG)
    inbox = inbox_of(tmp_path)
    settle(inbox)
    write(tmp_path, street__json=PREDICT)
    assert settle(inbox, 100) == {"street.jpg": "street.json"}


def test_a_request_that_is_corrected_in_place_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, street__jpg=JPEG, street__json={"model": "street"})
    inbox = inbox_of(tmp_path)
    assert settle(inbox) == {}
    assert 'without "task": "predict"' in inbox.bystanders["street.jpg"]
    with (tmp_path / "street.json").open("w") as stream:
        json.dump(PREDICT, stream)
    assert settle(inbox, 100) == {"street.jpg": "street.json"}


@pytest.mark.parametrize(
    ("image", "request_name"),
    [
        ("Street.JPG", "street.json"),
        (unicodedata.normalize("NFD", "Zoë.png"), unicodedata.normalize("NFC", "ZOË.json")),
    ],
)
def test_names_are_compared_without_case_in_one_unicode_form(tmp_path: Path, image: str, request_name: str) -> None:
    (tmp_path / image).write_bytes(JPEG)
    (tmp_path / request_name).write_text(json.dumps(PREDICT))
    assert settle(inbox_of(tmp_path)) == {image: request_name}


@pytest.mark.parametrize("task", ["train", "evaluate"])
def test_a_request_for_what_is_done_with_zips_alone_is_told_beside_an_image(tmp_path: Path, task: str) -> None:
    write(tmp_path, street__jpg=JPEG, street__json={"task": task})
    inbox = inbox_of(tmp_path, has_default_model=True)
    with capture_logs() as events:
        assert settle(inbox) == {}
    assert f'asks for "{task}"' in inbox.bystanders["street.jpg"]
    told = {event["file"] for event in events if event["event"] == "file.ignored"}
    assert told == {"street.jpg", "street.json"}


# what tools keep beside an image


@pytest.mark.parametrize("options", [{}, {"has_default_model": True}])
@pytest.mark.parametrize("tool", OF_TOOLS)
def test_what_a_tool_keeps_beside_an_image_is_no_request_and_keeps_it_where_it_is(
    tmp_path: Path, tool: str, options: dict[str, bool]
) -> None:
    write(tmp_path, photo__jpg=JPEG, photo__json=OF_TOOLS[tool])
    inbox = inbox_of(tmp_path, **options)
    assert settle(inbox) == {}
    inbox.scan(LONG)
    assert inbox.arrivals == {}
    assert "photo.json" in inbox.bystanders["photo.jpg"]
    assert "no request" in inbox.bystanders["photo.jpg"]
    assert inbox.bystanders["photo.json"]
    assert inbox.unsettled() is False


@pytest.mark.parametrize("options", [{}, {"has_default_model": True}])
def test_an_unpacked_labelme_folder_of_50_photos_stays_whole_and_makes_no_flood(
    tmp_path: Path, options: dict[str, bool]
) -> None:
    for number in range(50):
        write(tmp_path, **{f"{number}__jpg": JPEG, f"{number}__json": LABELME | {"imageData": "A" * 70_000}})
    before = listing(tmp_path)
    inbox = inbox_of(tmp_path, **options)
    with capture_logs() as events:
        assert settle(inbox) == {}
        inbox.scan(LONG)
    assert listing(tmp_path) == before
    assert {name for name in before if name not in inbox.bystanders} == set()
    assert "LabelMe" in inbox.bystanders["7.jpg"]
    assert [event for event in events if event["log_level"] != "debug"] == []


def test_a_photo_of_a_labelme_folder_that_is_to_be_predicted_gets_a_request_in_place_of_the_annotations(
    tmp_path: Path,
) -> None:
    write(tmp_path, photo__jpg=JPEG, photo__json=LABELME)
    inbox = inbox_of(tmp_path)
    settle(inbox)
    write(tmp_path, photo__json=PREDICT)
    assert settle(inbox, 100) == {"photo.jpg": "photo.json"}


def test_a_zip_beside_annotations_of_its_name_has_them_for_its_request_as_before(tmp_path: Path) -> None:
    """The quick check names all keys that are wrong."""
    small_zip(tmp_path / "data.zip")
    write(tmp_path, data__json=LABELME)
    assert settle(inbox_of(tmp_path)) == {"data.zip": "data.json"}


# one request for two


@pytest.mark.parametrize("other", ["street.zip", "street.png", "Street.mp4"])
def test_a_request_that_fits_two_inputs_holds_both_and_says_so(tmp_path: Path, other: str) -> None:
    small_zip(tmp_path / other) if other.endswith("zip") else (tmp_path / other).write_bytes(JPEG)
    write(tmp_path, STREET__jpg=JPEG, street__json=PREDICT)
    (tmp_path / "STREET.jpg").rename(tmp_path / ("Street.jpg" if other[0] == "S" else "street.jpg"))
    inbox = inbox_of(tmp_path)
    assert settle(inbox) == {}
    inbox.scan(LONG)
    reasons = [arrival.reason for arrival in inbox.arrivals.values()]
    assert len(reasons) == 2
    assert all("street.json fits" in reason and "give one of them another name" in reason for reason in reasons)
    (tmp_path / other).rename(tmp_path / f"other{Path(other).suffix}")
    taken = settle(inbox, 2 * LONG)
    assert [name for name, request in taken.items() if request == "street.json"] == [
        "Street.jpg" if other[0] == "S" else "street.jpg"
    ]


def test_an_exact_match_wins(tmp_path: Path) -> None:
    write(tmp_path, street__jpg=JPEG, STREET__png=JPEG, street__json=PREDICT)
    assert settle(inbox_of(tmp_path)) == {"street.jpg": "street.json"}


def test_annotations_that_fit_a_photo_and_its_mask_keep_both_and_are_no_warning(tmp_path: Path) -> None:
    write(tmp_path, photo__jpg=JPEG, photo__png=JPEG, photo__json=LABELME)
    inbox = inbox_of(tmp_path, has_default_model=True)
    with capture_logs() as events:
        assert settle(inbox) == {}
    assert inbox.bystanders.keys() == {"photo.jpg", "photo.png", "photo.json"}
    assert [event for event in events if event["event"] == "file.ignored"] == []


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_request_that_is_no_regular_file_is_never_followed_and_its_image_waits(tmp_path: Path, kind: str) -> None:
    inside = tmp_path / "inbox"
    inside.mkdir()
    write(inside, street__jpg=JPEG)
    write(tmp_path, secret__json=PREDICT)
    path = inside / "street.json"
    match kind:
        case "link":
            path.symlink_to(tmp_path / "secret.json")
        case "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()
    inbox = inbox_of(inside, has_default_model=True)
    assert settle(inbox) == {}
    inbox.scan(LONG)
    assert "its request street.json cannot be taken: it is" in inbox.arrivals["street.jpg"].reason
    assert "street.json" in inbox.bystanders


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_an_image_that_is_no_regular_file_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "street.jpg"
    match kind:
        case "link":
            path.symlink_to("/etc/hostname")
        case "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()
    write(tmp_path, street__json=PREDICT)
    inbox = inbox_of(tmp_path, has_default_model=True)
    assert settle(inbox) == {}
    assert "it is" in inbox.bystanders["street.jpg"]


@pytest.mark.parametrize("beside", ["street.jpg.crdownload", "street.json.part"])
def test_an_image_with_a_downloader_beside_it_is_still_arriving(tmp_path: Path, beside: str) -> None:
    write(tmp_path, street__jpg=JPEG, street__json=PREDICT)
    (tmp_path / beside).touch()
    inbox = inbox_of(tmp_path)
    assert settle(inbox) == {}
    assert "download" in inbox.arrivals["street.jpg"].reason
    (tmp_path / beside).unlink()
    assert settle(inbox, 100) == {"street.jpg": "street.json"}


def test_an_image_that_was_cut_off_is_taken_after_the_longer_time(tmp_path: Path) -> None:
    write(tmp_path, street__jpg=JPEG[:-2], street__json=PREDICT)
    inbox = inbox_of(tmp_path)
    assert settle(inbox) == {}
    assert "looks incomplete" in inbox.arrivals["street.jpg"].reason
    inbox.scan(SETTINGS.incomplete_seconds)
    assert [arrival.name for arrival in inbox.to_check()] == ["street.jpg"]


# near misses


@pytest.mark.parametrize("name", ["street.jpg.json", "street.json.txt", "street (1).json", "street.request.json"])
def test_an_image_beside_what_looks_like_its_request_says_the_right_name(tmp_path: Path, name: str) -> None:
    write(tmp_path, street__jpg=JPEG)
    (tmp_path / name).write_text(json.dumps(PREDICT))
    inbox = inbox_of(tmp_path)
    with capture_logs() as events:
        assert settle(inbox) == {}
    assert f"if {name} is meant, call it street.json" in inbox.bystanders["street.jpg"]
    if name.endswith(".json"):
        assert "call it street.json" in inbox.bystanders[name]
        assert [event["file"] for event in events if event["event"] == "file.ignored"] == [name]


def test_annotations_that_only_look_like_a_near_miss_are_none(tmp_path: Path) -> None:
    """Supervisely calls them ``photo.jpg.json``."""
    write(tmp_path, photo__jpg=JPEG, photo__jpg__json=OF_TOOLS["Supervisely"])
    inbox = inbox_of(tmp_path)
    settle(inbox)
    assert "call it" not in inbox.bystanders["photo.jpg"]


# late requests


def test_a_request_that_comes_after_its_image_was_taken_without_one_is_late(tmp_path: Path) -> None:
    job = job_record("street-20261121T061500Z-0001", input_name="street.jpg", kind=InputKind.IMAGE)
    write(tmp_path, street__json=PREDICT)
    inbox = inbox_of(tmp_path, has_default_model=True)
    settle(inbox, 0, job)
    assert "touch it" in inbox.bystanders["street.json"]
    assert [issue.code for _, issue in inbox.late] == ["request.late"]
    write(tmp_path, street__jpg=JPEG)
    assert settle(inbox, 10) == {}, "it is not for the next one"
    os.utime(tmp_path / "street.json", ns=(1, 1))
    assert settle(inbox, 30) == {"street.jpg": "street.json"}


def test_annotations_are_never_a_late_request(tmp_path: Path) -> None:
    job = job_record("photo-20261121T061500Z-0001", input_name="photo.jpg", kind=InputKind.IMAGE)
    write(tmp_path, photo__json=LABELME)
    inbox = inbox_of(tmp_path, has_default_model=True)
    settle(inbox, 0, job)
    assert inbox.late == []
    assert "LabelMe" in inbox.bystanders["photo.json"]


# JSON files of images


IMAGES = {"image_names": ["a.jpg"], "images": ["QUJD"]}


@pytest.mark.parametrize("content", [IMAGES, {"images": ["QUJD"]}, IMAGES | {"images": ["A" * 100_000]}])
def test_a_json_file_of_images_is_an_input_whose_request_has_its_name_and_request(
    tmp_path: Path, content: dict[str, object]
) -> None:
    write(tmp_path, batch__json=content, batch__request__json=PREDICT)
    inbox = inbox_of(tmp_path)
    assert settle(inbox) == {"batch.json": "batch.request.json"}
    assert inbox.arrivals["batch.json"].kind is InputKind.JSON


def test_a_json_file_of_images_waits_for_its_request_unless_the_operator_has_named_a_model(tmp_path: Path) -> None:
    write(tmp_path, batch__json=IMAGES)
    inbox = inbox_of(tmp_path)
    assert settle(inbox) == {}
    assert "put NAME.request.json" in inbox.bystanders["batch.json"]
    assert settle(inbox_of(tmp_path, has_default_model=True)) == {"batch.json": None}


def test_a_json_file_of_images_is_nobodys_request(tmp_path: Path) -> None:
    small_zip(tmp_path / "batch.zip")
    write(tmp_path, batch__json=IMAGES, batch__jpg=JPEG)
    inbox = inbox_of(tmp_path, has_default_model=True)
    assert settle(inbox) == {"batch.zip": None, "batch.json": None, "batch.jpg": None}
    assert all(not arrival.remarks for arrival in inbox.arrivals.values())


def test_a_json_file_of_images_that_is_still_growing_is_not_taken(tmp_path: Path) -> None:
    write(tmp_path, batch__request__json=PREDICT, batch__json=json.dumps(IMAGES).encode()[:-1])
    inbox = inbox_of(tmp_path)
    assert settle(inbox) == {}
    assert "incomplete" in inbox.arrivals["batch.json"].reason
    write(tmp_path, batch__json=json.dumps(IMAGES).encode() + b" \n")
    assert settle(inbox, 100) == {"batch.json": "batch.request.json"}


def test_an_unknown_large_json_is_an_input_by_itself_and_with_an_image_of_its_name_it_is_not(tmp_path: Path) -> None:
    large = {"some": "x" * 70_000}
    write(tmp_path, one__json=large, two__json=large, two__jpg=JPEG)
    inbox = inbox_of(tmp_path, has_default_model=True)
    assert settle(inbox) == {"one.json": None}
    assert "larger than a request" in inbox.bystanders["two.jpg"]


@pytest.mark.parametrize("tool", OF_TOOLS)
def test_annotations_by_themselves_are_no_input(tmp_path: Path, tool: str) -> None:
    write(tmp_path, photo__json=OF_TOOLS[tool])
    inbox = inbox_of(tmp_path, has_default_model=True)
    assert settle(inbox) == {}
    assert inbox.bystanders["photo.json"]


# what it costs


class Looks:
    """Counts what is asked of the filesystem about single files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stats = self.opens = 0
        lstat, opened = Path.lstat, regular_files.open_binary

        def counted_stat(path: Path) -> os.stat_result:
            self.stats += 1
            return lstat(path)

        def counted_open(path: Path) -> io.BufferedReader:
            self.opens += 1
            return opened(path)

        monkeypatch.setattr(Path, "lstat", counted_stat)
        monkeypatch.setattr(regular_files, "open_binary", counted_open)

    def since(self) -> tuple[int, int]:
        found, self.stats, self.opens = (self.stats, self.opens), 0, 0
        return found


MANY = 5_000


def test_photos_without_requests_are_never_looked_at_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(MANY):
        (tmp_path / f"IMG_{number:04}.jpg").touch()
    looks = Looks(monkeypatch)
    inbox = inbox_of(tmp_path)
    with capture_logs() as events:
        for now in range(3):
            inbox.scan(now)
    assert looks.since() == (0, 0)
    assert len(inbox.bystanders) == MANY
    assert [event for event in events if event["log_level"] != "debug"] == []


def test_photos_with_annotations_are_read_once_and_then_looked_at_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = json.dumps(LABELME).encode()
    for number in range(MANY):
        (tmp_path / f"{number:04}.jpg").touch()
        (tmp_path / f"{number:04}.json").write_bytes(content)
    looks = Looks(monkeypatch)
    inbox = inbox_of(tmp_path)
    now, scans = 0.0, 0
    while scans == 0 or inbox.settling():
        inbox.scan(now)
        _, opens = looks.since()
        assert opens <= json_files.READS_IN_A_SCAN, "a scan takes a moment"
        now, scans = now + inbox.next_due(now), scans + 1
        assert scans < 100
    for _ in range(3):
        inbox.scan(now)
        assert looks.since() == (json_files.LOOKS_IN_A_SCAN, 0)
    started = time.process_time()
    inbox.scan(now)
    assert time.process_time() - started < 0.02 * SETTINGS.scan_seconds, "twice what an idle daemon may take"
    os.utime(tmp_path / "4321.json", ns=(1, 1))
    (tmp_path / "4321.json").write_text(json.dumps(PREDICT))
    for _ in range(MANY // json_files.LOOKS_IN_A_SCAN + 1):
        inbox.scan(now)
    assert "4321.jpg" in inbox.arrivals, "each has its turn"
