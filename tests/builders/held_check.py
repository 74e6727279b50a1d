"""``python -m held_check inspect|check SPEC``: ``segdrop.dataset``, except that the plan may delay or refuse it.

While the plan's folder (see ``standin``) has a file ``hold-check`` or ``hold-inspect``, the check of that name waits
before it begins. Where it has a file ``inspect-full``, the cheap check finds the disk full; where ``inspect-stopped``,
it ends as if asked to.
"""

import os
import sys
import time
from pathlib import Path

from segdrop import child
from segdrop.dataset.__main__ import main
from segdrop.errors import Exit

if __name__ == "__main__":
    child.tie_to_parent()
    folder = Path(os.environ["STANDIN_PLAN"]).parent
    while (folder / f"hold-{sys.argv[1]}").exists():
        time.sleep(0.02)
    if sys.argv[1] == "inspect" and (folder / "inspect-full").exists():
        sys.exit(Exit.ENVIRONMENT)
    if sys.argv[1] == "inspect" and (folder / "inspect-stopped").exists():
        (folder / "inspect-stopped").unlink()
        sys.exit(Exit.TRY_LATER)
    sys.exit(main(sys.argv[1:]))
