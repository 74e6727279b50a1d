"""What a name in the inbox is. Pure.

Everything that is not ``*.zip`` or ``*.json`` stays where it is; names that copying tools and file managers
use for files in progress are known, so that the status can say why a file is left alone.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

PAUSE_NAME = "PAUSE"
CANCEL_SUFFIX = ".cancel"
RETRY_SUFFIX = ".retry"


class Kind(StrEnum):
    ARCHIVE = "archive"
    SIDECAR = "sidecar"
    CONTROL = "control"  #: PAUSE, <job>.cancel, <job>.retry
    IGNORED = "ignored"  #: hidden, temporary, or made by a file manager
    OTHER = "other"  #: nothing that we take


@dataclass(frozen=True, slots=True)
class Reading:
    kind: Kind
    reason: str = ""


_TEMPORARY = re.compile(
    r"""(
      \.(filepart|part|partial|crdownload|download|tmp|temp|swp|!ut|opdownload)$   # browsers, WinSCP, editors
    | ^~                 # ~syncthing~NAME.tmp, ~$NAME (Office)
    | ^\.                # hidden; rsync's .NAME.XXXXXX, .syncthing.NAME.tmp, ._NAME, .nfs*, .smbdelete*
    | ~$                 # editors' backups
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_SYSTEM = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "@eadir", "__macosx", "$recycle.bin"})
_OTHER = Reading(Kind.OTHER, "not a .zip or .json file")
_NOT_UTF8 = Reading(Kind.OTHER, "the name is not valid UTF-8: rename it")
_BY_SUFFIX = {
    "zip": Reading(Kind.ARCHIVE),
    "json": Reading(Kind.SIDECAR),
    "cancel": Reading(Kind.CONTROL),
    "retry": Reading(Kind.CONTROL),
    **dict.fromkeys(
        ("rar", "7z", "tar", "tgz", "gz", "bz2", "xz", "zst"),
        Reading(Kind.OTHER, "not a ZIP: pack the dataset as .zip"),
    ),
}


def read(name: str, *, is_file: bool) -> Reading:
    """Classify a name; ``is_file`` is false for folders, links and special files."""
    if name.lower() in _SYSTEM:
        return Reading(Kind.IGNORED, "made by a file manager")
    if _TEMPORARY.search(name):
        return Reading(Kind.IGNORED, "hidden or temporary name")
    if not is_file:
        return Reading(Kind.OTHER, "not a regular file: pack folders as a ZIP")
    if name == PAUSE_NAME:
        return Reading(Kind.CONTROL)
    if not _is_utf8(name):
        return _NOT_UTF8
    _, dot, suffix = name.lower().rpartition(".")
    return _BY_SUFFIX.get(suffix, _OTHER) if dot else _OTHER


def _is_utf8(name: str) -> bool:
    """False where Python stands in surrogates for bytes: no JSON could name such a file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def targets(controls: list[str], suffix: str) -> list[str]:
    """The jobs that control files with this suffix name."""
    return sorted(name.removesuffix(suffix) for name in controls if name.endswith(suffix))


def stem(name: str) -> str:
    """The name less its last suffix, as it is compared: a Mac sends decomposed letters, Windows composed ones."""
    return unicodedata.normalize("NFC", name.rpartition(".")[0])
