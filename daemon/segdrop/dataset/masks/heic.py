"""HEIC photographs, as iPhones take them: read where the optional package pillow-heif is installed.

It is imported when the first such file is met, and not before: few datasets have any.
"""

from functools import lru_cache

#: Pillow's name of the format, once it is registered
FORMAT = "HEIF"
MISSING = (
    "it is a HEIC photograph, and what reads those is not installed: `pip install segdrop[heic]` on this machine, or "
    "export the photographs as JPEG"
)
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_heic(content: bytes) -> bool:
    """Whether a file begins as HEIC does, whatever its name (ISO/IEC 23008-12, 10.2)."""
    return content[4:8] == b"ftyp" and content[8:12] in _BRANDS


@lru_cache(maxsize=1)
def is_installed() -> bool:
    """Whether HEIC can be read in this process, which is prepared for it if so."""
    try:
        import pillow_heif  # noqa: PLC0415  (optional, and slow to load)
    except ImportError:
        return False
    pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    return True
