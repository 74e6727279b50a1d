"""``python -m segdrop.delivery SPEC``, as a daemon of version 0.1 starts its packing, is told that its files were
exchanged. Packing itself is ``python -m segdrop.results``.
"""

import sys

from segdrop import child_runtime

if __name__ == "__main__":
    child_runtime.tie_to_parent()
    sys.exit(child_runtime.installation())
