"""Mapillary Vistas 1.2 alone, and as it was before there was a version 2."""

from builders.exports.mapillary import release
from builders.exports.scenes import Export, Exports


def alone() -> Export:
    return release("v1.2")


def flat() -> Export:
    return release("")


EXPORTS: Exports = {"alone": alone, "flat": flat}
