"""The filesystem that holds a folder: network mounts give no events and settle more slowly.

/proc/self/mountinfo is described in proc(5).
"""

import re
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")
_NETWORK = re.compile(r"^(nfs4?|cifs|smb3?|smbfs|ncpfs|9p|afs|ceph|lustre|glusterfs|virtiofs|fuse\..*|fuse)$")
#: An NFS client may show attributes this old (acregmin 3 s, acdirmin 30 s by default; half of the latter is
#: more than any writer that is still at work keeps still).
NETWORK_SETTLE_SECONDS = 15.0


def type_of(folder: Path, mountinfo: Path = _MOUNTINFO) -> str | None:
    """Returns the type of the innermost mount above ``folder``, or None where the system does not tell."""
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    target, best, found = folder.resolve(), -1, None
    for line in lines:
        left, separator, right = line.partition(" - ")
        fields = left.split()
        if not separator or len(fields) < 5:  # noqa: PLR2004  (the mount point is the fifth)
            continue
        mount_point = Path(_unescaped(fields[4]))
        if target.is_relative_to(mount_point) and len(mount_point.parts) >= best:
            best, found = len(mount_point.parts), right.split()[0]
    return found


def is_network(filesystem: str | None) -> bool:
    """Whether a type of filesystem is that of a network mount."""
    return filesystem is not None and _NETWORK.match(filesystem) is not None


def _unescaped(text: str) -> str:
    """Returns a path from mountinfo, in which spaces and such are octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)
