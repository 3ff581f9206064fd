"""What all tests share: one thread each, no network, measurements of their own, and the one door to real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A test says the same of the same code whenever it is run; `pytest --hypothesis-profile default` searches further.
settings.register_profile("reproducible", derandomize=True, print_blob=True)
settings.load_profile("reproducible")

ROOT = Path(__file__).resolve().parent.parent
# What is measured of this machine is measured once for all tests, and never written where a user's measurements stand.
os.environ["LUTHIER_CACHE"] = str(ROOT / ".pytest_cache" / "luthier")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and models; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("LUTHIER_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("real data is not here (set LUTHIER_SHARED to its folder)")
    return folder
