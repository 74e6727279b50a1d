import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from segdrop.errors import DataError
from segdrop.modeling import calibration, precision
from segdrop.modeling.calibration import Calibration


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 sse", True),
        ("flags\t\t: fpu amx_tile amx_bf16", True),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni", False),
        ("model name\t: avx512_bf16 lookalike", False),
    ],
)
def test_bf16_is_chosen_only_where_the_cpu_computes_in_it_natively(tmp_path: Path, line: str, expected: bool) -> None:
    assert precision.has_native_bf16(write(tmp_path / "cpuinfo", f"processor\t: 0\n{line}\n")) is expected


def test_host_without_cpuinfo_gets_fp32(tmp_path: Path) -> None:
    assert precision.has_native_bf16(tmp_path / "missing") is False


def test_cpu_name_is_the_models(tmp_path: Path) -> None:
    assert precision.cpu_name(write(tmp_path / "cpuinfo", "model name\t: Some CPU @ 2 GHz\n")) == "Some CPU @ 2 GHz"


def threads(tmp_path: Path, allowed: int, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(precision.os, "sched_getaffinity", lambda _pid: set(range(allowed)))
    return precision.available_threads(tmp_path / "cgroup", tmp_path / "membership")


def test_threads_are_the_affinity_where_there_is_no_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "cgroup/cpu.max", "max 100000\n")
    assert threads(tmp_path, 6, monkeypatch) == 6


def test_threads_never_exceed_the_quota_of_any_group_above_v2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "membership", "0::/a/b\n")
    write(tmp_path / "cgroup/a/b/cpu.max", "max 100000\n")
    write(tmp_path / "cgroup/a/cpu.max", "350000 100000\n")
    write(tmp_path / "cgroup/other/cpu.max", "100000 100000\n")
    assert threads(tmp_path, 8, monkeypatch) == 3


def test_threads_never_exceed_the_quota_v1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "membership", "5:memory:/x\n4:cpu,cpuacct:/a\n")
    write(tmp_path / "cgroup/cpu/a/cpu.cfs_quota_us", "200000\n")
    write(tmp_path / "cgroup/cpu/a/cpu.cfs_period_us", "100000\n")
    write(tmp_path / "cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    write(tmp_path / "cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert threads(tmp_path, 8, monkeypatch) == 2


def test_quota_below_one_cpu_still_gives_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "cgroup/cpu.max", "50000 100000\n")
    assert threads(tmp_path, 8, monkeypatch) == 1


def test_bf16_host_computes_convolutions_in_bf16_and_fp32_host_does_not() -> None:
    images, weight = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3)
    for name, expected in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with precision.Host(name, 1).autocast():
            assert torch.nn.functional.conv2d(images, weight).dtype is expected


def test_named_precision_and_threads_win_over_the_hosts() -> None:
    before = torch.get_num_threads()
    try:
        assert precision.prepare_host("fp32", 1) == precision.Host("fp32", 1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def torch_as_it_was() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def forbidden() -> Calibration:
    raise AssertionError("nothing is to be measured")


@pytest.mark.usefixtures("torch_as_it_was")
def test_without_native_bf16_it_is_fp32_and_no_time_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_native_bf16", lambda: False)
    monkeypatch.setattr(precision, "calibrate", forbidden)
    assert precision.prepare_host("auto", 1) == precision.Host("fp32", 1)


@pytest.mark.usefixtures("torch_as_it_was")
@pytest.mark.parametrize(
    ("measured", "chosen"),
    [
        (Calibration(1.8, 0.003), "bf16"),
        (Calibration(0.9, 0.003), "fp32"),
        (Calibration(5.0, 0.3), "fp32"),
        (Calibration(5.0, float("nan")), "fp32"),
    ],
    ids=["faster", "slower", "wrong", "not a number"],
)
def test_with_native_bf16_what_was_measured_decides(
    monkeypatch: pytest.MonkeyPatch, measured: Calibration, chosen: str
) -> None:
    monkeypatch.setattr(precision, "has_native_bf16", lambda: True)
    monkeypatch.setattr(precision, "calibrate", lambda: measured)
    host = precision.prepare_host("auto", 1, recall=lambda _name: None)
    assert (host.precision, host.calibration) == (chosen, measured)
    monkeypatch.setattr(precision, "calibrate", forbidden)
    again = precision.prepare_host("auto", 1, recall=lambda _name: measured)
    assert again == host


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """What torch says of one; nothing can be computed there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Tensor Machine 7")
    yield torch.device("cuda", 0)
    torch.use_deterministic_algorithms(mode=True)


def test_a_gpu_is_used_where_the_request_allows_it(gpu: torch.device) -> None:
    assert precision.choose_device("cpu") == precision.CPU
    assert precision.choose_device("auto") == precision.choose_device("cuda") == gpu


def test_without_a_gpu_auto_is_the_cpu_and_a_gpu_asked_for_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert precision.choose_device("auto") == precision.CPU
    with pytest.raises(DataError) as caught:
        precision.choose_device("cuda")
    assert [issue.code for issue in caught.value.issues] == ["request.no_gpu"]


@pytest.mark.usefixtures("torch_as_it_was")
@pytest.mark.parametrize(("is_native", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_a_gpus_format_is_what_it_computes_natively_and_the_cpu_is_not_calibrated(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch, *, is_native: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: is_native)
    monkeypatch.setattr(precision, "calibrate", forbidden)
    host = precision.prepare_host("auto", 1, device=gpu)
    assert (host.precision, host.calibration, host.device) == (chosen, None, gpu)
    assert host.name.startswith("Tensor Machine 7, 1 threads")
    assert not torch.are_deterministic_algorithms_enabled(), "its losses over pixels would refuse to be computed"


def test_bf16_comes_out_within_its_rounding_and_both_formats_are_timed() -> None:
    before = torch.get_rng_state()
    measured = calibration.calibrate()
    assert 0 < measured.relative_error < 0.005
    assert measured.speedup > 0
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("entry", [{}, {"speedup": 2}, {"speedup": "fast", "relative_error": 0}, {"speedup": None}])
def test_what_was_not_written_by_us_is_measured_anew(entry: dict[str, Any]) -> None:
    assert calibration.read(entry) is None


def test_what_was_measured_is_read_back() -> None:
    measured = Calibration(1.5, 0.003)
    assert calibration.read(json.loads(json.dumps(asdict(measured)))) == measured
