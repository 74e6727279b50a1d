"""A request's model is found by its name, and nothing of it is run to find out what it is."""

import json
import pickle
import zipfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from builders.predicting_models import Evil, onnx_model, with_external_weights, write_model_pth, write_onnx
from segdrop.cli.commands import app
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.model_files import catalogue, description, hashing, onnx_messages, pickled_tensors
from segdrop.model_files.catalogue import Catalogue
from segdrop.model_files.model_file import ModelKind
from segdrop.model_files.resolving import resolve
from segdrop.request import ImageSize
from segdrop.spool.kept_models import KeptModel, KeptModels
from segdrop.spool.layout import RootLayout

JOB = "street-20260101T000000Z-0a1b"


@pytest.fixture
def layout(tmp_path: Path) -> RootLayout:
    layout = RootLayout(tmp_path / "root")
    for folder in layout.folders:
        folder.mkdir(parents=True)
    return layout


def refusal(wanted: str, layout: RootLayout) -> Issue:
    with pytest.raises(DataError) as caught:
        resolve(wanted, layout.models, KeptModels.of(layout))
    return caught.value.issues[0]


def put_files(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"{}")
    return folder


def deliver(layout: RootLayout, job: str = JOB) -> KeptModel:
    """Leaves a succeeded training in the outbox, and what is on record of it."""
    model = write_model_pth(layout.root / "model.pth", nn.Linear(1, 1))
    with zipfile.ZipFile(layout.published_zip(job), "w") as archive:
        archive.write(model, "model.pth")
    answer = {"job": job, "status": "succeeded", "task": "train", "input": {"name": "street.zip"}}
    answer |= {"request": {"image_size": [32, 48]}, "metrics": {"mean_iou": 0.625}}
    layout.published_json(job).write_text(json.dumps(answer))
    kept = KeptModel(
        job=job,
        sha256=_sha256(model),
        bytes=model.stat().st_size,
        architecture="deeplabv3_resnet50",
        classes=["sky", "road", "tree"],
        input_key="street",
        owner_uid=1000,
        finished_at=0.0,
    )
    layout.kept_model(job).parent.mkdir()
    layout.kept_model(job).write_text(kept.model_dump_json())
    return kept


def _sha256(path: Path) -> str:
    from segdrop import weights_files  # noqa: PLC0415

    return weights_files.sha256(path)


# found by name


@pytest.mark.parametrize("wanted", ["Straße.onnx", "straße.onnx", "STRASSE.ONNX", "Straße", "strasse"])
def test_a_file_is_found_with_and_without_suffix_and_in_any_case(layout: RootLayout, wanted: str) -> None:
    (layout.models / "Straße.onnx").write_bytes(b"")
    found = resolve(wanted, layout.models, None)
    assert (found.name, found.kind, found.path) == ("Straße.onnx", ModelKind.ONNX, layout.models / "Straße.onnx")


def test_an_exact_name_wins_over_others_that_fit(layout: RootLayout) -> None:
    for name in ("street.onnx", "Street.onnx"):
        (layout.models / name).write_bytes(b"")
    assert resolve("Street.onnx", layout.models, None).name == "Street.onnx"
    issue = refusal("STREET", layout)
    assert issue.code is Code.MODEL_NOT_FOUND
    assert "Street.onnx, street.onnx" in issue.message


@pytest.mark.parametrize("wanted", ["../secret.onnx", "/etc/passwd", "..", ".", "", "sub/model.onnx", ".hidden.onnx"])
def test_a_name_never_leads_out_of_the_models_folder(layout: RootLayout, wanted: str) -> None:
    (layout.root / "secret.onnx").write_bytes(b"")
    (layout.models / ".hidden.onnx").write_bytes(b"")
    put_files(layout.models / "sub", "model.onnx")
    assert refusal(wanted, layout).code is Code.MODEL_NOT_FOUND


def test_the_nearest_names_are_said(layout: RootLayout) -> None:
    deliver(layout)
    (layout.models / "Street-night.onnx").write_bytes(b"")
    issue = refusal("street-nigth", layout)
    assert "Street-night" in issue.message
    assert "Street-night" in issue.fix
    assert JOB in refusal(JOB[:-1] + "c", layout).message + refusal(JOB[:-1] + "c", layout).fix


