"""Whole trainings: layouts, validation, early stopping, interrupts, full disks and other fingerprints."""

from __future__ import annotations

import json
import math
import resource
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny import tiny_network, tiny_rows

from luthier.core.errors import LuthierError
from luthier.core.interrupts import Interrupted, Interruption
from luthier.methods import AnyMethod, Full, LoRA
from luthier.objectives import AnyObjective, Classify, Imitate
from luthier.text.batching import CutPlan
from luthier.text.rows import Row
from luthier.text.stream import EpochStream
from luthier.train import FitResult, Train, TrainState, begin, fit
from luthier.train import checkpoints as saved
from luthier.train.journal import Journal, read_entries, without_times
from luthier.train.listeners import evaluate
from luthier.train.optim import AdamW, AnyOptimizer, Muon

FOREST = CutPlan("forest", 50, 0)


@dataclass
class Asked:
    """A stream that counts which steps it was asked for."""

    inner: EpochStream
    steps: list[int] = field(default_factory=list)

    @property
    def n_steps(self) -> int:
        return self.inner.n_steps

    def rows(self, step: int) -> Sequence[Row]:
        self.steps.append(step)
        return self.inner.rows(step)


def stream(n: int = 20, epochs: float = 3.0, seed: int = 0) -> Asked:
    return Asked(EpochStream([[row] for row in tiny_rows(n, n_classes=3)], 5, epochs, seed))


def state_of(
    method: AnyMethod | None = None,
    dtype: torch.dtype = torch.float32,
    n_scores: int = 0,
    fingerprint: str = "one",
    seed: int = 0,
    optimizer: AnyOptimizer | None = None,
) -> TrainState:
    network = tiny_network(dtype, seed=seed, n_scores=n_scores)
    (method or Full()).attach(network, 0)
    return begin(network, optimizer or AdamW(weight_decay=0.01), fingerprint)


def run(folder: Path, state: TrainState | None = None, train: Train | None = None, **said: Any) -> tuple[FitResult, TrainState]:
    state = state or state_of()
    cuts = said.pop("cuts", FOREST)
    objective = said.pop("objective", Imitate())
    result = fit(state, objective, said.pop("stream", None) or stream(), cuts, train or Train(learning_rate=3e-3), folder, **said)
    return result, state


def events(folder: Path, event: str) -> list[dict[str, Any]]:
    return [without_times(entry) for entry in read_entries(folder / "metrics.jsonl") if entry["event"] == event]


@pytest.mark.parametrize("method", [Full(), LoRA(rank=3)], ids=lambda method: method.kind)
@pytest.mark.parametrize("objective", [Imitate(), Classify(("a", "b", "c"))], ids=lambda objective: objective.kind)
def test_a_forest_and_padded_rows_train_the_same_model(method: AnyMethod, objective: AnyObjective, tmp_path: Path) -> None:
    losses = []
    for cuts in (FOREST, CutPlan("padded", 300, 0), CutPlan("packed", 10**6, 0)):
        folder = tmp_path / cuts.layout
        state = state_of(method, torch.float64, objective.n_scores)
        run(folder, state, cuts=cuts, objective=objective, validation=tiny_rows(6, seed=5, n_classes=3))
        losses.append([entry["loss_nats"] for name in ("step", "validation") for entry in events(folder, name)])
    assert losses[0] == pytest.approx(losses[1], abs=1e-7)
    assert losses[0] == pytest.approx(losses[2], abs=1e-7)


def test_the_validation_loss_is_a_quotient_of_sums_whatever_the_cut() -> None:
    state = state_of(dtype=torch.float64)
    rows = tiny_rows(9, seed=2)
    network = state.network
    network.eval()
    total = count = 0.0
    for row in rows:
        batch = FOREST.make([row])
        total -= float((network(batch).token_logps(batch).detach() * batch.weight_S).sum())
        count += float(row.weights.sum())
    for cuts in (CutPlan("forest", 1, 0), FOREST, CutPlan("padded", 10**6, 0)):
        assert evaluate(state, Imitate(), rows, cuts)["loss_nats"] == pytest.approx(total / count, abs=1e-10)


