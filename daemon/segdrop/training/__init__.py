"""The training child: ``python -m segdrop.training SPEC``."""
