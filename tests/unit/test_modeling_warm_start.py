"""An earlier model's weights in a new one: tensor by tensor, and class by class."""

import io
from typing import Any

import pytest
import torch
from torch import Tensor

from builders.networks import build, build_tiny_model
from segdrop.errors import DataError
from segdrop.modeling.architectures import SegmentationModel
from segdrop.modeling.warm_start import ClassMatch, known_validation, match_classes, start_from
from segdrop.modeling.weights import Initialisation
from segdrop.spool.kept_models import KeptModel

OLD = ["background", "road", "sky", "car"]
NEW = ["sky", "Background", "tree", "road"]
ROWS = {"classifier.4.weight", "classifier.4.bias", "aux_classifier.4.weight", "aux_classifier.4.bias"}


def record(classes: list[str], **changes: Any) -> KeptModel:
    values = {"job": "a-20261121T061500Z-0001", "sha256": "ab", "bytes": 1, "architecture": "tiny", "input_key": "a"}
    return KeptModel(**values | {"classes": classes, "owner_uid": 1, "finished_at": 1.0} | changes)


def trained(classes: list[str]) -> SegmentationModel:
    torch.manual_seed(1)
    model = build_tiny_model("", len(classes))
    model.train()(torch.randn(8, 3, 32, 32))  # statistics of its own
    return model.eval()


def stored(model: SegmentationModel, **changes: Tensor | None) -> io.BytesIO:
    state = model.network.state_dict() | changes
    content = {"format": "segdrop-model", "output_stride": 16}
    stream = io.BytesIO()
    torch.save(content | {"state_dict": {k: v for k, v in state.items() if v is not None}}, stream)
    stream.seek(0)
    return stream


def warm(classes: list[str], earlier: list[str]) -> tuple[SegmentationModel, SegmentationModel, Initialisation]:
    """The new model, the earlier one, and what was done."""
    given = trained(earlier)
    torch.manual_seed(2)
    model = build_tiny_model("", len(classes)).eval()
    return model, given, start_from(model, classes, record(earlier), stored(given))


def test_classes_are_matched_by_their_names_and_then_without_regard_to_case() -> None:
    assert match_classes(NEW, OLD) == ClassMatch((2, 0, None, 1), ("tree",), ("car",))


def test_exact_name_comes_before_one_in_another_case_and_no_class_is_taken_twice() -> None:
    assert match_classes(["Road", "road", "ROAD"], ["road", "ROAD"]).sources == (None, 0, 1)
    assert match_classes(["Road", "ROAD"], ["road"]) == ClassMatch((0, None), ("ROAD",), ())


def test_every_tensor_is_taken_over_and_rows_go_with_their_classes() -> None:
    model, given, _ = warm(NEW, OLD)
    before, after = given.network.state_dict(), model.network.state_dict()
    assert before.keys() > ROWS
    for name in before.keys() - ROWS:
        assert torch.equal(after[name], before[name]), name
    for name in ROWS:
        for class_id, source in ((0, 2), (1, 0), (3, 1)):
            assert torch.equal(after[name][class_id], before[name][source]), name
        assert torch.allclose(after[name][2], before[name][[0, 1, 2]].mean(dim=0)), name


def test_statistics_of_norms_are_kept() -> None:
    model, given, _ = warm(NEW, OLD)
    state, earlier = model.network.state_dict(), given.network.state_dict()
    assert not torch.equal(earlier["backbone.norm.running_mean"], torch.zeros(8))
    assert torch.equal(state["backbone.norm.running_mean"], earlier["backbone.norm.running_mean"])


def test_start_answers_as_the_earlier_model_does_also_where_there_are_new_classes() -> None:
    model, given, _ = warm(["tree", *OLD, "lamp"], OLD)
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        expected, found = given(images), model(images)
    assert torch.equal(found.argmax(dim=1) - 1, expected.argmax(dim=1))
    known = found.softmax(dim=1)[:, 1:5].sum(dim=1)
    assert (known >= 4 / 6 - 1e-5).all()


def test_rows_stay_random_where_not_one_class_is_known_and_that_is_a_warning() -> None:
    torch.manual_seed(2)
    random = build_tiny_model("", 2).network.state_dict()
    model, given, done = warm(["a", "b"], OLD)
    state = model.network.state_dict()
    for name in ROWS:
        assert torch.equal(state[name], random[name])
    assert torch.equal(state["backbone.conv.weight"], given.network.state_dict()["backbone.conv.weight"])
    assert [issue.severity for issue in done.issues] == ["warning"]


def test_known_new_and_forgotten_classes_are_stated() -> None:
    _, _, done = warm(NEW, OLD)
    (issue,) = done.issues
    assert (issue.code, issue.severity) == ("model.classes_matched", "note")
    assert "3 of the 4 classes" in issue.message
    assert "tree" in issue.message
    assert "car" in issue.message


def test_what_was_started_from_is_on_record_and_survives_it() -> None:
    _, _, done = warm(NEW, OLD)
    assert (done.job, done.sha256, done.output_stride) == ("a-20261121T061500Z-0001", "ab", 16)
    assert done.is_warm
    assert done.is_pretrained
    assert Initialisation.from_json(done.to_json()) == done
    older = {key: value for key, value in done.to_json().items() if key not in ("job", "output_stride")}
    assert not Initialisation.from_json(older).is_warm


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("backbone.conv.weight", None),
        ("backbone.conv.weight", torch.zeros(8, 3, 5, 5)),
        ("classifier.4.weight", None),
        ("classifier.4.weight", torch.zeros(4, 16, 1, 1)),
        ("aux_classifier.4.bias", None),
        ("backbone.norm.running_mean", None),
    ],
)
def test_tensors_that_do_not_fit_are_refused_and_change_nothing(name: str, tensor: Tensor | None) -> None:
    model = build_tiny_model("", len(NEW))
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    with pytest.raises(DataError) as caught:
        start_from(model, NEW, record(OLD), stored(trained(OLD), **{name: tensor}))
    assert [issue.code for issue in caught.value.issues] == ["model.mismatch"]
    assert all(torch.equal(value, before[key]) for key, value in model.network.state_dict().items())


def test_any_family_is_asked_for_its_rows() -> None:
    torch.manual_seed(1)
    given, model = build("", 4), build("", 4)
    start_from(model, NEW, record(OLD), stored(given))
    rows = given.network.state_dict()["decoder.bias"]
    assert torch.equal(model.network.state_dict()["decoder.bias"][[0, 1, 3]], rows[[2, 0, 1]])


def test_validation_images_that_the_earlier_model_learnt_from_are_named() -> None:
    assert known_validation("a", ["x.png", "y.png"], frozenset()) == []
    (issue,) = known_validation("a", ["x.png", "y.png"], frozenset({"y.png", "z.png"}))
    assert (issue.code, issue.files) == ("model.knows_validation", ("y.png",))
    assert "1 of 2" in issue.message