def test_validation_counts_the_rows_that_are_classified_correctly_and_draws_nothing() -> None:
    network = tiny_network(torch.float64, n_scores=3)
    LoRA(rank=2, dropout=0.5).attach(network, 0)
    for parameter in network.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    state = begin(network, AdamW(weight_decay=0.0), "")
    rows = tiny_rows(9, seed=2, n_classes=3)
    found = evaluate(state, Classify(("a", "b", "c")), rows, FOREST)
    network.eval()
    batch = CutPlan("padded", 10**6, 0).make(rows)
    guessed = network(batch).row_scores(batch).argmax(-1)
    assert found["n_correct"] == sum(int(guess) == row.target for guess, row in zip(guessed, rows, strict=True))
    assert found == evaluate(state, Classify(("a", "b", "c")), rows, FOREST)
    assert network.training


def test_validation_comes_before_the_first_step_at_each_interval_and_after_the_last(tmp_path: Path) -> None:
    run(tmp_path, train=Train(learning_rate=3e-3, evaluate_every=5), validation=tiny_rows(4))
    assert [entry["step"] for entry in events(tmp_path, "validation")] == [0, 5, 10, 12]


def test_the_network_ends_as_the_best_checkpoint_and_that_and_the_newest_are_kept(tmp_path: Path) -> None:
    rows = tiny_rows(6, seed=9)
    train = Train(learning_rate=2e-2, evaluate_every=2, save_every_s=0.0, schedule="constant")
    result, state = run(tmp_path, train=train, validation=rows, stream=stream(epochs=8.0))
    losses = {entry["step"]: entry["loss_nats"] for entry in events(tmp_path, "validation") if entry["step"]}
    assert result.best_step == min(losses, key=lambda step: losses[step]) < result.last_step == result.n_steps
    assert evaluate(state, Imitate(), rows, FOREST)["loss_nats"] == result.best_loss == losses[result.best_step]
    assert saved.steps_saved(tmp_path / "checkpoints") == [result.best_step, result.last_step]


def test_patience_counts_evaluations_without_a_better_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl", 0)
    counts = []
    for step, loss in enumerate([1.0, 3.0, 2.0, 2.0, 2.5, 1.5, 1.6]):  # the untrained model's 1.0 does not stand for election
        journal.add("validation", step, loss_nats=loss)
        counts.append(journal.n_without_improvement)
    best = journal.best
    journal.close()
    assert counts == [0, 0, 0, 1, 2, 0, 1]
    assert best is not None
    assert best["step"] == 5


def test_without_validation_rows_the_last_step_is_the_best(tmp_path: Path) -> None:
    result, _ = run(tmp_path)
    assert (result.best_step, result.best_loss, result.last_step, result.resumed_at) == (12, None, 12, None)
    assert events(tmp_path, "validation") == []


@dataclass
class Stopper:
    """Asks for a stop after some step, as Ctrl-C would."""

    interruption: Interruption
    after: int

    def __call__(self, state: TrainState, journal: Journal, is_last: bool) -> None:
        if state.step == self.after:
            self.interruption.request()


@pytest.mark.parametrize("optimizer", [AdamW(), Muon()], ids=lambda optimizer: optimizer.kind)
def test_an_interrupted_training_saves_its_last_step_and_goes_on_from_it_bit_for_bit(optimizer: AnyOptimizer, tmp_path: Path) -> None:
    _, wanted = run(tmp_path / "straight", state_of(optimizer=optimizer), validation=tiny_rows(4))
    interruption = Interruption()
    asked, said = stream(), {"validation": tiny_rows(4)}
    with pytest.raises(Interrupted, match="after step 7 of 12"):
        stopper = Stopper(interruption, 7)
        run(tmp_path / "run", state_of(optimizer=optimizer), listeners=[stopper], interruption=interruption, stream=asked, **said)
    result, state = run(tmp_path / "run", state_of(optimizer=optimizer), stream=asked, **said)
    assert result.resumed_at == 7
    assert asked.steps == list(range(12)), "each step was given its rows once"
    assert state.units == wanted.units == 60
    found = dict(state.network.named_parameters())
    assert all(torch.equal(parameter, found[name]) for name, parameter in wanted.network.named_parameters())
    for event in ("step", "validation"):
        assert events(tmp_path / "run", event) == events(tmp_path / "straight", event)


