"""Rows are read in the type in which training computed, the tuned model's and its rivals' alike, and the report says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.small import network_of, tokenizer_of
from torch import nn

from luthier.core.examples import Labelled, Pair
from luthier.core.interrupts import Interrupted, Interruption
from luthier.models.attention.kernels import KERNELS
from luthier.models.load import Base
from luthier.models.network import Network
from luthier.objectives import Classify
from luthier.serve.bundle import Card, new_head
from luthier.stages import rivals
from luthier.stages.answering import READ_NODES, Speaker, classify, label_nats, reply, speaker_of, truth_nats
from luthier.stages.recipe import load_recipe
from luthier.stages.rivals import Sides
from luthier.train.decide import choose_kernel
from luthier.train.record import Record, machine

LABELS = ("mi", "so")
CPU = torch.device("cpu")
READERS: dict[str, Callable[[Speaker], object]] = {
    "classify": lambda speaker: classify(speaker, Classify(LABELS), [Labelled("a", "the cat", None)]),
    "label_nats": lambda speaker: label_nats(speaker, LABELS, "Say", ["the cat", "the dog and the cat"]),
    "truth_nats": lambda speaker: truth_nats(speaker, [Pair("a", "the cat", "so")], 96)[0],
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


def base() -> Base:
    tokenizer = tokenizer_of("chatml")
    network = network_of("llama", torch.float32, vocab_size=len(tokenizer.inner), max_position_embeddings=400)
    new_head(network, 2, "mean")
    assert network.head is not None
    nn.init.normal_(network.head.linear.weight, generator=torch.Generator().manual_seed(0))
    return Base("tiny", None, network, tokenizer)


def speaker(computed: torch.dtype | None) -> Speaker:
    made = base()
    return Speaker(made.network, made.tokenizer, "forest", 400, computed=computed)


@contextmanager
def watched(network: Network) -> Iterator[set[torch.dtype]]:
    """The types in which the decoder's linear layers give their products."""
    seen: set[torch.dtype] = set()
    layers = [one for one in network.decoder.modules() if isinstance(one, nn.Linear)]
    hooks = [layer.register_forward_hook(lambda module, given, out: seen.add(out.dtype)) for layer in layers]
    yield seen
    for hook in hooks:
        hook.remove()


def remember(speedup: float) -> None:
    Record(machine(CPU)).recall("bfloat16, frozen matrices", lambda: {"one_thread": speedup, "all_threads": speedup})


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("computed", "wanted"), [(torch.bfloat16, torch.bfloat16), (torch.float32, torch.float32), (None, torch.float32)])
def test_all_products_of_what_is_read_are_taken_in_the_given_type(
    reader: str, computed: torch.dtype | None, wanted: torch.dtype
) -> None:
    asked = speaker(computed)
    with watched(asked.network) as seen:
        READERS[reader](asked)
    assert seen == {wanted}
    assert asked.network.compute_dtype == torch.float32
    assert {one.dtype for one in asked.network.parameters()} == {torch.float32}
    assert torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("reader", READERS)
def test_the_two_types_say_nearly_the_same(reader: str) -> None:
    exact, half = (torch.as_tensor(READERS[reader](speaker(dtype))) for dtype in (torch.float32, torch.bfloat16))
    assert not torch.equal(exact, half)
    assert float((exact - half).abs().max()) < 0.02 * float(exact.abs().max())


def test_replies_are_generated_in_the_networks_own_type() -> None:
    asked = speaker(torch.bfloat16)
    with watched(asked.network) as seen:
        reply(asked, [Pair("a", "the cat", "so")], 4)
    assert seen == {torch.float32}


def test_a_network_is_left_as_it_was_when_reading_is_stopped() -> None:
    interruption = Interruption()
    interruption.request()
    asked = replace(speaker(torch.bfloat16), pause=interruption.check)
    with pytest.raises(Interrupted):
        READERS["classify"](asked)
    assert asked.network.compute_dtype == torch.float32
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("trained_in", "speedup", "wanted", "said"),
    [
        ("bfloat16", 4.0, torch.bfloat16, ", rows read with products in bfloat16"), ("bfloat16", 1.0, torch.float32, ""),
        ("float32", 4.0, torch.float32, ""),
    ],
)  # fmt: skip
def test_a_model_is_read_as_it_was_trained_where_this_machine_is_quick_in_that(
    trained_in: str, speedup: float, wanted: torch.dtype, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"architecture": "x86_64", "amx_bf16": True, "avx512_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    remember(speedup)
    made = base()
    asked = speaker_of(made, "forest", 400, trained_in)
    assert (asked.computed, asked.computing) == (wanted, said)
    with made.network.computing_in(wanted):
        assert made.network.attention_kernel == choose_kernel(made.network, "forest")
    assert made.network.attention_kernel in KERNELS


def test_a_system_says_in_which_type_it_was_read(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('name = "r"\n[goal]\ntask = "classify"\n[data]\nsource = "rows.csv"\n')
    recipe = load_recipe(tmp_path / "recipe.toml")
    rows = [Labelled(str(i), text, LABELS[i % 2]) for i, text in enumerate(["the cat", "the dog", "mat", "a dog"])]
    card = Card("r", "classify", "tiny", "", "full", "forest", 96, 6, LABELS)
    for system in (rivals.base, rivals.few_shot):
        for computed, said in ((torch.bfloat16, True), (torch.float32, False)):
            found = system(recipe, card, speaker(computed), Sides(rows, rows[:2], rows[2:]))
            assert ("products in bfloat16" in found.about) is said


def test_on_a_processor_rows_are_read_in_batches_that_fit_its_caches() -> None:
    made = base()
    assert Speaker(made.network, made.tokenizer, "forest", 96).plan.max_nodes == READ_NODES["cpu"] < READ_NODES["cuda"]
    assert Speaker(made.network, made.tokenizer, "forest", 9999).plan.max_nodes == 9999
