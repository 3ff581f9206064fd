"""Pooled states and the head on them."""

from __future__ import annotations

import pytest
import torch

from luthier.models.heads import RowHead, pool
from luthier.text.forest import make_forest
from luthier.text.padded import make_padded
from luthier.text.rows import make_row

ROWS = [make_row([1, 2, 3]), make_row([1, 2]), make_row([1, 4, 5, 6]), make_row([9])]


def states_of(batch) -> torch.Tensor:
    """A state that is its token's number and the square of it, and padding that would spoil any mean."""
    tokens = batch.tokens_N if hasattr(batch, "tokens_N") else batch.tokens_BT.reshape(-1)
    return torch.stack([tokens, tokens**2], 1).double()


@pytest.mark.parametrize(
    "batch", [make_forest(ROWS), make_forest(ROWS, share=False), make_padded(ROWS, 1000)], ids=["forest", "packed", "padded"]
)
def test_pooling_by_hand(batch) -> None:
    states = states_of(batch)
    assert pool(states, batch, "last").tolist() == [[3, 9], [2, 4], [6, 36], [9, 81]]
    torch.testing.assert_close(
        pool(states, batch, "mean"), torch.tensor([[2, 14 / 3], [1.5, 2.5], [4, 78 / 4], [9, 81]], dtype=torch.float64)
    )


def test_an_untrained_head_prefers_no_class() -> None:
    head = RowHead(2, 5, "mean")
    batch = make_forest(ROWS)
    assert torch.equal(head(states_of(batch).float(), batch), torch.zeros(4, 5))


def test_the_head_stays_in_float32_on_states_of_lesser_precision() -> None:
    head = RowHead(2, 3, "last")
    batch = make_forest(ROWS)
    scores = head(states_of(batch).bfloat16(), batch)
    assert scores.dtype == torch.float32


def test_scores_by_hand() -> None:
    head = RowHead(2, 2, "last").double()
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        head.linear.bias.copy_(torch.tensor([0.5, 0.0]))
    batch = make_forest([make_row([3])])
    # The state (3, 9) has mean 6 and deviation 3, so its norm is (-1, 1) but for the small number added to the variance.
    torch.testing.assert_close(head(states_of(batch), batch), torch.tensor([[-0.5, 2.0]], dtype=torch.float64), rtol=1e-5, atol=1e-5)
