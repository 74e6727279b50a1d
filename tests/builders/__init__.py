"""Datasets made in code: small good ones to vary (``dataset``), broken ones (``broken``), specs (``specs``)."""

from builders.archives import encoded, mask_image, members, write_dataset, write_zip
from builders.specs import check, check_spec, child, inspect_spec, limits

__all__ = [
    "check",
    "check_spec",
    "child",
    "encoded",
    "inspect_spec",
    "limits",
    "mask_image",
    "members",
    "write_dataset",
    "write_zip",
]
