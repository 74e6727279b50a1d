"""Weights files: where they are looked for, how they are made sure of, how the operator fetches them. No torch.

A published file carries the head of its SHA-256 in its name (``NAME-<8 hex>.pth``). torch.hub compares it only
while it downloads; here it is compared whenever a file is used, because copies get cut short too.

The daemon imports this module to know where weights are, so what only a download needs (HTTP, TLS, a megabyte or
more of memory) is imported there.
"""

import errno
import hashlib
import os
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO

from segdrop import architectures, durable
from segdrop.codes import Code
from segdrop.errors import UnavailableError

BASE_URL = "https://download.pytorch.org/models/"
_BLOCK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 60
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")

OnProgress = Callable[[int, int | None], None]


def search_dirs(models_dir: Path, environ: Mapping[str, str] | None = None) -> list[Path]:
    """Returns the folders to search: ``models/``, then torch.hub's cache (torch/hub.py, ``_get_torch_home``)."""
    environ = os.environ if environ is None else environ
    cache_home = Path(environ.get("XDG_CACHE_HOME") or "~/.cache")
    torch_home = Path(environ.get("TORCH_HOME") or cache_home / "torch")
    return [models_dir, _expanded(torch_home) / "hub" / "checkpoints"]


def _expanded(path: Path) -> Path:
    """Resolves ``~``; leaves it where the user has no home, as a service account may have none."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def find_all(name: str, dirs: Sequence[Path]) -> list[Path]:
    """Returns every file of a name, in the order of the folders. A name with a folder in it finds nothing."""
    if Path(name).name != name:
        return []
    return [folder / name for folder in dirs if (folder / name).is_file()]


def find(name: str, dirs: Sequence[Path]) -> Path | None:
    """Returns the first file of a name, unchecked; None if there is none."""
    return next(iter(find_all(name, dirs)), None)


def candidates(pretrained: str, architecture: str, dirs: Sequence[Path]) -> list[Path]:
    """Returns the files that a request's ``pretrained`` can lead to, in the order in which they are tried."""
    if pretrained == "none":
        return []
    if pretrained != "auto":
        return find_all(pretrained, dirs)[:1]
    return [
        path for file in architectures.ARCHITECTURES[architecture].weights for path in find_all(file.file_name, dirs)
    ]


def resolve(pretrained: str, architecture: str, dirs: Sequence[Path]) -> str | None:
    """Returns the SHA-256 of the file that a request's ``pretrained`` leads to; None for random weights.

    Reads the files, 160 MB and more. Raises ``OSError`` where one cannot be read, or none has the name asked for.
    """
    paths = candidates(pretrained, architecture, dirs)
    if pretrained not in ("none", "auto"):
        if not paths:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), pretrained)
        return sha256(paths[0])
    for path in paths:
        digest = sha256(path)
        if matches_name(digest, path.name):
            return digest
    return None


def state(pretrained: str, architecture: str, dirs: Sequence[Path]) -> str:
    """Returns a mark of the files that :func:`resolve` would look at, which is another after any change of them.

    Cheap: the files are not opened. Raises ``OSError`` where a folder cannot be looked into.
    """
    parts = []
    for path in candidates(pretrained, architecture, dirs):
        status = path.stat()
        parts.append(f"{path} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}")
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return sha256_of(stream)


def sha256_of(stream: IO[bytes]) -> str:
    """Returns the SHA-256 of the rest of a stream, in hexadecimal."""
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def matches_name(digest: str, name: str) -> bool:
    """Whether a SHA-256 begins as the file's name says; true for a name that says nothing."""
    found = _HASH_IN_NAME.search(name)
    return found is None or digest.startswith(found.group(1))


def has_hash(name: str) -> bool:
    """Whether a file's name carries the head of its SHA-256."""
    return _HASH_IN_NAME.search(name) is not None


def hash_matches(path: Path) -> bool:
    """Whether a file is what the hash in its name says; false for a name without one, which proves nothing."""
    return has_hash(path.name) and matches_name(sha256(path), path.name)


def fetch(
    name: str,
    models_dir: Path,
    *,
    base_url: str = BASE_URL,
    on_progress: OnProgress | None = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> Path:
    """Downloads a published file into ``models/``, where it appears whole and checked, or not at all.

    A file that is there already and matches its name is kept. Raises ``UnavailableError`` where the server cannot be
    reached, ends early, or sends something else, and where ``models/`` cannot be written.
    """
    target = models_dir / name
    if target.is_file() and matches_name(sha256(target), name):
        return target
    url = _address(base_url, name)
    try:
        durable.write(target, lambda stream: _download(url, name, stream, on_progress, timeout_seconds))
    except OSError as error:
        _sweep(target)
        code = Code.DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else Code.ROOT_UNAVAILABLE
        raise UnavailableError(code, f"{target}: {error.strerror or error}") from error
    except BaseException:
        _sweep(target)
        raise
    return target


def _sweep(target: Path) -> None:
    """Removes what a failed download left; the reason it failed is worth more than a failure to tidy up."""
    with suppress(OSError):
        durable.remove(target.with_name(target.name + ".tmp"))


def _address(base_url: str, name: str) -> str:
    url = base_url.rstrip("/") + "/" + urllib.parse.quote(name)
    try:
        scheme = urllib.parse.urlsplit(url).scheme
    except ValueError as error:
        raise UnavailableError(Code.WEIGHTS_UNAVAILABLE, f"{url}: {error}") from error
    if scheme not in ("http", "https"):
        raise UnavailableError(Code.WEIGHTS_UNAVAILABLE, f"{url} is not an http(s) address")
    return url


def _download(url: str, name: str, target: BinaryIO, on_progress: OnProgress | None, timeout_seconds: float) -> None:
    """Streams the body into ``target``, and makes sure of it before the file gets its name."""
    import http.client  # noqa: PLC0415  (see the module's docstring)
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    def unavailable(error: Exception) -> UnavailableError:
        return UnavailableError(Code.WEIGHTS_UNAVAILABLE, f"{url}: {getattr(error, 'reason', None) or error}")

    digest, received = hashlib.sha256(), 0
    try:
        response = urllib.request.urlopen(url, timeout=timeout_seconds)  # noqa: S310  (scheme checked)
    except urllib.error.HTTPError as error:
        error.close()
        raise UnavailableError(Code.WEIGHTS_UNAVAILABLE, f"{url}: {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise unavailable(error) from error
    with response:
        announced = response.headers.get("Content-Length")
        expected = int(announced) if announced and announced.isdigit() else None
        while True:
            try:
                block = response.read(_BLOCK_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise unavailable(error) from error
            if not block:
                break
            target.write(block)
            digest.update(block)
            received += len(block)
            if on_progress:
                on_progress(received, expected)
    if expected is not None and received != expected:
        raise UnavailableError(Code.WEIGHTS_UNAVAILABLE, f"{url}: it ended after {received} of {expected} bytes")
    if not matches_name(digest.hexdigest(), name):
        message = f"{url}: its SHA-256 is {digest.hexdigest()}, not the one in its name"
        raise UnavailableError(Code.WEIGHTS_UNAVAILABLE, message)
