"""segdrop: drop a dataset ZIP into a folder, get a trained segmentation model back."""

__version__ = "0.2.0.dev0"
