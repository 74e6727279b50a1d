"""The meaning of a name in the inbox. Pure.

ZIPs, requests, images and videos have names of theirs; everything else stays where it is. Names that copying tools and
file managers use for files in progress are known, so that the status can say why a file is left alone.
"""

import re
import stat
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from segdrop.input_kinds import IMAGE_SUFFIXES, SUFFIXES, VIDEO_SUFFIXES

PAUSE_NAME = "PAUSE"
CANCEL_SUFFIX = ".cancel"
RETRY_SUFFIX = ".retry"


class NameKind(StrEnum):
    """Tells what a name stands for."""

    ARCHIVE = "archive"
    MEDIA = "media"  #: an image or a video, which is an input where a request for it lies beside it
    SIDECAR = "sidecar"  #: a request, or an input of images in JSON: what is in it tells
    CONTROL = "control"  #: PAUSE, <job>.cancel, <job>.retry
    IGNORED = "ignored"  #: hidden, temporary, or made by a file manager: of no concern to people
    ADDRESSED = "addressed"  #: not taken, although its name shows that it was meant for us
    OTHER = "other"  #: nothing that we take


class FileType(StrEnum):
    """Tells what lies under a name, in words. Only regular files are ever opened."""

    REGULAR = ""
    LINK = "a symbolic link"
    FOLDER = "a folder"
    PIPE = "a named pipe (FIFO)"
    SOCKET = "a socket"
    DEVICE = "a device"
    UNKNOWN = "something that cannot be looked at"


_TYPES = {
    stat.S_IFREG: FileType.REGULAR,
    stat.S_IFLNK: FileType.LINK,
    stat.S_IFDIR: FileType.FOLDER,
    stat.S_IFIFO: FileType.PIPE,
    stat.S_IFSOCK: FileType.SOCKET,
}


class Verb(StrEnum):
    """Tells what an order asks for."""

    PAUSE = "pause"
    CANCEL = "cancel"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Order:
    """A file that asks for something. ``target`` is the job concerned, and "" for ``PAUSE``."""

    name: str
    verb: Verb
    target: str = ""

    @property
    def canonical_name(self) -> str:
        """The name under which the documentation has it."""
        return PAUSE_NAME if self.verb is Verb.PAUSE else f"{self.target}.{self.verb}"


@dataclass(frozen=True, slots=True)
class NameReading:
    """Tells what a name stands for, and the reason if it is left alone."""

    kind: NameKind
    reason: str = ""


