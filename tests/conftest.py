"""Puts this folder on the path, so that every test can ``import builders``."""

import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# how long an example takes is the machine's business: a busy one would fail tests that find nothing
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _denormals_back() -> Iterator[None]:
    """Training flushes denormals, a state of the whole process: other tests compute with them."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


@pytest.fixture
def tiny_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs build a model of a few hundred parameters; the number of threads, which they set, is put back."""
    import torch  # noqa: PLC0415  (many tests do without)

    from builders.networks import build_tiny_model  # noqa: PLC0415
    from segdrop.training import run  # noqa: PLC0415

    before = torch.get_num_threads()
    monkeypatch.setattr(run, "build_model", build_tiny_model)
    yield
    torch.set_num_threads(before)
