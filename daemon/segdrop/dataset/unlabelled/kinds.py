"""What kind of input a file is, by its name and its first bytes. Pure, and without any library that decodes."""

import re

from segdrop import input_kinds
from segdrop.input_kinds import InputKind

#: the first bytes that :func:`kind_of` looks at
HEAD_BYTES = 512
_ISO_IMAGES = rb"heic|heix|heim|heis|hevc|hevx|mif1|msf1|avif|avis|crx "
_IMAGE = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|BM.{4}\0\0\0\0|II[*+]\0|MM\0[*+]|P[1-6][\s#]|RIFF.{4}WEBP"
    rb"|\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51|qoif|.{4}ftyp(?:" + _ISO_IMAGES + rb")",
    re.DOTALL,
)
_VIDEO = re.compile(
    rb".{4}(?:ftyp|moov|mdat|wide|skip|free)|\x1a\x45\xdf\xa3|RIFF.{4}AVI |\x00\x00\x01\xba|\x00\x00\x01\xb3"
    rb"|FLV\x01|OggS|\x30\x26\xb2\x75\x8e\x66\xcf\x11|\x47.{187}\x47|.{4}\x47.{191}\x47",
    re.DOTALL,
)
_ZIP = (b"PK\3\4", b"PK\5\6")
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{")


def kind_of(name: str, head: bytes) -> InputKind | None:
    """Returns the kind of an input, or None where neither its name nor its first bytes tell one.

    ``head`` holds the first ``HEAD_BYTES`` bytes, fewer where the file is shorter; it may be empty, and then the name
    alone counts. A ZIP and a JSON are what their names say, so that damage in them is told as that. Of images and
    videos the bytes count first: a photograph called ``.png`` that is a JPEG is read all the same.
    """
    by_name = input_kinds.by_name(name)
    if by_name in (InputKind.ARCHIVE, InputKind.JSON):
        return by_name
    return _by_head(head) or by_name


def _by_head(head: bytes) -> InputKind | None:
    if _IMAGE.match(head):
        return InputKind.IMAGE
    if _VIDEO.match(head):
        return InputKind.VIDEO
    if head.startswith(_ZIP):
        return InputKind.ARCHIVE
    return InputKind.JSON if _JSON.match(head) else None
