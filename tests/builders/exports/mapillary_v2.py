"""Mapillary Vistas 2.0 without the masks of version 1.2."""

from builders.exports.mapillary import release
from builders.exports.scenes import Export, Exports


def alone() -> Export:
    return release("v2.0")


EXPORTS: Exports = {"alone": alone}