def test_lists_and_notes_beside_the_models_are_no_models(layout: RootLayout) -> None:
    for name in ("x.labels.txt", "labels.txt", "README.md", "x.onnx_data", "x.onnx.data"):
        (layout.models / name).write_bytes(b"")
    assert refusal("labels", layout).code is Code.MODEL_NOT_FOUND
    assert Catalogue(layout).look().models == []


def test_the_model_of_a_job_is_the_one_on_record(layout: RootLayout) -> None:
    kept = deliver(layout)
    found = resolve(JOB, layout.models, KeptModels.of(layout))
    assert (found.kind, found.member, hashing.sha256(found)) == (ModelKind.SEGDROP, "model.pth", kept.sha256)
    with zipfile.ZipFile(layout.published_zip(JOB), "w") as archive:
        archive.writestr("model.pth", b"x" * kept.bytes)
    with pytest.raises(DataError) as caught:
        hashing.sha256(found)
    assert caught.value.issues[0].code is Code.MODEL_CHANGED


@pytest.mark.parametrize(
    ("names", "kind", "member"),
    [
        (["config.json", "model.safetensors", "preprocessor_config.json"], ModelKind.HUGGINGFACE, ""),
        (["model.pth", "README.txt", "predict.py", "labels.txt"], ModelKind.SEGDROP, "model.pth"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "segformer-b0/"])
def test_a_zip_is_what_its_directory_says(
    layout: RootLayout, names: list[str], kind: ModelKind, member: str, prefix: str
) -> None:
    with zipfile.ZipFile(layout.models / "packed.zip", "w") as archive:
        archive.writestr("__MACOSX/._model.pth", b"")
        for name in names:
            archive.writestr(prefix + name, b"")
    found = resolve("packed", layout.models, None)
    assert (found.kind, found.member) == (kind, prefix + member)


def test_a_folder_inside_a_folder_is_looked_into(layout: RootLayout) -> None:
    put_files(layout.models / "street" / "export", "model.onnx", "labels.txt")
    found = resolve("street", layout.models, None)
    assert (found.name, found.kind, found.path.name, found.member) == ("street", ModelKind.ONNX, "export", "model.onnx")


def test_links_of_the_operators_are_followed_and_those_in_a_folder_only_within_it(
    layout: RootLayout, tmp_path: Path
) -> None:
    elsewhere = put_files(tmp_path / "elsewhere", "config.json", "model.safetensors")
    (layout.models / "linked").symlink_to(elsewhere)
    assert hashing.sha256(resolve("linked", layout.models, None))
    folder = put_files(layout.models / "own", "config.json")
    (folder / "model.safetensors").symlink_to(elsewhere / "model.safetensors")
    with pytest.raises(DataError, match="leads out of the folder"):
        hashing.sha256(resolve("own", layout.models, None))


def test_the_links_in_a_snapshot_of_the_hub_are_followed(layout: RootLayout, tmp_path: Path) -> None:
    repository = tmp_path / "models--org--name"
    put_files(repository / "blobs", "aa", "bb")
    snapshot = put_files(repository / "snapshots" / "0123")
    for name, blob in (("config.json", "aa"), ("model.safetensors", "bb")):
        (snapshot / name).symlink_to(Path("../../blobs") / blob)
    (layout.models / "hub").symlink_to(snapshot)
    assert hashing.sha256(resolve("hub", layout.models, None))


# refused by name, unread


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("m.bin", Code.MODEL_UNSAFE, "save_pretrained"),
        ("m.pt", Code.MODEL_UNSAFE, "save_pretrained"),
        ("m.ckpt", Code.MODEL_UNSAFE, "save_pretrained"),
        ("m.pkl", Code.MODEL_UNSAFE, "save_pretrained"),
        ("m.joblib", Code.MODEL_UNSAFE, "save_pretrained"),
        ("m.h5", Code.MODEL_UNSUPPORTED, "tf2onnx.convert --keras m.h5"),
        ("m.keras", Code.MODEL_UNSUPPORTED, "tf2onnx.convert --keras m.keras"),
        ("m.tflite", Code.MODEL_UNSUPPORTED, "tf2onnx.convert --tflite m.tflite"),
        ("m.torchscript", Code.MODEL_UNSUPPORTED, "torch.onnx.export"),
        ("m.safetensors", Code.MODEL_UNSUPPORTED, "config.json"),
        ("m.xyz", Code.MODEL_UNSUPPORTED, "ONNX"),
        ("resnet50-0676ba61.pth", Code.MODEL_UNSUPPORTED, "pretrained"),
    ],
)
def test_other_kinds_are_refused_by_name_with_a_way(layout: RootLayout, name: str, code: Code, words: str) -> None:
    (layout.models / name).write_bytes(b"")
    issue = refusal(name, layout)
    assert issue.code is code
    assert words in issue.fix


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        (["config.json", "pytorch_model.bin"], Code.MODEL_UNSAFE, "pytorch_model.bin"),
        (["saved_model.pb"], Code.MODEL_UNSUPPORTED, "SavedModel"),
        (["config.json", "metadata.json", "model.weights.h5"], Code.MODEL_UNSUPPORTED, "Keras"),
        (["model.safetensors"], Code.MODEL_INVALID, "config.json"),
        (["a.onnx", "b.onnx"], Code.MODEL_UNSUPPORTED, "2 ONNX files"),
        (["photo.jpg"], Code.MODEL_UNSUPPORTED, "no model that is known"),
        ([], Code.MODEL_UNSUPPORTED, "no model that is known"),
    ],
)
def test_folders_without_a_model_that_is_read_are_refused(
    layout: RootLayout, names: list[str], code: Code, words: str
) -> None:
    put_files(layout.models / "m", *names)
    issue = refusal("m", layout)
    assert issue.code is code
    assert words in issue.message


