import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from segdrop import weights_files
from segdrop.errors import UnavailableError

CONTENT = bytes(range(256)) * 12_000  # three blocks
GOOD = f"model-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
WRONG = "model-00000000.pth"


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT under the names above, cuts /cut/ short, and knows nothing else."""

    def do_GET(self) -> None:
        folder, _, name = self.path.lstrip("/").rpartition("/")
        if name not in (GOOD, WRONG):
            self.send_error(404)
            return
        self.send_response(200)
        if folder != "unannounced":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2] if folder in ("cut", "unannounced") else CONTENT)
        requests.append(self.path)

    def log_message(self, *_arguments: object) -> None:
        pass


requests: list[str] = []


@pytest.fixture
def url() -> Iterator[str]:
    requests.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_fetched_file_is_whole_and_progress_is_told(url: str, models_dir: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = weights_files.fetch(
        GOOD, models_dir, base_url=url, on_progress=lambda done, total: told.append((done, total))
    )
    assert path == models_dir / GOOD
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert [entry.name for entry in models_dir.iterdir()] == [GOOD]


def test_file_that_is_there_is_never_fetched_again(url: str, models_dir: Path) -> None:
    weights_files.fetch(GOOD, models_dir, base_url=url)
    weights_files.fetch(GOOD, models_dir, base_url=url)
    assert requests == [f"/{GOOD}"]


def test_damaged_file_is_replaced(url: str, models_dir: Path) -> None:
    (models_dir / GOOD).write_bytes(CONTENT[:-1])
    assert weights_files.fetch(GOOD, models_dir, base_url=f"{url}/").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("folder", "name", "reason"),
    [
        ("", WRONG, "SHA-256"),
        ("cut", GOOD, f"of {len(CONTENT)} bytes"),
        ("unannounced", GOOD, "SHA-256"),
        ("", "absent-11111111.pth", "404"),
    ],
)
def test_whatever_is_not_the_announced_file_is_refused_and_leaves_nothing(
    url: str, models_dir: Path, folder: str, name: str, reason: str
) -> None:
    with pytest.raises(UnavailableError, match=reason) as caught:
        weights_files.fetch(name, models_dir, base_url=f"{url}/{folder}")
    assert caught.value.code == "weights.unavailable"
    assert list(models_dir.iterdir()) == []


def test_failed_fetch_keeps_the_file_that_was_there(url: str, models_dir: Path) -> None:
    (models_dir / GOOD).write_bytes(b"old")
    with pytest.raises(UnavailableError):
        weights_files.fetch(GOOD, models_dir, base_url=f"{url}/cut")
    assert (models_dir / GOOD).read_bytes() == b"old"


def test_server_that_is_not_there_is_said_so(models_dir: Path) -> None:
    with pytest.raises(UnavailableError, match="http://127"):
        weights_files.fetch(GOOD, models_dir, base_url="http://127.0.0.1:9/", timeout_seconds=5)
    assert list(models_dir.iterdir()) == []


def test_only_http_is_fetched(models_dir: Path, tmp_path: Path) -> None:
    (tmp_path / GOOD).write_bytes(CONTENT)
    with pytest.raises(UnavailableError, match="not an http"):
        weights_files.fetch(GOOD, models_dir, base_url=f"file://{tmp_path}/")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TORCH_HOME": "/t", "XDG_CACHE_HOME": "/x"}, "/t/hub/checkpoints"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/torch/hub/checkpoints"),
        ({}, str(Path("~/.cache/torch/hub/checkpoints").expanduser())),
    ],
)
def test_models_come_before_the_cache_of_torch_hub(environ: dict[str, str], expected: str) -> None:
    assert weights_files.search_dirs(Path("/models"), environ) == [Path("/models"), Path(expected)]


def test_first_folder_that_has_the_file_wins(tmp_path: Path) -> None:
    dirs = [tmp_path / name for name in ("missing", "one", "two")]
    for folder in dirs[1:]:
        folder.mkdir()
        (folder / "a.pth").touch()
    assert weights_files.find("a.pth", dirs) == dirs[1] / "a.pth"
    assert weights_files.find_all("a.pth", dirs) == [dirs[1] / "a.pth", dirs[2] / "a.pth"]
    assert weights_files.find("b.pth", dirs) is None


@pytest.mark.parametrize("name", ["../secret.pth", "/etc/passwd", "sub/a.pth", "..", ""])
def test_name_never_leads_out_of_the_folders(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.pth").touch()
    (tmp_path / "models" / "sub").mkdir(parents=True)
    (tmp_path / "models" / "sub" / "a.pth").touch()
    assert weights_files.find(name, [tmp_path / "models"]) is None


def test_name_without_a_hash_matches_anything() -> None:
    assert weights_files.matches_name("ab" * 32, "own.pth")
    assert weights_files.matches_name("ab" * 32, "own-abababab.pth")
    assert not weights_files.matches_name("ab" * 32, "own-cdcdcdcd.pth")
