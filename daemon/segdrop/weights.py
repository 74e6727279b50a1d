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
from typing import BinaryIO

from segdrop import durable
from segdrop.errors import UnavailableError

BASE_URL = "https://download.pytorch.org/models/"
_BLOCK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 60
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")

OnProgress = Callable[[int, int | None], None]


def search_dirs(models_dir: Path, environ: Mapping[str, str] | None = None) -> list[Path]:
    """``models/`` first, then the cache of torch.hub, by its own rules (torch/hub.py, ``_get_torch_home``)."""
    environ = os.environ if environ is None else environ
    cache_home = Path(environ.get("XDG_CACHE_HOME") or "~/.cache")
    torch_home = Path(environ.get("TORCH_HOME") or cache_home / "torch")
    return [models_dir, _expanded(torch_home) / "hub" / "checkpoints"]


def _expanded(path: Path) -> Path:
    """``~`` resolved; as it is where the user has no home (a service account may have none)."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def find_all(name: str, dirs: Sequence[Path]) -> list[Path]:
    """Every file of that name, in the order of the folders. A name with a folder in it finds nothing."""
    if Path(name).name != name:
        return []
    return [folder / name for folder in dirs if (folder / name).is_file()]


def find(name: str, dirs: Sequence[Path]) -> Path | None:
    """The first file of that name, unchecked."""
    return next(iter(find_all(name, dirs)), None)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
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
    """Download a published file into ``models/``, where it appears whole and checked, or not at all.

    A file that is there already and matches its name is kept. ``UnavailableError`` where the server cannot be
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
        code = "disk.full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "root.unavailable"
        raise UnavailableError(code, f"{target}: {error.strerror or error}") from error
    except BaseException:
        _sweep(target)
        raise
    return target


def _sweep(target: Path) -> None:
    """Remove what a failed download left; the reason it failed is worth more than a failure to tidy up."""
    with suppress(OSError):
        durable.remove(target.with_name(target.name + ".tmp"))


def _address(base_url: str, name: str) -> str:
    url = base_url.rstrip("/") + "/" + urllib.parse.quote(name)
    try:
        scheme = urllib.parse.urlsplit(url).scheme
    except ValueError as error:
        raise UnavailableError("weights.unavailable", f"{url}: {error}") from error
    if scheme not in ("http", "https"):
        raise UnavailableError("weights.unavailable", f"{url} is not an http(s) address")
    return url


def _download(url: str, name: str, target: BinaryIO, on_progress: OnProgress | None, timeout_seconds: float) -> None:
    """Stream the body into ``target``, and make sure of it before anybody gives the file its name."""
    import http.client  # noqa: PLC0415  (see the module's docstring)
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    def unavailable(error: Exception) -> UnavailableError:
        return UnavailableError("weights.unavailable", f"{url}: {getattr(error, 'reason', None) or error}")

    digest, received = hashlib.sha256(), 0
    try:
        response = urllib.request.urlopen(url, timeout=timeout_seconds)  # noqa: S310  (scheme checked)
    except urllib.error.HTTPError as error:
        error.close()
        raise UnavailableError("weights.unavailable", f"{url}: {error.code} {error.reason}") from error
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
        raise UnavailableError("weights.unavailable", f"{url}: it ended after {received} of {expected} bytes")
    if not matches_name(digest.hexdigest(), name):
        message = f"{url}: its SHA-256 is {digest.hexdigest()}, not the one in its name"
        raise UnavailableError("weights.unavailable", message)