def test_what_is_no_zip_is_refused(layout: RootLayout) -> None:
    (layout.models / "m.zip").write_bytes(b"PK\3\4 and no end")
    assert refusal("m", layout).code is Code.MODEL_INVALID


# read without being run


def test_a_malicious_model_pth_is_refused_and_not_executed(layout: RootLayout, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    path = write_model_pth(layout.models / "m.pth", nn.Linear(1, 1), extra=Evil(victim))
    with pytest.raises(DataError) as caught:
        description.describe(resolve("m", layout.models, None))
    assert caught.value.issues[0].code is Code.MODEL_UNSAFE
    assert "open" in caught.value.issues[0].message
    assert not victim.exists()
    torch.load(path, weights_only=False).get("extra").close()
    assert victim.exists(), "the file would have done harm"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_protocol_of_pickle_lets_a_name_pass(tmp_path: Path, protocol: int) -> None:
    victim = tmp_path / "victim"
    content = pickle.dumps({"a": [1, Evil(victim)]}, protocol=protocol)
    with pytest.raises(ValueError):
        pickled_tensors.plain_values(content)
    assert not victim.exists()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "value",
    [None, True, 1, -(2**70), 0.5, "ä" * 300, [], {}, (), (1,), (1, 2, 3, 4), {"a": [1, {"b": (None, "c")}] * 3}],
)
def test_plain_values_are_read_as_pickle_reads_them(value: Any, protocol: int) -> None:
    assert pickled_tensors.plain_values(pickle.dumps(value, protocol=protocol)) == value


