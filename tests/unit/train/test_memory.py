"""The memory that training takes is what was foreseen, measured on a process of its own; `make prove` runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import json
import numpy as np, torch
torch.set_num_threads(1)
from luthier.methods import Full
from luthier.models.probe import probe
from luthier.objectives import Imitate
from luthier.text.batching import CutPlan
from luthier.text.rows import make_row
from luthier.train.allocator import held_bytes, keep_freed_memory
from luthier.train.costs import at_rest
from luthier.train.decide import Subject, decide, keeper_for
from luthier.train.loop import take_step
from luthier.train.optim import AdamW
from luthier.train.precision import Precision
from luthier.train.state import begin
from tests.tiny import tiny_network

keep_freed_memory()
network = tiny_network(torch.float32, hidden_size=128, intermediate_size=384, num_hidden_layers=8, vocab_size=2000)
probe(network, 0)
Full().attach(network, 0)
network.train()
draw = np.random.default_rng(1)
steps = [[make_row(draw.integers(0, 2000, 100).tolist(), [0.0] * 50 + [1.0] * 50, id=str(i)) for i in range(24)] for _ in range(4)]
before = at_rest(network)
plan = decide(Subject(network, Imitate(), 100), CutPlan("forest", 8192, 0), steps, Precision("float32", ""))
state = begin(network, AdamW(weight_decay=0.0), "")
state.keeper = keeper_for(plan, before)
for rows in steps:
    take_step(state, Imitate(), rows, plan.cuts, 1e-3, 1.0)
print(json.dumps({"foreseen": plan.memory.peak_mb, "grown": (held_bytes() - before) / 2**20}))
"""


@pytest.mark.prove
@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="this system does not say what a process holds")
def test_training_takes_the_memory_that_was_foreseen(tmp_path: Path) -> None:
    """Both processes' growth is taken: the one that measures, and the one after it, that remembers."""
    environment = {**os.environ, "LUTHIER_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["foreseen"] > 50
        assert 0.8 * found["foreseen"] <= found["grown"] <= 1.2 * found["foreseen"], found