#: suffixes of what we take, as alternatives of a pattern
_TAKEN = "|".join(sorted(SUFFIXES))
_TEMPORARY = re.compile(
    rf"""(
      \.(filepart|part|partial|crdownload|download|tmp|temp|swp|!ut|opdownload)$   # browsers, WinSCP, editors
    | \.(aria2|aria2__temp|lftp-pget-status|fdmdownload|bc!|jc!|td\.cfg|xltd)$     # downloads in several parts
    | \.({_TAKEN})\.st$  # axel
    | ^~                 # ~syncthing~NAME.tmp, ~$NAME (Office)
    | ^\.                # hidden; rsync's .NAME.XXXXXX, .syncthing.NAME.tmp, ._NAME, .nfs*, .smbdelete*
    | ~$                 # editors' backups
    )""",
    re.VERBOSE | re.IGNORECASE,
)
#: NAME.zip.part beside NAME.zip says that a copier is still at work on it
_PART = re.compile(rf"(?P<whole>[^.~].*\.(?:{_TAKEN}))\.[^.]+(?:\.cfg)?$", re.IGNORECASE | re.DOTALL)
_SYSTEM = frozenset(
    {
        *("thumbs.db", "desktop.ini", "ehthumbs.db", "@eadir", "__macosx", "$recycle.bin", "icon\r", "lost+found"),
        *("#recycle", "#snapshot", "@recycle", "@tmp", "recycler", "system volume information", "temporary items"),
        *("network trash folder",),
    }
)
#: Syncthing, Dropbox (in six languages), ownCloud and Nextcloud, Seafile, Synology Drive, pCloud, rclone bisync.
_CONFLICT = re.compile(
    r"""\ ?(
      \.sync-conflict-\d{8}-\d{6}(-[0-9a-z]{7})?
    | \((?:[^()]*\ )?conflicted\ copy\b[^()]*\)
    | \((?:case|unicode\ encoding|selective\ sync|white\ ?space)\ conflict[^()]*\)
    | \(in\ konflikt\ stehende\ kopie[^()]*\) | \(copie\ en\ conflit[^()]*\) | \(copia\ en\ conflicto[^()]*\)
    | \(copia\ in\ conflitto[^()]*\) | \(c[oó]pia\ em\ conflito[^()]*\)
    | \(sfconflict\ [^()]*\)
    | _conflict-\d{8}-\d{6}
    | _[a-z]{3}-\d{2}-\d{6}-\d{4}_(?:case)?conflict
    | \[conflict(?:ed)?(?:\ \d+)?\] | \(conflicted(?:\ \d+)?\)
    | \.conflict\d+
    )(?=$|\.[^.]*$|\ ?\(\d+\)\.[^.]*$)""",
    re.VERBOSE | re.IGNORECASE,
)
_COPY_MARK = re.compile(r" ?(\(\d+\)|- (copy|kopie|copie|copia))$", re.IGNORECASE)
_LAST_SUFFIX = re.compile(r"\.\w{0,5}$")
#: Windows hides the last suffix, wget numbers what is there already
_NEARLY_ZIP = re.compile(
    r"(.+\.zip)(\.txt|\.\d{1,2}|\.|_| ?\(\d+\)| - (copy|kopie|copie|copia))", re.IGNORECASE | re.DOTALL
)
_SPLIT_ZIP = re.compile(r".+\.(zip\.\d{3,}|z\d{2,}|zipx)", re.IGNORECASE | re.DOTALL)
_ORDER = re.compile(r"pause|.+\.(cancel|retry)", re.IGNORECASE | re.DOTALL)
_JOB_TIME = re.compile(r"-(\d{8})t(\d{6})z-(?=[0-9a-f]{4}$)")
_OTHER = NameReading(NameKind.OTHER, "not a .zip or .json file, nor an image or a video")
_NOT_UTF8 = NameReading(NameKind.OTHER, "the name is not valid UTF-8: rename it")
_BY_SUFFIX = {
    "zip": NameReading(NameKind.ARCHIVE),
    "json": NameReading(NameKind.SIDECAR),
    **dict.fromkeys(IMAGE_SUFFIXES | VIDEO_SUFFIXES, NameReading(NameKind.MEDIA)),
    **dict.fromkeys(
        ("rar", "7z", "tar", "tgz", "gz", "bz2", "xz", "zst"),
        NameReading(NameKind.OTHER, "not a ZIP: pack the dataset as .zip"),
    ),
}


def read(name: str, file_type: FileType = FileType.REGULAR) -> NameReading:  # noqa: PLR0911  (one return a kind)
    """Classify a name. A request that is no regular file is one all the same: its ZIP must not go without it."""
    if name.lower() in _SYSTEM:
        return NameReading(NameKind.IGNORED, "made by a file manager")
    if _TEMPORARY.search(name):
        return NameReading(NameKind.IGNORED, "hidden or temporary name")
    if not _is_utf8(name):
        return _NOT_UTF8
    is_regular = file_type is FileType.REGULAR
    if order(name):
        return NameReading(NameKind.CONTROL) if is_regular else NameReading(NameKind.ADDRESSED, _not_obeyed(file_type))
    if conflict_free(name) != name:
        return NameReading(NameKind.ADDRESSED, "a sync tool's conflict copy: rename it if it is wanted")
    _, dot, suffix = name.lower().rpartition(".")
    reading = _BY_SUFFIX.get(suffix, _OTHER) if dot else _OTHER
    if not is_regular and reading.kind is not NameKind.SIDECAR:
        return NameReading(NameKind.OTHER, irregular(file_type))
    if reading.kind is NameKind.OTHER and (advice := order_advice(name) or _zip_advice(name)):
        return NameReading(NameKind.ADDRESSED, advice)
    return reading


def file_type(mode: int) -> FileType:
    """Returns the type of a file by its mode."""
    return _TYPES.get(stat.S_IFMT(mode), FileType.DEVICE)