def test_a_model_pth_says_what_it_is(layout: RootLayout) -> None:
    write_model_pth(layout.models / "m.pth", nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    told = description.describe(resolve("m", layout.models, None))
    assert told.classes == ["sky", "road", "tree"]
    assert (told.architecture, told.input_size) == ("deeplabv3_resnet50", ImageSize(32, 48))
    assert (told.mean_iou, told.deep_range) == (0.625, (10.0, 4000.0))


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_a_model_pth_that_was_cut_short_is_damaged(layout: RootLayout, cut: float) -> None:
    path = write_model_pth(layout.models / "m.pth", nn.Linear(50, 50))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    with pytest.raises(DataError) as caught:
        description.describe(resolve("m", layout.models, None))
    assert caught.value.issues[0].code is Code.MODEL_INVALID


def test_plain_weights_are_told_from_a_model_of_ours(layout: RootLayout) -> None:
    torch.save(nn.Linear(1, 1).state_dict(), layout.models / "m.pth")
    with pytest.raises(DataError, match="it is no model"):
        description.describe(resolve("m", layout.models, None))


def test_an_onnx_file_says_operators_inputs_and_data_without_its_library(tmp_path: Path) -> None:
    model = with_external_weights(onnx_model("Softmax", shape=(1, 3, 64, "w")), "weights.bin")
    with write_onnx(tmp_path / "m.onnx", model).open("rb") as stream:
        told = onnx_messages.read(stream)
    assert told.operators == {("", "Conv"), ("", "Softmax")}
    assert (told.inputs[0].name, told.inputs[0].shape, told.inputs[0].element) == ("image", (1, 3, 64, None), 1)
    assert told.external == ["weights.bin"]
    assert told.producers["result"] == "Softmax"
    assert json.loads(told.metadata["classes"]) == ["sky", "road", "tree"]


def test_what_a_branch_of_an_onnx_graph_holds_is_seen_too(tmp_path: Path) -> None:
    from onnx import TensorProto, helper  # noqa: PLC0415

    inner = with_external_weights(onnx_model(), "../inner").graph
    foreign = helper.make_node("Spy", ["image"], ["y"], domain="evil.org")
    inner.node.append(foreign)
    branch = helper.make_node("If", ["yes"], ["out"], then_branch=inner, else_branch=inner)
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)]
    graph = helper.make_graph([branch], "outer", [helper.make_tensor_value_info("yes", TensorProto.BOOL, [])], outputs)
    with write_onnx(tmp_path / "m.onnx", helper.make_model(graph)).open("rb") as stream:
        told = onnx_messages.read(stream)
    assert ("evil.org", "Spy") in told.operators
    assert set(told.external) == {"../inner"}


@pytest.mark.parametrize("content", [b"", b"\x08", b"PK\3\4 zip", b"\xff" * 100, b"\x3a\xff\xff\xff\x0f", b"text"])
def test_what_is_no_onnx_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with (tmp_path / "m.onnx").open("rb") as stream, pytest.raises(ValueError):
        onnx_messages.read(stream)


@pytest.mark.parametrize(
    ("metadata", "classes"),
    [
        ({"classes": '["a", "b"]'}, ["a", "b"]),
        ({"names": "{0: 'person', 1: 'bicycle'}"}, ["person", "bicycle"]),
        ({"names": '{"1": "b", "0": "a"}'}, ["a", "b"]),
        ({"labels": "a, b\nc"}, ["a", "b", "c"]),
        ({"classes": '["a", "a"]'}, ["a (0)", "a (1)"]),
        ({"names": "{1: 'a', 2: 'b'}"}, None),
        ({"names": "__import__('os').system('x')"}, ["__import__('os').system('x')"]),
        ({"author": "x"}, None),
    ],
)
def test_class_names_in_metadata_are_read_as_they_are_written(
    metadata: dict[str, str], classes: list[str] | None
) -> None:
    assert description.classes_of_metadata(metadata) == classes


def test_generic_names_of_a_configuration_are_no_class_names() -> None:
    assert description.classes_of_config({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}) is None
    assert description.classes_of_config({"id2label": {"0": "a", "1": "LABEL_1"}}) == ["a", "LABEL_1"]


# the catalogue


def test_the_catalogue_tells_of_every_model_what_is_known(layout: RootLayout) -> None:
    kept = deliver(layout)
    write_model_pth(layout.models / "ours.pth", nn.Linear(1, 1))
    write_onnx(layout.models / "graph.onnx", onnx_model(shape=(1, 3, 64, 96)))
    (layout.models / "old.h5").write_bytes(b"")
    found = Catalogue(layout).look()
    assert found.is_complete
    graph, old, ours, job = found.models
    assert (graph.kind, graph.input_size, graph.extra) == (ModelKind.ONNX, ImageSize(64, 96), "onnx")
    assert (old.kind, old.problem and old.problem.code) == (None, Code.MODEL_UNSUPPORTED)
    assert (ours.classes, ours.mean_iou, ours.sha256) == (["sky", "road", "tree"], 0.625, None)
    assert (job.name, job.sha256, job.mean_iou, job.input_size) == (JOB, kept.sha256, 0.625, ImageSize(32, 48))
    assert job.origin == "training on street.zip"


