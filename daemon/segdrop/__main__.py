"""``python -m segdrop`` is the ``segdrop`` command."""

from segdrop.cli import main

main()
