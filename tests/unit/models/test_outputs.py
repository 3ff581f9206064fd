"""Log-probabilities read off the states, in chunks or at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.small import N_VOCABULARY, network_of, random_row

from luthier.models import outputs
from luthier.text.batching import CutPlan
from luthier.text.rows import make_row


def batch_of(layout):
    draw = np.random.default_rng(0)
    system = draw.integers(3, N_VOCABULARY, 6).tolist()
    return CutPlan(layout, 10_000, 0).make([random_row(draw, system, 1 + r % 3, 2 + r, id=str(r)) for r in range(4)])


def calls_of(network) -> list[int]:
    """Filled with the number of states that each call of the output layer reads."""
    calls: list[int] = []
    network.decoder.get_output_embeddings().register_forward_hook(lambda layer, given, out: calls.append(len(given[0])))
    return calls


@pytest.mark.parametrize("layout", ["forest", "padded"])
@pytest.mark.parametrize("kind", ["llama", "gemma2", "granite"])
def test_log_probabilities_are_those_of_the_family(kind: str, layout) -> None:
    network = network_of(kind)
    batch = batch_of(layout)
    found = network(batch).token_logps(batch)
    rows = batch.path_P.split(torch.bincount(batch.path_row_P).tolist())
    tokens = batch.tokens_N if layout == "forest" else batch.tokens_BT.reshape(-1)
    wanted = []
    for s in range(batch.n_supervised):
        path = rows[int(batch.row_S[s])]
        place = path.tolist().index(int(batch.source_S[s]))
        own = network.decoder
        own.set_attn_implementation("eager")
        logits = own(input_ids=tokens[path[: place + 1]][None], use_cache=False).logits[0, -1]
        wanted.append(torch.nn.functional.log_softmax(logits.double(), -1)[batch.target_S[s]])
    torch.testing.assert_close(found, torch.stack(wanted), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layout", ["forest", "padded"])
@pytest.mark.parametrize("n_chunk", [1, 2, 3, 7])
def test_chunks_change_neither_values_nor_gradients(layout, n_chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of("gemma2")
    batch = batch_of(layout)
    weight = torch.linspace(0.3, 2, batch.n_supervised, dtype=torch.float64)

    def run() -> list[torch.Tensor]:
        network.zero_grad(set_to_none=True)
        logps = network(batch).token_logps(batch)
        (logps * weight).sum().backward()
        return [logps.detach(), *(p.grad for p in network.parameters() if p.grad is not None)]

    wanted = run()
    calls = calls_of(network)
    monkeypatch.setattr(outputs, "MAX_LOGITS", n_chunk * N_VOCABULARY + N_VOCABULARY - 1)
    found = run()
    assert max(calls) == n_chunk
    assert len(found) == len(wanted) > 3
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_a_shared_source_is_read_once() -> None:
    network = network_of("llama")
    batch = CutPlan("forest", 100, 0).make([make_row([5, 6, token], [0, 0, 1]) for token in (7, 8, 9)])
    calls = calls_of(network)
    logps = network(batch).token_logps(batch)
    assert calls == [1]
    whole = network.logits(network(batch).at(torch.tensor([1]))[0]).log_softmax(-1)
    torch.testing.assert_close(logps, whole[torch.tensor([7, 8, 9])])


def test_a_batch_without_supervised_tokens_gives_none_and_can_be_differentiated() -> None:
    network = network_of("llama")
    batch = CutPlan("forest", 100, 0).make([make_row([5, 6])])
    logps = network(batch).token_logps(batch)
    assert logps.shape == (0,)
    logps.sum().backward()


def test_log_probabilities_are_float32_or_better() -> None:
    network = network_of("llama", torch.bfloat16)
    batch = batch_of("forest")
    assert network(batch).token_logps(batch).dtype == torch.float32


def test_scores_without_a_head_are_our_bug() -> None:
    network = network_of("llama")
    batch = batch_of("forest")
    with pytest.raises(AssertionError, match="without a head"):
        network(batch).row_scores(batch)
