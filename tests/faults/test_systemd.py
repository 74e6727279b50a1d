"""The service under a real systemd, with its whole hardening and real training."""

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.daemons import wait_until
from builders.requirements import require, require_program, require_root
from builders.sandbox import APP, ENVIRONMENT_FILE, ROOT, SCRIPT, Sandbox, Unit
from segdrop.dataset.demo import write_demo
from segdrop.errors import Exit

pytestmark = pytest.mark.faults

#: seconds; a training child takes long to start where the machine is slow and busy
_TRAINING_SECONDS = 240.0
_REQUEST = {"image_size": 32, "epochs": 1, "batch_size": 3, "augmentation": "none"}


@pytest.fixture(scope="module", autouse=True)
def _requirements() -> None:
    require_root()
    require_program("unshare", "nsenter", "setpriv", "systemctl", "journalctl", "make")
    require(Path("/lib/systemd/systemd").exists(), "systemd is not installed (tests/faults/install-packages.sh)")
    require(sys.prefix != sys.base_prefix, "the tests run outside a virtual environment")
    trial = subprocess.run(
        ["unshare", "--fork", "--pid", "--mount", "--net", "--cgroup", "true"], capture_output=True, check=False
    )
    require(trial.returncode == 0, f"no namespaces: {trial.stderr.decode().strip()}")
    hierarchy = next((p for p in map(Path, ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")) if p.is_dir()), None)
    require(hierarchy and os.statvfs(hierarchy).f_flag & os.ST_RDONLY == 0, "cgroups cannot be written")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox.booted(tmp_path_factory.mktemp("sandbox") / "storage") as booted:
        yield booted


@pytest.fixture
def unit(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Unit]:
    sandbox.fresh_root()
    service = Unit(sandbox)
    yield service
    print(service.journal()[-6000:])  # shown by pytest where the test failed
    service.discard()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "tiny.zip"
    write_demo(path, count=6, size=32)
    return path


def finished(sandbox: Sandbox, archive: Path) -> dict[str, object]:
    answer = wait_until(lambda: sandbox.answer(archive), f"an answer to {archive.name}", _TRAINING_SECONDS)
    wait_until(lambda: not sandbox.job(), "the job archived")
    return answer


ONE_GROUP = {
    ".": "segdrop:segdrop 755",
    "inbox": "segdrop:segdrop 3770",
    "work": "segdrop:segdrop 700",
    "outbox": "segdrop:segdrop 2750",
    "failed": "segdrop:segdrop 2750",
    "done": "segdrop:segdrop 700",
    "models": "segdrop:segdrop 700",
}
TWO_GROUPS = ONE_GROUP | {
    ".": "segdrop:segdrop-users 755",
    "inbox": "segdrop:segdrop-users 3770",
    "work": "segdrop:segdrop-users 2700",
    "outbox": "segdrop:segdrop-users 2750",
    "failed": "segdrop:segdrop-users 2750",
    "models": "root:segdrop 750",
}


def access(sandbox: Sandbox) -> dict[str, str]:
    """Owners and modes of the root and its folders."""
    lines = sandbox.run("sh", "-c", f"cd {ROOT} && stat --format='%n/%U:%G %a' . *").splitlines()
    found = dict(line.split("/") for line in lines)
    return {name: value for name, value in found.items() if name in ONE_GROUP}


def test_install_makes_a_root_of_its_own_and_a_unit_without_warnings(sandbox: Sandbox) -> None:
    assert sandbox.run("systemd-analyze", "verify", "segdrop.service") == ""
    assert sandbox.complete("systemd-analyze", "verify", "segdrop.service").stderr == ""
    overall = sandbox.run("systemd-analyze", "security", "--no-pager", "--threshold=10", "segdrop.service")
    assert "Overall exposure level" in overall
    assert access(sandbox) == ONE_GROUP
    assert sandbox.run("stat", "--format=%a", ENVIRONMENT_FILE).strip() == "600"
    assert sandbox.exists(f"{ROOT}/.segdrop-root")
    assert "ready" in sandbox.as_service("segdrop", "init", ROOT)
    assert f'root = "{ROOT}"' in sandbox.run("segdrop", "config"), "the commands know the root without being told"


def test_a_job_is_trained_under_the_whole_hardening(sandbox: Sandbox, unit: Unit, archive: Path) -> None:
    unit.start()
    sandbox.drop(archive, _REQUEST)
    job = unit.wait_for("job.started")
    status = wait_until(lambda: "epoch 1/1" in (text := unit.show("StatusText")) and text, "the epoch in the status")
    assert f"training {job['job']} epoch 1/1; 0 queued, 0 in the inbox" in status
    owner = sandbox.run("id", "--user", "segdrop").strip()
    for pid in (unit.pid, job["pid"]):
        process = unit.process(pid)
        confined = {key: process[key] for key in ("NoNewPrivs", "Seccomp", "CapBnd", "CapEff")}
        assert confined == {"NoNewPrivs": "1", "Seccomp": "2", "CapBnd": "0" * 16, "CapEff": "0" * 16}
        assert set(process["Uid"].split()) == {owner}
    adjustment = [int(sandbox.run("cat", f"/proc/{pid}/oom_score_adj")) for pid in (unit.pid, job["pid"])]
    assert adjustment[1] > adjustment[0], "short of memory, the kernel would take the daemon first"
    answer = finished(sandbox, archive)
    assert answer["status"] == "succeeded"
    result = sandbox.layout.published_zip(str(answer["job"])).stat()
    assert (str(result.st_uid), stat.S_IMODE(result.st_mode)) == (owner, 0o640)
    assert sandbox.layout.metrics.exists()
    assert "running" in sandbox.run("segdrop", "health")
    assert unit.show("NRestarts") == "0"


def test_active_means_that_the_jobs_were_recovered(sandbox: Sandbox, unit: Unit) -> None:
    stuck = sandbox.layout.work / "stuck-20261121T061500Z-0001" / "job.json"
    stuck.parent.mkdir()
    stuck.parent.chmod(0o777)
    os.mkfifo(stuck)
    stuck.chmod(0o666)  # recovery reads every manifest: here, it waits for somebody to write one
    unit.systemctl("start", "--no-block", "segdrop")
    unit.wait_for("daemon.started")
    assert unit.show("ActiveState") == "activating"
    with stuck.open("w") as manifest:
        manifest.write("{")
    wait_until(lambda: unit.show("ActiveState") == "active", "the unit active")
    assert not stuck.parent.exists()


def test_a_job_survives_kill_9_of_its_child_and_of_the_daemon(sandbox: Sandbox, unit: Unit, archive: Path) -> None:
    unit.start()
    daemon = unit.pid
    sandbox.drop(archive, _REQUEST | {"epochs": 3})
    unit.wait_for("checkpoint.saved")
    sandbox.run("kill", "-KILL", str(unit.events("job.started")[0]["pid"]))
    unit.wait_for("child.crashed")
    assert unit.pid == daemon, "a child takes nobody with it"
    unit.wait_for("job.started", 2)
    unit.wait_for("checkpoint.saved", 2)
    sandbox.run("kill", "-KILL", str(daemon))
    unit.wait_for_restart(daemon)
    assert int(unit.show("NRestarts")) >= 1
    answer = finished(sandbox, archive)
    assert answer["status"] == "succeeded"
    assert answer["attempts"] == 3
    epochs = [event["epoch"] for event in unit.events("epoch.finished")]
    assert sorted(set(epochs)) == [1, 2, 3]
    assert epochs.count(1) == 1, "what the first checkpoint holds was trained again"


def test_a_stop_leaves_a_job_that_goes_on_at_the_next_start(sandbox: Sandbox, unit: Unit, archive: Path) -> None:
    unit.start()
    sandbox.drop(archive, _REQUEST | {"epochs": 2})
    wait_until(lambda: unit.events("epoch.finished"), "an epoch")
    unit.stop()
    assert unit.show("Result") == "success"
    assert unit.show("ExecMainStatus") == "0"
    journal = unit.journal()
    assert "SIGKILL" not in journal
    assert "timed out" not in journal
    manifest = sandbox.job()
    assert manifest["state"] == "running"
    assert manifest["attempts"]["fruitless"] == 0, "the stop was held against the job"
    assert sandbox.layout.job(manifest["id"]).checkpoint.exists()
    unit.start()
    assert finished(sandbox, archive)["status"] == "succeeded"
    assert [event["epoch"] for event in unit.events("epoch.finished")].count(1) == 1


def test_the_watchdog_starts_a_frozen_daemon_again(sandbox: Sandbox, unit: Unit) -> None:
    unit.configure({}, "[Service]\nWatchdogSec=6\nRestartSec=1\n")
    unit.start()
    frozen = unit.pid
    sandbox.run("kill", "-STOP", str(frozen))
    unit.wait_for_restart(frozen)
    journal = unit.journal()
    assert "Watchdog timeout" in journal
    assert "Fatal Python error: Aborted" in journal, "the journal does not say where it was frozen"
    wait_until(lambda: sandbox.complete("segdrop", "health").returncode == 0, "good health")


def test_a_root_of_version_01_is_mended_by_the_service_as_far_as_it_may_and_by_install_in_full(
    sandbox: Sandbox, unit: Unit, archive: Path
) -> None:
    sandbox.run("sh", "-c", f"chmod 2770 {ROOT} {ROOT}/*/ && chmod 660 {ROOT}/.segdrop-root")
    unit.start()
    mended = {Path(event["path"]).name for event in unit.events("root.mended")}
    assert {"work", "outbox", "failed", "done", "models"} <= mended
    (left,) = unit.events("root.not_mended")
    assert left["command"] == f"chmod 03770 {ROOT}/inbox", "the unit may not set setgid bits"
    assert sandbox.complete("segdrop", "doctor").returncode == Exit.TRY_LATER
    assert left["command"] in sandbox.complete("env", "COLUMNS=400", "segdrop", "doctor").stdout
    sandbox.drop(archive, _REQUEST)
    assert finished(sandbox, archive)["status"] == "succeeded"
    said = sandbox.install()
    assert f"mended {ROOT}/inbox: 2770, now 3770" in said
    closed = {name: value for name, value in ONE_GROUP.items() if name not in (".", "outbox", "failed")}
    assert closed.items() <= access(sandbox).items()
    assert "mended" not in sandbox.install()
    unit.stop()
    unit.start()
    assert len(unit.events("root.not_mended")) == 1


def test_the_journal_knows_errors_from_other_lines(sandbox: Sandbox, unit: Unit, archive: Path) -> None:
    unit.start()
    sandbox.run("chown", "root:root", f"{ROOT}/failed")
    sandbox.run("chmod", "0755", f"{ROOT}/failed")
    (sandbox.layout.inbox / "text.zip").write_text("this is no ZIP, and is answered so")
    assert wait_until(lambda: unit.events("queue.paused", "--priority=err"), "the error")
    assert unit.events("daemon.started")
    assert not unit.events("daemon.started", "--priority=err")
    wait_until(lambda: unit.show("StatusText").startswith("paused: "), "the status")
    assert unit.show("ActiveState") == "active", "a folder's fault does not end the daemon"
    wait_until(lambda: sandbox.complete("segdrop", "health").returncode == Exit.TRY_LATER, "bad health")
    sandbox.run("chown", "segdrop:segdrop", f"{ROOT}/failed")
    unit.wait_for("job.rejected")


def test_wrong_settings_are_not_tried_again(unit: Unit) -> None:
    unit.configure({"SEGDROP_INTAKE__SETTLE_SECONDZ": "5"}, "[Service]\nRestartSec=100ms\n")
    unit.systemctl("start", "segdrop", check=False)
    assert unit.show("ActiveState") == "failed"
    assert unit.show("ExecMainStatus") == str(int(Exit.CONFIG))
    assert unit.show("NRestarts") == "0"
    assert "did you mean SEGDROP_INTAKE__SETTLE_SECONDS?" in unit.journal()


def test_a_root_that_is_not_mounted_is_left_empty_until_it_is(sandbox: Sandbox, unit: Unit) -> None:
    unit.configure({}, "[Service]\nRestartSec=500ms\n")
    sandbox.unmount_root()
    unit.systemctl("start", "--no-block", "segdrop")
    wait_until(lambda: int(unit.show("NRestarts")) >= 2, "a second try")
    assert f"status={Exit.TRY_LATER:d}/" in unit.journal()
    assert "not mounted" in unit.journal("--priority=err")
    assert sandbox.run("ls", "-A", ROOT) == "", "something was made below the mount point"
    sandbox.mount_root()
    wait_until(lambda: unit.show("ActiveState") == "active", "the start with the share")


def test_a_share_that_comes_later_brings_the_service(sandbox: Sandbox, unit: Unit) -> None:
    unit.systemctl("enable", "segdrop")
    sandbox.unmount_root()
    sandbox.mount_root()
    wait_until(lambda: unit.show("ActiveState") == "active", "the service")
    unit.systemctl("disable", "segdrop")


def test_people_with_a_group_of_their_own_drop_and_read_and_nothing_else(tmp_path: Path, archive: Path) -> None:
    with Sandbox.booted(tmp_path / "storage", people="segdrop-users") as sandbox:
        for name, group in (("alice", "segdrop-users"), ("bob", "segdrop-users"), ("mallory", "nogroup")):
            sandbox.run("useradd", "--no-create-home", "--user-group", "--groups", group, name)
        assert access(sandbox) == TWO_GROUPS
        unit = Unit(sandbox)
        unit.start()
        shutil.copyfile(archive, sandbox.layout.root / archive.name)  # seen inside through the shared folder
        sandbox.run("chmod", "644", f"/mnt/storage/{archive.name}")
        request = f"printf %s {shlex.quote(json.dumps(_REQUEST))} > inbox/{archive.stem}.json"
        done = sandbox.attempt_as("alice", f"{request} && cp /mnt/storage/{archive.name} inbox/")
        assert done.returncode == 0, done.stderr
        job = wait_for_answer(sandbox, "bob")
        for command in (f"cat outbox/{job}.json outbox/{job}.zip >/dev/null", "cat outbox/status.json metrics.prom"):
            assert sandbox.attempt_as("bob", command).returncode == 0
            assert sandbox.attempt_as("mallory", command).returncode != 0
        for command in ("ls work", "ls done", "ls models", "touch outbox/x", "touch failed/x", "touch x"):
            assert "Permission denied" in sandbox.attempt_as("alice", command).stderr
        assert unit.events("root.mended") + unit.events("root.not_mended") == []
        assert "as it should be in a shared root" in sandbox.run("segdrop", "doctor", check=False)
        assert "mended" not in sandbox.install(), "an upgrade keeps the people's group"
        assert access(sandbox) == TWO_GROUPS
        unit.discard()


def wait_for_answer(sandbox: Sandbox, reader: str) -> str:
    """The id of the first job that somebody sees an answer to."""
    script = "ls outbox | grep -v status.json | grep json"
    found = wait_until(lambda: sandbox.attempt_as(reader, script).stdout, "an answer", _TRAINING_SECONDS)
    return found.strip().removesuffix(".json")


def test_uninstall_leaves_data_and_changed_settings(tmp_path: Path) -> None:
    with Sandbox.booted(tmp_path / "storage") as sandbox:
        sandbox.write(ENVIRONMENT_FILE, "SEGDROP_LOG__LEVEL=debug\n")
        sandbox.run("systemctl", "enable", "--now", "segdrop")
        assert "left, because it was changed: /etc/segdrop" in sandbox.make("uninstall")
        assert sandbox.complete("systemctl", "is-active", "segdrop").stdout.strip() == "inactive"
        assert sandbox.complete("systemctl", "cat", "segdrop").returncode != 0
        assert not sandbox.exists(APP)
        assert sandbox.exists(f"{ROOT}/.segdrop-root")
        assert sandbox.run("ls", "/etc/segdrop") == "segdrop.env\n"


def test_the_sandbox_explains_itself() -> None:
    assert "systemd-sandbox start" in subprocess.run([SCRIPT], capture_output=True, text=True, check=False).stdout
