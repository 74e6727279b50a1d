"""The processor as Linux describes it. No torch; predict.py in a result carries this module's text."""

from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
#: Native bf16 arithmetic. AVX-512 without it emulates bf16, 3-4 times slower than fp32 (oneDNN, "Data Types").
_NATIVE_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def native_bf16_flags(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """Returns the flags by which the CPU says that it computes in bf16 natively; none where there is no such file."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    flags = next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
    return _NATIVE_BF16_FLAGS.intersection(flags.split())


def has_native_bf16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the CPU says that it computes in bf16 natively. Not, where it says nothing: slower, and never wrong."""
    return bool(native_bf16_flags(cpuinfo))
