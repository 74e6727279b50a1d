"""``python -m segdrop.delivery SPEC``: pack a result ZIP. A child, because hashing and copying hundreds of
megabytes would keep the daemon from its scans.
"""

import sys
from pathlib import Path

from segdrop import child
from segdrop.delivery import bundle
from segdrop.spec import PackageSpec


def main() -> int:
    child.tie_to_parent()
    spec = child.ordered(PackageSpec.load, Path(sys.argv[1]))
    return child.run(
        lambda _stop: bundle.pack(spec),
        job=spec.job,
        stage="package",
        error_path=spec.error_path,
        lock_path=spec.lock_path,
    )


if __name__ == "__main__":
    sys.exit(main())