def test_the_catalogue_looks_into_a_file_once_and_again_after_a_change(
    layout: RootLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    describe = description.describe
    monkeypatch.setattr(description, "describe", lambda model: looked.append(model.name) or describe(model))
    for name in ("a.onnx", "b.onnx"):
        write_onnx(layout.models / name, onnx_model())
    known = Catalogue(layout)
    first = known.look(most_new=1)
    assert ([entry.name for entry in first.models], first.is_complete) == (["a.onnx"], False)
    assert [entry.name for entry in known.look(most_new=1).models] == ["a.onnx", "b.onnx"]
    assert known.look(most_new=1).is_complete
    assert looked == ["a.onnx", "b.onnx"]
    write_onnx(layout.models / "b.onnx", onnx_model(metadata={"classes": '["x", "y", "z"]'}))
    assert known.look().models[1].classes == ["x", "y", "z"]
    (layout.models / "a.onnx").unlink()
    assert [entry.name for entry in known.look().models] == ["b.onnx"]
    assert looked == ["a.onnx", "b.onnx", "b.onnx"]


def test_a_model_without_classes_is_listed_until_a_list_lies_beside_it(layout: RootLayout) -> None:
    write_onnx(layout.models / "a.onnx", onnx_model(metadata={"classes": ""}))
    known = Catalogue(layout)
    (entry,) = known.look().models
    assert entry.problem is not None
    assert entry.problem.code is Code.MODEL_NO_CLASSES
    (layout.models / "a.labels.txt").write_text("x\ny\nz\n")
    (entry,) = known.look().models
    assert (entry.problem, entry.classes) == (None, ["x", "y", "z"])


def test_the_list_in_the_outbox_is_written_when_it_changes_only(layout: RootLayout) -> None:
    known = Catalogue(layout)
    assert catalogue.publish(layout, known.look())
    assert not catalogue.publish(layout, known.look())
    write_onnx(layout.models / "a.onnx", onnx_model())
    assert catalogue.publish(layout, known.look())
    read = catalogue.ModelsFile.load(layout.models_file)
    assert [entry.name for entry in read.models] == ["a.onnx"]
    assert str(layout.root) not in layout.models_file.read_text()


# the command


def listed(layout: RootLayout, *options: str) -> str:
    result = CliRunner().invoke(app, ["models", "--root", str(layout.root), *options], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_command_lists_models_with_what_they_need(layout: RootLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("importlib.util.find_spec", lambda _package: None)
    write_onnx(layout.models / "graph.onnx", onnx_model(shape=(1, 3, 64, 96)))
    (layout.models / "old.h5").write_bytes(b"")
    text = listed(layout)
    assert "64 x 96" in text
    assert "pip install 'segdrop[onnx]'" in text
    assert "old.h5 is a Keras model" in text


def test_the_command_hashes_where_it_is_asked_to(layout: RootLayout) -> None:
    path = write_model_pth(layout.models / "ours.pth", nn.Linear(1, 1))
    hashes = [json.loads(listed(layout, "--json", *option))["models"][0]["sha256"] for option in ([], ["--hash"])]
    assert hashes == [None, _sha256(path)]


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_are_told_from_defects_of_ours(tmp_path: Path, seed: int) -> None:
    """Whatever the bytes are, what reads them raises what the fault of a file is told by."""
    random = Random(seed)
    graph = with_external_weights(onnx_model("Softmax"), "x").SerializeToString()
    model = write_model_pth(tmp_path / "m.pth", nn.Linear(1, 1)).read_bytes()
    with zipfile.ZipFile(tmp_path / "m.pth") as archive:
        pickled = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    for _ in range(200):
        with suppress(ValueError):
            onnx_messages.read(BytesIO(_damaged(graph, random)))
        with suppress(ValueError):
            pickled_tensors.plain_values(_damaged(pickled, random))
        with suppress(ValueError, DataError):
            pickled_tensors.read(BytesIO(_damaged(model, random)))


def _damaged(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.randint(1, 4)):
        place, size = random.randrange(len(changed)), random.randint(0, 8)
        changed[place : place + size] = random.randbytes(random.randint(0, 8))
    return bytes(changed)
