"""The plan of a run: decided once, used again, and plain about what has changed around it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from luthier.models.attention.kernels import KERNELS
from luthier.text.batching import Costs, CutPlan
from luthier.train.plan import Foreseen, Plan, differences, make_plan, settle_plan, surroundings_of
from luthier.train.precision import Precision

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def decide() -> Plan:
    cuts = CutPlan("forest", 4096, 2, Costs(0.5, 0.25, 1e-9, 0.0, 1.0, 1e-5), recompute_over=900)
    made = make_plan(cuts, Precision("float32", "a test"), CPU)
    return dataclasses.replace(made, kernel="flash", memory=Foreseen(100, 200, 30, 4, 5))


def never() -> Plan:
    raise AssertionError("it was decided before")


def test_a_plan_is_decided_once_and_read_back_equal(tmp_path: Path) -> None:
    first, notes = settle_plan(tmp_path / "plan.json", "one", decide, CPU)
    again, notes_again = settle_plan(tmp_path / "plan.json", "one", never, CPU)
    assert again == first == decide()
    assert notes == notes_again == ()


def test_a_plan_of_another_training_is_decided_anew(tmp_path: Path) -> None:
    settle_plan(tmp_path / "plan.json", "one", decide, CPU)
    other = dataclasses.replace(decide(), cuts=CutPlan("padded", 10, 0))
    found, _ = settle_plan(tmp_path / "plan.json", "two", lambda: other, CPU)
    assert found.cuts.layout == "padded"
    assert settle_plan(tmp_path / "plan.json", "two", never, CPU)[0] == found


def test_the_threads_of_the_plan_are_used_again(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    settle_plan(tmp_path / "plan.json", "one", decide, CPU)
    torch.set_num_threads(1)
    settle_plan(tmp_path / "plan.json", "one", never, CPU)
    assert torch.get_num_threads() == 2


def test_a_kernel_that_this_build_lacks_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle_plan(tmp_path / "plan.json", "one", decide, CPU)
    monkeypatch.delitem(KERNELS, "flash")
    assert settle_plan(tmp_path / "plan.json", "one", never, CPU)[0] == dataclasses.replace(decide(), kernel="products")


def test_what_differs_around_a_resumed_run_is_said_and_the_plan_still_used(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    settle_plan(path, "one", decide, CPU)
    written = json.loads(path.read_text())
    written["surroundings"]["torch"] = "1.0"
    path.write_text(json.dumps(written))
    plan, notes = settle_plan(path, "one", never, CPU)
    assert notes == (f"not bit-equal: torch differs (1.0 before, {torch.__version__} now)",)
    assert plan.cuts == decide().cuts


def test_every_difference_has_a_sentence_of_its_own() -> None:
    here = surroundings_of(CPU)
    there = dataclasses.replace(here, device="an accelerator", processor="another")
    assert differences(here, here) == ()
    assert [note.split(" differs")[0] for note in differences(there, here)] == ["not bit-equal: device", "not bit-equal: processor"]
