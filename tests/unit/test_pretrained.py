"""What ``pretrained`` leads to, and what is said at once about one that leads nowhere."""

from pathlib import Path

import pytest

from builders.kept import OWNER, job_id, keep, models_of
from builders.spool import fresh_root
from segdrop import pretrained, weights_files
from segdrop.errors import DataError
from segdrop.pretrained import Sender, Start
from segdrop.spool.layout import RootLayout

ARCHITECTURE = "deeplabv3_resnet50"
SENDER = Sender("camvid.zip", OWNER)


@pytest.fixture
def layout(tmp_path: Path) -> RootLayout:
    return fresh_root(tmp_path)


def resolved(layout: RootLayout, asked: str, sender: Sender = SENDER) -> Start:
    return pretrained.resolve(asked, ARCHITECTURE, models_of(layout), sender)


def codes(layout: RootLayout, asked: str, architecture: str = ARCHITECTURE) -> list[str]:
    return [issue.code for issue in pretrained.issues(asked, architecture, layout.models, models_of(layout))]


def test_previous_and_the_job_that_it_leads_to_are_the_same_start(layout: RootLayout) -> None:
    keep(layout, 1)
    newest = keep(layout, 2)
    assert resolved(layout, "previous") == resolved(layout, newest.job) == Start(newest.job, newest)


def test_first_of_a_series_starts_as_auto_and_says_so(layout: RootLayout) -> None:
    keep(layout, 1, owner_uid=OWNER + 1)
    start = resolved(layout, "previous")
    assert (start.pretrained, start.model) == ("auto", None)
    assert [(issue.code, issue.severity) for issue in start.issues] == [("model.no_previous", "note")]


def test_withdrawn_results_are_named_where_nothing_else_is_left(layout: RootLayout) -> None:
    keep(layout, 1)
    layout.published_zip(job_id(1)).unlink()
    (issue,) = resolved(layout, "previous").issues
    assert job_id(1) in issue.message


@pytest.mark.parametrize("asked", ["auto", "none", "mine.pth"])
def test_everything_else_is_left_to_the_weights_files(layout: RootLayout, asked: str) -> None:
    assert resolved(layout, asked) == Start(asked)


def test_model_of_another_architecture_is_refused(layout: RootLayout) -> None:
    keep(layout, 1, architecture="other_net")
    for asked in ("previous", job_id(1)):
        with pytest.raises(DataError) as caught:
            resolved(layout, asked)
        assert [issue.code for issue in caught.value.issues] == ["model.mismatch"]
    assert codes(layout, job_id(1)) == ["model.mismatch"]


def test_job_that_does_not_exist_is_answered_at_once_and_previous_never_is(layout: RootLayout) -> None:
    keep(layout, 1)
    assert codes(layout, job_id(1)) == []
    assert codes(layout, job_id(2)) == ["model.not_found"]
    assert codes(layout, "previous") == []


def test_nearly_a_job_id_is_taken_for_a_file_and_the_nearest_job_is_named(layout: RootLayout) -> None:
    keep(layout, 1)
    (issue,) = pretrained.issues(job_id(1)[:-1], ARCHITECTURE, layout.models, models_of(layout))
    assert issue.code == "request.weights_not_found"
    assert job_id(1) in issue.message


def test_where_no_results_are_at_hand_a_job_is_refused_and_previous_is_auto(layout: RootLayout) -> None:
    (issue,) = pretrained.issues(job_id(1), ARCHITECTURE, layout.models, None)
    assert issue.code == "model.not_found"
    assert pretrained.resolve("previous", ARCHITECTURE, None, SENDER).pretrained == "auto"


def test_same_bytes_among_the_weights_are_another_start(layout: RootLayout) -> None:
    """A file of weights gives its features alone; an earlier model goes on with its heads."""
    keep(layout, 1, model=b"weights")
    (layout.models / "mine.pth").write_bytes(b"weights")
    dirs = [layout.models]
    from_job, from_file = (resolved(layout, asked).identity(ARCHITECTURE, dirs) for asked in (job_id(1), "mine.pth"))
    assert from_file == weights_files.sha256(layout.models / "mine.pth")
    assert from_job not in (None, from_file)


def test_mark_of_a_job_says_whether_it_still_leads_to_the_same_model(layout: RootLayout) -> None:
    def state(asked: str) -> str | None:
        return pretrained.state(asked, ARCHITECTURE, [layout.models], models_of(layout))

    keep(layout, 1)
    before = state(job_id(1))
    assert before is not None
    assert state(job_id(1)) == before
    layout.published_zip(job_id(1)).unlink()
    assert state(job_id(1)) is None
    assert state("previous") is None
