"""Datasets made in code: small good ones to vary (``dataset``), broken ones (``broken``), specs (``specs``)."""

from builders.archives import encoded, mask_image, members, write_dataset, write_zip
from builders.specs import check, check_spec, child, limits, quick_check_spec

__all__ = [
    "check",
    "check_spec",
    "child",
    "encoded",
    "limits",
    "mask_image",
    "members",
    "quick_check_spec",
    "write_dataset",
    "write_zip",
]
