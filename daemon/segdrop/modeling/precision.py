"""The host that computes: its device, number of threads, and number format."""

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.modeling.calibration import Calibration, calibrate
from segdrop.processor import has_native_bf16

Precision = Literal["fp32", "bf16"]

CPU = torch.device("cpu")
_CPUINFO = Path("/proc/cpuinfo")
_CGROUP = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Host:
    """The device, the threads and the number format that training computes with."""

    precision: Precision
    threads: int
    calibration: Calibration | None = None  #: why, where it was chosen by measurement
    device: torch.device = CPU

    @property
    def name(self) -> str:
        """A name of all that measurements on it depend on, whatever is measured."""
        name = host_name(self.threads)
        return name if self.device == CPU else f"{torch.cuda.get_device_name(self.device)}, {name}"

    @property
    def dtype(self) -> torch.dtype:
        """The type of convolutions and matrix products."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def autocast(self) -> AbstractContextManager[object]:
        """Returns the context in which layers compute in the number format."""
        return torch.autocast(self.device.type, self.dtype) if self.precision == "bf16" else nullcontext()

    def place(self, tensor: Tensor) -> Tensor:
        """Returns a tensor on the device; on the CPU, the tensor itself."""
        return tensor.to(self.device, non_blocking=True)


def prepare_host(
    requested: Literal["auto", "fp32", "bf16"],
    threads: int,
    recall: Callable[[str], Calibration | None] | None = None,
    device: torch.device = CPU,
) -> Host:
    """Chooses how to compute and sets torch up for it. ``threads`` 0 are as many as this process may use.

    ``auto`` without native bf16 is fp32. With it, a CPU is calibrated, unless ``recall`` knows what came out before.
    The same bits for the same seed are a CPU's alone: on a GPU, the losses over pixels have no deterministic kernels.
    """
    threads = threads or available_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(mode=device == CPU)
    # deterministic mode also clears every fresh tensor, which costs time and is only about reading garbage
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if requested != "auto":
        return Host(requested, threads, device=device)
    if device != CPU:
        is_native = torch.cuda.is_bf16_supported(including_emulation=False)
        return Host("bf16" if is_native else "fp32", threads, device=device)
    if not has_native_bf16():
        return Host("fp32", threads)
    calibration = (recall(host_name(threads)) if recall else None) or calibrate()
    return Host("bf16" if calibration.favours_bf16 else "fp32", threads, calibration)


def choose_device(requested: Literal["cpu", "cuda", "auto"]) -> torch.device:
    """Returns the device of a request; raises ``DataError`` where CUDA was asked for and there is none."""
    if requested == "cpu" or (requested == "auto" and not torch.cuda.is_available()):
        return CPU
    if not torch.cuda.is_available():
        raise DataError([Issue.of(Code.REQUEST_NO_GPU, f"torch {torch.__version__} finds no CUDA device")])
    return torch.device("cuda", torch.cuda.current_device())


def host_name(threads: int) -> str:
    """Returns a name of all that measurements on the CPU depend on."""
    return f"{threads} threads, {cpu_name()}, torch {torch.__version__}"


def cpu_name(cpuinfo: Path = _CPUINFO) -> str:
    """Returns the model name of the CPU, or its kind where the system does not say more."""
    for line in _lines(cpuinfo):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def available_threads(cgroup: Path = _CGROUP, membership: Path = _MEMBERSHIP) -> int:
    """Counts the CPUs in the affinity mask, up to the cgroup's quota; the machine's count would oversubscribe both."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else torch.get_num_threads()
    quotas = [quota for quota in (_quota_v2(cgroup, membership), _quota_v1(cgroup, membership)) if quota]
    return max(1, min([allowed, *(int(quota) for quota in quotas)]))


def _quota_v2(cgroup: Path, membership: Path) -> float | None:
    """Returns the least quota of this process's cgroup and those above it, in CPUs."""
    quotas = []
    for folder in _own_groups(cgroup, membership, controller=""):
        limit, _, period = _text(folder / "cpu.max").partition(" ")
        if limit.isdigit() and period.strip().isdigit():
            quotas.append(int(limit) / int(period))
    return min(quotas, default=None)


def _quota_v1(cgroup: Path, membership: Path) -> float | None:
    quotas = []
    for folder in _own_groups(cgroup / "cpu", membership, controller="cpu"):
        limit, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if limit.isdigit() and period.isdigit() and int(period):
            quotas.append(int(limit) / int(period))
    return min(quotas, default=None)


def _own_groups(top: Path, membership: Path, controller: str) -> Iterator[Path]:
    """Yields this process's cgroup and those above it, as mounted at ``top`` (cgroups(7), /proc/[pid]/cgroup)."""
    own = ""
    for line in _lines(membership):
        _number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controller in controllers.split(","):
            own = path.strip().strip("/")
    folder = top / own
    while folder.is_relative_to(top):
        yield folder
        if folder == top:
            return
        folder = folder.parent


def _lines(path: Path) -> list[str]:
    return _text(path).splitlines()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
