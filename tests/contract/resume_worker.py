"""Trains a tiny network in a folder and kills itself at given moments; run as a program by `test_resume.py`.

    python resume_worker.py FOLDER '{"method": "lora", "kills": [{"event": 7}, {"after": 0.2}], …}'

Each training runs in a forked child. `event` n kills it by SIGKILL just before its n-th change to the file system, as
Python's audit hooks report them; `after` f kills it from outside when it has had f times as long as the whole training
takes. A last child is left alone. What was given to each step is written to `order.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tests.forks import mend_torch_in_children
from tests.tiny import tiny_network, tiny_rows

from luthier.core.runs import Run
from luthier.methods import AnyMethod, Full, LoRA
from luthier.objectives import Classify, Imitate
from luthier.text.batching import CutPlan
from luthier.text.rows import Row
from luthier.text.stream import EpochStream
from luthier.train import FitResult, Train, begin, fit

_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "os.truncate")
METHODS: dict[str, AnyMethod] = {"full": Full(), "lora": LoRA(rank=4), "lora with dropout": LoRA(rank=4, dropout=0.2)}


@dataclass
class Recorded:
    """A stream that writes down what it gives."""

    inner: EpochStream
    path: Path

    @property
    def n_steps(self) -> int:
        return self.inner.n_steps

    def rows(self, step: int) -> Sequence[Row]:
        rows = self.inner.rows(step)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps([step, [row.id for row in rows]]) + "\n")
        return rows


def train(folder: Path, said: dict[str, Any]) -> FitResult:
    """One training, from wherever the folder has come to."""
    method = METHODS[said["method"]]
    torch.manual_seed(time.time_ns())  # what the state of the global generator is must not matter
    objective = Classify(("a", "b", "c")) if said.get("classify") else Imitate()
    network = tiny_network(torch.float32, n_scores=objective.n_scores)
    method.attach(network, 0)
    units = [[row] for row in tiny_rows(24, n_classes=3, seed=1)]
    stream = Recorded(EpochStream(units, 5, said.get("epochs", 4.0), 3), folder / "order.jsonl")
    settings = Train(learning_rate=3e-3, save_every_s=said["save_every_s"], patience=said.get("patience"), evaluate_every=2)
    cuts = CutPlan("packed" if method.is_random else "forest", 50, 0)
    state = begin(network, settings.optimizer, "the fingerprint", seed=5 if method.is_random else None)
    result = fit(state, objective, stream, cuts, settings, folder, validation=tiny_rows(9, n_classes=3, seed=2))
    save_file({name: tensor.detach().contiguous() for name, tensor in network.named_parameters()}, folder / "final.safetensors")
    (folder / "result.json").write_text(json.dumps({**asdict(result), "resumed_at": None}))
    (folder / "resumed.json").write_text(json.dumps(result.resumed_at))
    return result


def _kill_at(moment: int) -> None:
    """SIGKILL this process just before its `moment`-th change to the file system."""
    n_seen = 0

    def watch(event: str, args: tuple[object, ...]) -> None:
        nonlocal n_seen
        if event in _CHANGES:
            n_seen += 1
            if n_seen == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def _in_child(folder: Path, said: dict[str, Any], moment: int | None = None, after_s: float | None = None) -> int:
    """Train in a child; gives its wait status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if moment is not None:
                _kill_at(moment)
            train(folder, said)
            code = 0
        finally:
            os._exit(code)
    if after_s is not None:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, after_s)
    status = os.waitpid(child, 0)[1]
    signal.setitimer(signal.ITIMER_REAL, 0)
    return status


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(folder: Path, said: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    statuses = []
    for kill in said["kills"]:
        statuses.append(_in_child(folder, said, kill.get("event"), kill["after"] * said["seconds"] if "after" in kill else None))
    began = time.monotonic()
    assert _in_child(folder, said) == 0, "the last training is left alone and ends well"
    print(json.dumps({
        "codes": [os.waitstatus_to_exitcode(status) for status in statuses], "seconds": time.monotonic() - began,
        "final": digest(folder / "final.safetensors"), "checkpoints": sorted(item.name for item in Run(folder).checkpoints.iterdir()),
    }))  # fmt: skip


if __name__ == "__main__":
    mend_torch_in_children()
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
