"""Whatever is in a request file, the answer is a request or issues, and never an exception."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from segdrop import request
from segdrop.codes import Code
from segdrop.errors import has_fault
from segdrop.request import TrainRequest

KEYS = st.sampled_from(list(TrainRequest.model_fields))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 400)
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["auto", "none", "train", "predict", "dice", "full", "flip", "\ud800", "\x00", "deeplabv3_resnet50"]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
REQUESTS = st.dictionaries(KEYS, VALUES, max_size=5) | st.dictionaries(KEYS | st.text(max_size=10), VALUES, max_size=5)


@given(REQUESTS, st.none() | REQUESTS)
@settings(max_examples=300, deadline=None)
def test_any_object_gives_a_request_or_issues(sidecar: dict[str, object], embedded: dict[str, object] | None) -> None:
    found, issues = request.resolve({}, ("segdrop.json", embedded) if embedded is not None else None, ("a", sidecar))
    assert (found is None) == has_fault(issues)
    for issue in issues:
        assert isinstance(issue.code, Code)
        assert issue.message
        json.dumps(issue.to_json())
    if found is not None:
        assert found.epochs is not None
        assert found.batch_size is not None
        assert TrainRequest.model_validate_json(found.model_dump_json(), strict=True) == found
        merged = (embedded or {}) | sidecar
        for key, value in merged.items():
            if key not in ("epochs", "batch_size") or value is not None:
                assert found.model_dump(mode="json")[key] == value, "what was asked for is what is done"


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_an_object_or_one_issue(content: bytes) -> None:
    values, issues = request.parse_file(content, "a.json")
    assert isinstance(values, dict)
    if issues:
        (issue,) = issues
        assert issue.code == "request.not_json"
        assert values == {}
    else:
        assert values == json.loads(content.decode("utf-8-sig")) or "NaN" in content.decode("utf-8-sig")
        request.resolve({}, None, ("a.json", values))
