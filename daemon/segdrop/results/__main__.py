"""``python -m segdrop.results SPEC`` packs a result ZIP.

It is a child, because hashing and copying hundreds of megabytes would keep the daemon from its scans. With ``ready``
instead of a spec it does nothing but begin.
"""

import sys
from pathlib import Path

from segdrop import child_runtime
from segdrop.errors import Exit
from segdrop.results import bundle
from segdrop.spec import PackageSpec


def main() -> int:
    """Runs the child, and returns its exit code."""
    if sys.argv[1] == "ready":
        return Exit.OK
    child_runtime.tie_to_parent()
    spec = child_runtime.ordered(PackageSpec.load, Path(sys.argv[1]))
    return child_runtime.run(
        lambda _stop: bundle.pack(spec),
        job=spec.job,
        stage="package",
        error_path=spec.error_path,
        lock_path=spec.lock_path,
    )


if __name__ == "__main__":
    sys.exit(main())
