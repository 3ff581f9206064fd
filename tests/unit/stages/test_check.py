"""What check says of this machine, in words that a newcomer reads and in an object that a program reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Gemma2Config, LlamaConfig, MistralConfig

from luthier.stages.check import _machine_lines, attention_of, needs_masks
from luthier.text.batching import CutPlan
from luthier.train.plan import Plan, surroundings_of
from luthier.train.precision import Precision

CPU = torch.device("cpu")
COST: dict[str, Any] = {
    "attention": "branches, products", "precision": "bfloat16", "why_precision": "it is four times as fast", "max_nodes": 2048,
    "micro_batches_per_step": 1, "threads": 2, "memory_mb": 1234, "model_mb": 56, "budget_mb": 7890, "recomputed_over": None,
    "computed_by": "the family's own: it has a window",
}  # fmt: skip


def plan(layout: str, kernel: str = "products") -> Plan:
    return Plan(CutPlan(layout, 10, 0), Precision("float32", ""), 1, surroundings_of(CPU), kernel=kernel)  # type: ignore[arg-type]


def test_attention_is_named_by_the_layout_the_device_and_the_kernel() -> None:
    assert attention_of(plan("padded"), CPU) == "sequences"
    assert attention_of(plan("forest", "flash"), CPU) == "branches, flash"
    assert attention_of(plan("packed"), CPU) == "branches, products"
    assert attention_of(plan("forest"), torch.device("cuda")) == "flex"
    assert attention_of(plan("forest"), CPU, by_mask=True) == "trees"
    assert attention_of(plan("padded"), CPU, by_mask=True) == "sequences"


def test_windows_that_rows_exceed_and_capped_scores_need_masks() -> None:
    assert not needs_masks(LlamaConfig(), 10_000)
    window = MistralConfig(sliding_window=8)
    assert needs_masks(window, 9) and not needs_masks(window, 8)
    assert needs_masks(Gemma2Config(sliding_window=None), 2)


@pytest.mark.parametrize("attention", ["sequences", "trees", "flex", "branches, products", "branches, flash"])
def test_how_the_machine_will_be_used_is_said_with_the_reasons(attention: str) -> None:
    passes, attends, numbers, micro, memory = _machine_lines({**COST, "attention": attention})
    assert passes == "forward pass the family's own: it has a window"
    assert attends.startswith("attention ")
    assert numbers == "numbers in bfloat16: it is four times as fast"
    assert "1 of at most 2,048 tokens" in micro and "2 threads" in micro
    assert memory == "about 1,234 MB of memory above the model's 56 MB; up to 7,890 MB may be used (LUTHIER_MEMORY_MB)"


def test_one_thread_is_no_threads() -> None:
    assert _machine_lines({**COST, "threads": 1})[3].endswith("; 1 thread")


def test_recomputation_is_said_where_there_is_any() -> None:
    assert "more than 512 tokens is too large to keep" in _machine_lines({**COST, "recomputed_over": 512})[-1]