def test_checkpoints_of_other_rows_or_another_recipe_are_not_gone_on_from(tmp_path: Path) -> None:
    run(tmp_path, state_of(fingerprint="one"))
    result, _ = run(tmp_path, state_of(fingerprint="two"))
    assert result.resumed_at is None
    assert [entry["step"] for entry in events(tmp_path, "step")] == list(range(1, 13))


def test_unfinished_folders_are_removed_and_lines_beyond_the_checkpoint_are_cut(tmp_path: Path) -> None:
    interruption = Interruption()
    with pytest.raises(Interrupted):
        run(tmp_path, listeners=[Stopper(interruption, 4)], interruption=interruption)
    (tmp_path / "checkpoints" / "step-000009.tmp").mkdir()
    with open(tmp_path / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"event": "step", "step": 5, "loss_nats": 77.0}) + '\n{"event": "st')
    run(tmp_path)
    assert [entry["step"] for entry in events(tmp_path, "step")] == list(range(1, 13))
    assert 77.0 not in [entry["loss_nats"] for entry in events(tmp_path, "step")]
    assert saved.steps_saved(tmp_path / "checkpoints") == [12]
    assert list((tmp_path / "checkpoints").glob("*.tmp")) == []


def test_a_checkpoint_holds_safetensors_and_json_alone_and_of_lora_only_what_is_trained(tmp_path: Path) -> None:
    _, state = run(tmp_path, state_of(LoRA(rank=2)))
    folder = saved.folder_of(tmp_path / "checkpoints", 12)
    assert sorted(item.name for item in folder.iterdir()) == ["optimizer.safetensors", "state.json", "tensors.safetensors"]
    n_trained = sum(parameter.numel() for parameter in state.network.parameters() if parameter.requires_grad)
    assert 4 * n_trained < (folder / "tensors.safetensors").stat().st_size < 4 * n_trained + 8000


def test_a_full_disk_is_reported_and_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    interruption = Interruption()
    with pytest.raises(Interrupted):
        run(tmp_path, listeners=[Stopper(interruption, 4)], interruption=interruption)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(LuthierError, match=r"step-0000\d\d.*could not be written.*free space"):
            run(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [item.name for item in (tmp_path / "checkpoints").iterdir()] == ["step-000004"]
    result, _ = run(tmp_path)
    assert (result.resumed_at, result.last_step) == (4, 12)


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    run(tmp_path)
    path = saved.folder_of(tmp_path / "checkpoints", 12) / "tensors.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LuthierError) as caught:
        run(tmp_path)
    assert caught.value.where == str(path)


def test_saving_at_every_step_changes_no_bit(tmp_path: Path) -> None:
    _, often = run(tmp_path / "often", train=Train(learning_rate=3e-3, save_every_s=0.0))
    _, seldom = run(tmp_path / "seldom", train=Train(learning_rate=3e-3, save_every_s=1e9))
    found = dict(often.network.named_parameters())
    assert all(torch.equal(parameter, found[name]) for name, parameter in seldom.network.named_parameters())


def test_a_validation_loss_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    state = state_of()
    with torch.no_grad():
        state.network.decoder.model.norm.weight[0] = math.nan
    with pytest.raises(LuthierError, match="step 0: the loss on the validation rows is nan"):
        run(tmp_path, state, validation=tiny_rows(3))
