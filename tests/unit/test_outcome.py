import errno
import json
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdrop.child_runtime import ErrorAnswer
from segdrop.codes import Code
from segdrop.environment import Fault, Response
from segdrop.errors import Exit, Issue
from segdrop.execution import outcome
from segdrop.execution.outcome import Ending

ISSUE = Issue.of(Code.ARCHIVE_CORRUPT, "a.png does not unpack", files=["a.png"])
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
    assert outcome.read(status, answered=answered, begun=True, error_file=error_file).ending is ending


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (0, Ending.INSTALLATION),
        (1, Ending.INSTALLATION),
        (127, Ending.INSTALLATION),
        (Exit.INTERNAL, Ending.INSTALLATION),
        (Exit.INSTALLATION, Ending.INSTALLATION),
        (-signal.SIGSEGV, Ending.INSTALLATION),
        (-signal.SIGILL, Ending.INSTALLATION),
        (-signal.SIGTERM, Ending.STOPPED),
        (Exit.TRY_LATER, Ending.STOPPED),
        (-signal.SIGKILL, Ending.ENVIRONMENT),
        (Exit.ENVIRONMENT, Ending.ENVIRONMENT),
    ],
)
def test_child_that_never_began_says_nothing_about_its_item(status: int, ending: Ending) -> None:
    result = outcome.read(status, answered=False, begun=False, error_file=None, last_words="No module named 'x'")
    assert result.ending is ending
    assert ("No module named 'x'" in result.detail) == (status not in (-9, -15, Exit.TRY_LATER))


def test_module_that_is_missing_in_the_middle_is_the_installations() -> None:
    assert outcome.read(Exit.INSTALLATION, answered=False, begun=True, error_file=None).ending is Ending.INSTALLATION


def test_fault_of_the_environment_comes_back_as_it_was() -> None:
    fault = Fault.of(OSError(errno.EBUSY, "Device or resource busy", "/x"))
    error_file = ErrorAnswer(fault=fault).model_dump_json().encode()
    assert outcome.read(Exit.ENVIRONMENT, answered=False, begun=True, error_file=error_file).fault == fault


def test_fault_that_could_not_be_written_down_concerns_all() -> None:
    fault = outcome.read(Exit.ENVIRONMENT, answered=False, begun=True, error_file=None, last_words="full").fault
    assert fault is not None
    assert (fault.response, fault.message) == (Response.PAUSE, "full")


def test_success_without_the_answer_it_owes_is_no_success() -> None:
    assert "without an answer" in outcome.read(0, answered=False, begun=True, error_file=None).detail


def test_the_childs_issues_come_back_as_they_were() -> None:
    result = outcome.read(Exit.DATA, answered=False, begun=True, error_file=ERROR_FILE)
    assert result.issues == (ISSUE,)
    assert outcome.read(Exit.INTERNAL, answered=False, begun=True, error_file=ERROR_FILE).detail == ISSUE.message


def test_a_signal_is_named() -> None:
    assert outcome.read(-9, answered=False, begun=True, error_file=None).detail == "ended by SIGKILL"
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
    result = outcome.read(status, answered=answered, begun=True, error_file=error_file)
    assert result.detail
    assert (result.ending is Ending.FINISHED) == (status == 0 and answered)
