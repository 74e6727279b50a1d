"""``python -m held_package SPEC``: ``segdrop.results``, except that a test may delay or spoil it.

Points to be held at (see ``held``): ``package`` before it begins, ``package-end`` once it has answered. ``cut-package``
spoils the answer.
"""

import sys
from pathlib import Path

import held

from segdrop import child_runtime
from segdrop.results.__main__ import main

if __name__ == "__main__":
    child_runtime.tie_to_parent()
    held.wait("package")
    status = main()
    held.cut_off("package", Path(sys.argv[1]), "package_path")
    held.wait("package-end")
    sys.exit(status)
