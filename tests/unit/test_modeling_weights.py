import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from builders.networks import TinyModel, tiny_network
from segdrop import architectures, weights_files
from segdrop.errors import DataError
from segdrop.modeling.weights import Initialisation, initialise, load_state


def seeded(seed: int, num_classes: int = 2) -> TinyModel:
    torch.manual_seed(seed)
    return TinyModel(tiny_network(num_classes))


def copy_of(model: TinyModel) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.network.state_dict().items()}


def differing(model: TinyModel, state: Mapping[str, Tensor]) -> set[str]:
    return {key for key, value in model.network.state_dict().items() if not torch.equal(value, state[key])}


class Publish:
    """Puts files into models/ and into the catalog, with their real hash in the name, or another one."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dir = folder
        self._monkeypatch = monkeypatch
        self._files: tuple[architectures.WeightsFile, ...] = ()
        self._list()

    def __call__(self, content: object, stem: str = "tiny", head: str | None = None) -> str:
        new = self.dir / "new"
        torch.save(content, new)
        name = f"{stem}-{head or weights_files.sha256(new)[:8]}.pth"
        new.rename(self.dir / name)
        self._files += (architectures.WeightsFile(name, "nothing", 0.1),)
        self._list()
        return name

    def _list(self) -> None:
        architecture = replace(architectures.DEEPLABV3_RESNET50, name="tiny", weights=self._files)
        self._monkeypatch.setitem(architectures.ARCHITECTURES, "tiny", architecture)


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    folder = tmp_path / "models"
    folder.mkdir()
    return Publish(folder, monkeypatch)


def test_weights_of_the_same_classes_are_taken_whole() -> None:
    model, source = seeded(0), copy_of(seeded(1))
    assert load_state(model, source) == "model"
    assert differing(model, source) == set()


def test_weights_for_other_classes_leave_only_the_last_convolutions() -> None:
    model, source = seeded(0), copy_of(seeded(1, num_classes=21))
    before = copy_of(model)
    assert load_state(model, source) == "model"
    kept = {key for key in before if key not in differing(model, before)}
    changed = {key for key in before if torch.is_floating_point(before[key])} - kept
    assert all(torch.equal(model.network.state_dict()[key], source[key]) for key in changed)
    last = {f"{head}.4.{part}" for head in ("classifier", "aux_classifier") for part in ("weight", "bias")}
    assert last <= kept
    assert {"backbone.conv.weight", "classifier.0.weight", "aux_classifier.0.weight"} <= changed


def test_backbone_alone_fills_the_backbone_only() -> None:
    model, before = seeded(0), copy_of(seeded(0))
    backbone = {key: value.clone() for key, value in seeded(1).encoder.state_dict().items()}
    assert load_state(model, backbone | {"fc.weight": torch.zeros(3)}) == "backbone"
    assert torch.equal(model.network.backbone.conv.weight, backbone["conv.weight"])
    assert all(key.startswith("backbone.") for key in differing(model, before))


def test_our_own_model_file_is_understood() -> None:
    model, source = seeded(0), copy_of(seeded(1))
    assert load_state(model, {"format": "segdrop-model", "state_dict": source, "classes": ["a", "b"]}) == "model"
    assert differing(model, source) == set()


@pytest.mark.parametrize("missing", ["backbone.conv.weight", "classifier.0.weight"])
def test_file_that_lacks_a_tensor_changes_nothing(missing: str) -> None:
    model, before = seeded(0), copy_of(seeded(0))
    source = copy_of(seeded(1))
    del source[missing]
    assert load_state(model, source) is None
    assert differing(model, before) == set()


def test_file_with_another_shape_changes_nothing() -> None:
    model, before = seeded(0), copy_of(seeded(0))
    source = copy_of(seeded(1)) | {"backbone.conv.weight": torch.zeros(8, 3, 7, 7)}
    assert load_state(model, source) is None
    assert differing(model, before) == set()


@pytest.mark.parametrize("content", [None, [1, 2], {}, {"state_dict": {}}, {"epoch": 3}])
def test_content_that_holds_no_weights_changes_nothing(content: object) -> None:
    assert load_state(seeded(0), content) is None


def test_auto_takes_the_first_file_that_is_there_and_says_which(publish: Publish) -> None:
    name = publish(copy_of(seeded(1)))
    model = seeded(0)
    started_from = initialise(model, "tiny", "auto", [publish.dir])
    assert started_from.file_name == name
    assert name in started_from.description
    assert started_from.sha256 == weights_files.sha256(publish.dir / name)
    assert started_from.is_pretrained
    assert started_from.issues == ()
    assert differing(model, copy_of(seeded(1))) == set()


def test_auto_passes_over_a_damaged_file_with_a_warning_and_takes_the_next(publish: Publish) -> None:
    damaged = publish(copy_of(seeded(2)), "best", head="00000000")
    sound = publish(copy_of(seeded(1)), "second")
    started_from = initialise(seeded(0), "tiny", "auto", [publish.dir])
    assert started_from.file_name == sound
    assert [(issue.code, issue.files) for issue in started_from.issues] == [("weights.mismatch", (damaged,))]


def test_auto_without_any_file_starts_from_random_weights_and_says_so(publish: Publish) -> None:
    model = seeded(0)
    started_from = initialise(model, "tiny", "auto", [publish.dir])
    assert not started_from.is_pretrained
    assert [issue.code for issue in started_from.issues] == ["weights.none"]
    assert differing(model, copy_of(seeded(0))) == set()


def test_none_never_looks_at_files(publish: Publish) -> None:
    publish(copy_of(seeded(1)))
    model = seeded(0)
    assert not initialise(model, "tiny", "none", [publish.dir]).is_pretrained
    assert differing(model, copy_of(seeded(0))) == set()


def test_file_asked_for_by_name_that_cannot_be_used_is_a_fault(publish: Publish) -> None:
    for name in ("absent.pth", publish({"other": torch.zeros(1)}), publish(copy_of(seeded(1)), head="00000000")):
        with pytest.raises(DataError) as caught:
            initialise(seeded(0), "tiny", name, [publish.dir])
        assert [issue.code for issue in caught.value.issues] == ["request.weights_not_found"]


def test_file_that_would_run_code_is_never_unpickled(publish: Publish, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (open, (str(tmp_path / "sprung"), "w"))

    name = publish({"state_dict": Trap()})
    with pytest.raises(DataError):
        initialise(seeded(0), "tiny", name, [publish.dir])
    assert not (tmp_path / "sprung").exists()


def test_initialisation_survives_its_record(publish: Publish) -> None:
    publish(copy_of(seeded(2)), "best", head="00000000")
    started_from = initialise(seeded(0), "tiny", "auto", [publish.dir])
    assert Initialisation.from_json(started_from.to_json()) == started_from


def test_file_that_is_expected_before_is_the_one_that_is_loaded(publish: Publish) -> None:
    """The check says without torch what the training will start from; a later request is compared by that."""
    assert weights_files.resolve("auto", "tiny", [publish.dir]) is None
    damaged = publish(copy_of(seeded(2)), "best", head="00000000")
    assert weights_files.resolve("auto", "tiny", [publish.dir]) is None
    sound = publish(copy_of(seeded(1)), "second")
    for asked in ("auto", "none", sound):
        expected = weights_files.resolve(asked, "tiny", [publish.dir])
        assert initialise(seeded(0), "tiny", asked, [publish.dir]).sha256 == expected
    assert weights_files.resolve(damaged, "tiny", [publish.dir]) is not None, (
        "not the question of a run from random weights"
    )
    with pytest.raises(FileNotFoundError):
        weights_files.resolve("absent.pth", "tiny", [publish.dir])


def test_any_change_of_the_files_is_seen_without_reading_them(publish: Publish) -> None:
    def state() -> str:
        return weights_files.state("auto", "tiny", [publish.dir])

    seen = [state()]
    name = publish(copy_of(seeded(1)))
    seen.append(state())
    assert state() == state()
    content = (publish.dir / name).read_bytes()
    before = (publish.dir / name).stat()
    (publish.dir / "other").write_bytes(content)
    (publish.dir / "other").rename(publish.dir / name)
    os.utime(publish.dir / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    seen.append(state())
    (publish.dir / name).unlink()
    assert state() == seen[0]
    assert len(set(seen)) == len(seen)


def test_file_is_loaded_that_was_hashed_although_another_gets_its_name(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = publish(copy_of(seeded(1)), "exchanged")
    publish(copy_of(seeded(2)), "exchanged")
    second = next(path for path in publish.dir.iterdir() if path.name != name)
    matches_name = weights_files.matches_name

    def exchange(digest: str, name: str) -> bool:
        second.replace(publish.dir / name)
        return matches_name(digest, name)

    monkeypatch.setattr(weights_files, "matches_name", exchange)
    model = seeded(0)
    started_from = initialise(model, "tiny", name, [publish.dir])
    assert started_from.sha256 is not None
    assert started_from.sha256[:8] in name
    assert differing(model, copy_of(seeded(1))) == set()
