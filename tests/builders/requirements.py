"""What a test needs and a machine may lack: skipped with a reason, except where everything is expected to be there."""

import os
import shutil
import subprocess

import pytest

#: what stands before a command that mounts for itself alone: it becomes that command by exec, under the same PID
IN_NAMESPACE = ("unshare", "--mount", "--propagation", "private")
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


def require_mounts() -> None:
    """As root, with a mount namespace of one's own."""
    require_root()
    require_program("unshare", "mount", "umount", "nsenter")
    tried = subprocess.run([*IN_NAMESPACE, "true"], capture_output=True, text=True, check=False)
    require(tried.returncode == 0, f"no namespaces here: {tried.stderr.strip()}")
