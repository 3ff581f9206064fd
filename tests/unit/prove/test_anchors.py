from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.tiny import tiny_network, tiny_rows

from luthier.core.interrupts import Interrupted, Interruption
from luthier.core.runs import Run
from luthier.methods import LoRA
from luthier.objectives import Imitate
from luthier.prove.anchors import Anchors, digest, folder_of, newest
from luthier.text.batching import CutPlan
from luthier.text.stream import EpochStream
from luthier.train import Train, begin, fit
from luthier.train.checkpoints import steps_saved
from luthier.train.journal import Journal, read_entries
from luthier.train.optim import AdamW
from luthier.train.state import TrainState


def state_of() -> TrainState:
    network = tiny_network(torch.float32)
    LoRA(rank=2).attach(network, 0)
    return begin(network, AdamW(weight_decay=0.01), "the fingerprint")


def train(folder: Path, n_steps: int, stop_at: int | None = None, patience: int | None = None) -> None:
    """`n_steps` steps of five rows, interrupted at `stop_at`."""
    interruption = Interruption()
    stream = EpochStream([[row] for row in tiny_rows(10, seed=1)], 5, n_steps / 2, 3)
    assert stream.n_steps == n_steps

    def ask(state: TrainState, journal: Journal, is_last: bool) -> None:
        if state.step == stop_at:
            interruption.request()

    options = Train(learning_rate=0.03, save_every_s=1e9, evaluate_every=2, patience=patience)
    listeners = (Anchors(folder_of(Run(folder)), n_steps), ask)
    validation = tiny_rows(4, seed=9) if patience else ()
    cuts = CutPlan("forest", 50, 0)
    fit(state_of(), Imitate(), stream, cuts, options, folder, listeners=listeners, validation=validation, interruption=interruption)


def digests(folder: Path) -> list[tuple[int, int]]:
    return [(entry["since"], entry["step"]) for entry in read_entries(Run(folder).metrics) if entry["event"] == "digest"]


@pytest.mark.parametrize(
    ("n_steps", "wanted", "kept"),
    [
        (1, [], []),
        (3, [], []),
        (4, [(1, 4)], [1]),
        (10, [(1, 4)], [1]),
        (11, [(1, 4), (8, 11)], [8]),
        (68, [(1, 4), (8, 11), (64, 67)], [64]),
    ],
)
def test_the_newest_state_with_three_steps_behind_it_is_kept(
    n_steps: int, wanted: list[tuple[int, int]], kept: list[int], tmp_path: Path
) -> None:
    train(tmp_path, n_steps)
    assert digests(tmp_path) == wanted
    assert steps_saved(folder_of(Run(tmp_path))) == kept
    found = newest(read_entries(Run(tmp_path).metrics))
    assert ([found["since"]] if found else []) == kept


@pytest.mark.parametrize("stop_at", [2, 5, 8, 9, 11, 12])
def test_an_interrupted_training_keeps_what_a_straight_one_keeps(stop_at: int, tmp_path: Path) -> None:
    train(tmp_path / "straight", 14)
    with pytest.raises(Interrupted):
        train(tmp_path / "broken", 14, stop_at)
    train(tmp_path / "broken", 14)
    for name in ("straight", "broken"):
        assert steps_saved(folder_of(Run(tmp_path / name))) == [8]
    entries = [[one for one in read_entries(Run(tmp_path / name).metrics) if one["event"] == "digest"] for name in ("straight", "broken")]
    assert entries[0] == entries[1]
    files = [folder_of(Run(tmp_path / name)) / "step-000008" / "optimizer.safetensors" for name in ("straight", "broken")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_training_that_stops_early_has_an_anchor_too(tmp_path: Path) -> None:
    train(tmp_path, 400, patience=1)
    last = max(entry["step"] for entry in read_entries(Run(tmp_path).metrics))
    assert last < 400
    found = newest(read_entries(Run(tmp_path).metrics))
    assert found is not None and found["step"] <= last
    assert found["since"] in steps_saved(folder_of(Run(tmp_path)))


def test_another_training_in_the_same_folder_leaves_no_older_anchor(tmp_path: Path) -> None:
    train(tmp_path, 12)
    Run(tmp_path).metrics.unlink()
    for step in steps_saved(Run(tmp_path).checkpoints):
        (Run(tmp_path).checkpoints / f"step-{step:06d}" / "state.json").write_text('{"fingerprint": "another"}')
    (folder_of(Run(tmp_path)) / "step-000001.tmp").mkdir()
    train(tmp_path, 3)
    assert list(folder_of(Run(tmp_path)).iterdir()) == []


def test_an_anchor_stays_until_the_next_has_its_digest_and_is_that_of_the_last_passing(tmp_path: Path) -> None:
    place, journal = folder_of(Run(tmp_path)), Journal(tmp_path / "metrics.jsonl", 0)
    state, listener = state_of(), Anchors(folder_of(Run(tmp_path)), 400)
    seen = {}
    for step in range(12):
        state.step = step
        listener(state, journal, False)
        seen[step] = steps_saved(place)
    assert (seen[4], seen[8], seen[10], seen[11]) == ([1], [1, 8], [1, 8], [8])
    before = (place / "step-000008" / "tensors.safetensors").read_bytes()
    with torch.no_grad():
        next(one for one in state.network.parameters() if one.requires_grad).add_(1)
    state.step = 8
    Anchors(place, 400)(state, journal, False)
    assert (place / "step-000008" / "tensors.safetensors").read_bytes() != before
    journal.close()


def test_a_digest_knows_each_bit_of_the_parameters_and_of_the_moments() -> None:
    state = state_of()
    first = digest(state)
    assert digest(state_of()) == first
    parameter = next(one for one in state.network.parameters() if one.requires_grad)
    with torch.no_grad():
        parameter.view(-1)[0] += 1e-7 * parameter.view(-1)[0].abs()
    second = digest(state)
    assert second != first
    parameter.grad = torch.ones_like(parameter)
    state.optimizers[0].step()
    third = digest(state)
    state.optimizers[0].state[parameter]["exp_avg"].view(-1)[0] *= 1 + 1e-6
    assert len({first, second, third, digest(state)}) == 4