def irregular(file_type: FileType) -> str:
    """Returns why a file that is not a regular one is not taken, and what to do."""
    match file_type:
        case FileType.FOLDER:
            return "it is a folder: pack datasets as a ZIP"
        case FileType.LINK:
            return "it is a symbolic link: copy the file itself"
        case FileType.PIPE | FileType.SOCKET | FileType.DEVICE | FileType.UNKNOWN | FileType.REGULAR:
            return f"it is {file_type}: copy an ordinary file"


def irregular_request(file_type: FileType) -> str:
    """Returns why a request that is not a regular file is not taken, and what to do."""
    return "it is a folder: a request is a file" if file_type is FileType.FOLDER else irregular(file_type)


def _not_obeyed(file_type: FileType) -> str:
    return f"not obeyed: it is {file_type}, and an order is an ordinary file (it may be empty)"


def _is_utf8(name: str) -> bool:
    """Whether a name is UTF-8: where Python stands in surrogates for bytes, no JSON could name such a file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _zip_advice(name: str) -> str:
    """Returns what to do with a file that would be a ZIP by another name, or "" for all others."""
    if _SPLIT_ZIP.fullmatch(name):
        return "not an ordinary ZIP (one part of several, or .zipx): pack the dataset as one .zip"
    return "not a ZIP by its name: let it end in .zip" if _NEARLY_ZIP.fullmatch(name) else ""


# orders


def order(name: str) -> Order | None:
    """Returns the order that a name is, in any case, or None for every other name."""
    if not _ORDER.fullmatch(name):
        return None
    if name.lower() == Verb.PAUSE:
        return Order(name, Verb.PAUSE)
    target, _, verb = name.rpartition(".")
    return Order(name, Verb(verb.lower()), _job_id(target))


def order_advice(name: str) -> str:
    """Returns what to call a file that is an order but for something at its end (``PAUSE.txt``), or
    "" for all others.
    """
    meant = name.strip()
    while not _ORDER.fullmatch(meant):
        mark = _COPY_MARK if _COPY_MARK.search(meant) else _LAST_SUFFIX
        shorter = mark.sub("", meant).strip()
        if shorter == meant:
            return ""
        meant = shorter
    if meant == name:
        return ""
    proper = PAUSE_NAME if meant.lower() == Verb.PAUSE else meant
    return f"not obeyed: call it {proper}, without {name.partition(meant)[2].strip() or 'spaces'}"


def _job_id(text: str) -> str:
    """Returns a job's id from one in any case: all of it is lower case but two letters of the time."""
    lowered = text.lower()
    return _JOB_TIME.sub(r"-\1T\2Z-", lowered) if _JOB_TIME.search(lowered) else text


# which names belong together


def stem(name: str) -> str:
    """Returns the name less its last suffix, in one Unicode form: a Mac sends decomposed letters, Windows composed
    ones.
    """
    return unicodedata.normalize("NFC", name.rpartition(".")[0])


def caseless(text: str) -> str:
    """Returns the form in which names are compared: letters as Unicode's canonical caseless
    matching has them (D145).
    """
    folded = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFC", folded)


def key(name: str) -> str:
    """Returns what the names of an input and its request have in common, see :func:`request_name`."""
    return caseless(stem(name))


def request_name(input_name: str) -> str:
    """Returns the name that an input's request should have: ``NAME.json`` for ``NAME.zip`` or ``NAME.jpg``, and
    ``NAME.request.json`` where the input is ``NAME.json`` itself.
    """
    stem, _, suffix = input_name.rpartition(".")
    return f"{stem}.request.json" if suffix.lower() == "json" else f"{stem}.json"


def input_key(input_name: str) -> str:
    """Returns the key of an input's request."""
    return key(request_name(input_name))


def conflict_free(name: str) -> str:
    """Returns the name without a sync tool's mark of a conflict copy, or as it is where there is none."""
    return _CONFLICT.sub("", name).rstrip() if _CONFLICT.search(name) else name


def whole_of(name: str) -> str | None:
    """Returns the name of the file that one in progress (``NAME.zip.aria2``) belongs to, or None for other names."""
    found = _PART.fullmatch(name) if _TEMPORARY.search(name) else None
    return found["whole"] if found else None
