import json
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdrop.errors import Exit, Issue
from segdrop.execution import outcome
from segdrop.execution.outcome import Ending

ISSUE = Issue.of("archive.corrupt", "a.png does not unpack", files=["a.png"])
ERROR_FILE = json.dumps({"issues": [ISSUE.to_json()]}).encode()


@pytest.mark.parametrize(
    ("status", "answered", "error_file", "ending"),
    [
        (0, True, None, Ending.FINISHED),
        (0, True, ERROR_FILE, Ending.FINISHED),
        (0, False, None, Ending.KILLED),
        (0, False, ERROR_FILE, Ending.KILLED),
        (Exit.DATA, False, ERROR_FILE, Ending.DATA_FAULT),
        (Exit.DATA, False, None, Ending.KILLED),
        (Exit.DATA, False, b'{"issues": []}', Ending.KILLED),
        (Exit.ENVIRONMENT, False, None, Ending.ENVIRONMENT),
        (Exit.ENVIRONMENT, True, None, Ending.ENVIRONMENT),
        (Exit.TRY_LATER, False, None, Ending.STOPPED),
        (-signal.SIGTERM, False, None, Ending.STOPPED),
        (Exit.INTERNAL, False, ERROR_FILE, Ending.DEFECT),
        (Exit.INTERNAL, False, None, Ending.DEFECT),
        (1, False, None, Ending.KILLED),
        (Exit.USAGE, False, None, Ending.KILLED),
        (-signal.SIGKILL, False, None, Ending.KILLED),
        (-signal.SIGSEGV, True, ERROR_FILE, Ending.KILLED),
        (-signal.SIGXCPU, False, None, Ending.KILLED),
    ],
)
def test_each_end_has_one_meaning(status: int, answered: bool, error_file: bytes | None, ending: Ending) -> None:
    assert outcome.read(status, answered=answered, error_file=error_file).ending is ending


def test_success_without_the_answer_it_owes_is_no_success() -> None:
    assert "without an answer" in outcome.read(0, answered=False, error_file=None).detail


def test_the_childs_issues_come_back_as_they_were() -> None:
    result = outcome.read(Exit.DATA, answered=False, error_file=ERROR_FILE)
    assert result.issues == (ISSUE,)
    assert outcome.read(Exit.INTERNAL, answered=False, error_file=ERROR_FILE).detail == ISSUE.message


def test_a_signal_is_named() -> None:
    assert outcome.read(-9, answered=False, error_file=None).detail == "ended by SIGKILL"
    assert outcome.signal_name(11) == "SIGSEGV"
    assert outcome.signal_name(200) == "signal 200"


@given(
    st.integers(-70, 255),
    st.booleans(),
    st.none() | st.binary(max_size=40) | st.sampled_from([ERROR_FILE, ERROR_FILE[:-9], b'{"issues": 3}', b"[]", b"{}"]),
)
def test_no_status_and_no_error_file_is_without_a_meaning(
    status: int, answered: bool, error_file: bytes | None
) -> None:
    result = outcome.read(status, answered=answered, error_file=error_file)
    assert result.detail
    assert (result.ending is Ending.FINISHED) == (status == 0 and answered)
