"""What a test needs and a machine may lack: skipped with a reason, except where everything is expected to be there."""

import os
import shutil

import pytest

#: set by CI, where a skip is a failure: the machine was made to have everything
REQUIRE_VARIABLE = "REQUIRE_FAULT_TESTS"


def require(condition: object, reason: str) -> None:
    """Skip the test, with the reason, unless the condition holds; fail it where everything is required."""
    if condition:
        return
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(f"required here: {reason}", pytrace=False)
    pytest.skip(reason)


def require_program(*names: str) -> None:
    """As :func:`require`, for commands; sbin counts as well."""
    for name in names:
        require(find_program(name), f"{name} is not installed (tests/faults/install-packages.sh)")


def find_program(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def require_root() -> None:
    require(os.geteuid() == 0, "needs root")
