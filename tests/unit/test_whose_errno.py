"""Whose fault an error of the operating system is: by its number, and by nothing else."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdrop.environment import Fault, Response, response_to


@pytest.mark.parametrize(
    ("number", "response"),
    [
        *((number, Response.PAUSE) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)),
        *((number, Response.PAUSE) for number in (errno.EHOSTDOWN, errno.ETIMEDOUT, errno.ENOMEM, errno.EMFILE)),
        *((number, Response.WAIT) for number in (errno.EBUSY, errno.EPERM, errno.EACCES, errno.EFBIG, errno.ETXTBSY)),
        *((number, Response.OWN) for number in (errno.ENOENT, errno.EISDIR, errno.EINVAL, errno.EEXIST)),
        (4095, Response.WAIT),
        (None, Response.WAIT),
    ],
)
def test_each_number_has_its_response(number: int | None, response: Response) -> None:
    assert response_to(OSError(number, "x")) is response


def test_message_names_what_happened_where_and_which_limit_it_may_be() -> None:
    fault = Fault.of(OSError(errno.EFBIG, "File too large", "/srv/x/checkpoint.pth"))
    assert fault.message.startswith("File too large: /srv/x/checkpoint.pth (")
    assert "ulimit -f" in fault.message
    assert (fault.path, fault.name) == ("/srv/x/checkpoint.pth", "EFBIG")
    assert Fault.of(OSError(errno.EXDEV, "x", "a", None, "b")).path == "a to b"


@given(st.integers(1, 4095) | st.none(), st.none() | st.text() | st.binary())
def test_no_error_is_without_a_fault(number: int | None, name: str | bytes | None) -> None:
    fault = Fault.of(OSError(number, os.strerror(number) if number else "words", name))
    assert fault.message
    assert Fault.model_validate_json(fault.model_dump_json()) == fault
