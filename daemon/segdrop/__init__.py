"""segdrop: drop a dataset ZIP into a folder, get a trained segmentation model back."""

__version__ = "0.1.0"
