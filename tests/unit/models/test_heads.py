"""Pooled states and the head on them."""

from __future__ import annotations

import pytest
import torch
from tests.tiny import tiny_network

from luthier.models.heads import RowHead, pool
from luthier.models.outputs import Outputs
from luthier.text.forest import make_forest
from luthier.text.padded import make_padded
from luthier.text.rows import make_row

ROWS = [make_row([1, 2, 3]), make_row([1, 2]), make_row([1, 4, 5, 6]), make_row([9])]


def outputs_of(batch, dtype: torch.dtype = torch.float64) -> Outputs:
    """A state that is its token's number and the square of it, and padding that would spoil any mean."""
    tokens = batch.tokens_N if hasattr(batch, "tokens_N") else batch.tokens_BT.reshape(-1)
    return Outputs(tiny_network(), torch.stack([tokens, tokens**2], 1).to(dtype))


@pytest.mark.parametrize(
    "batch", [make_forest(ROWS), make_forest(ROWS, share=False), make_padded(ROWS, 1000)], ids=["forest", "packed", "padded"]
)
def test_pooling_by_hand(batch) -> None:
    outputs = outputs_of(batch)
    assert pool(outputs, batch, "last").tolist() == [[3, 9], [2, 4], [6, 36], [9, 81]]
    torch.testing.assert_close(
        pool(outputs, batch, "mean"), torch.tensor([[2, 14 / 3], [1.5, 2.5], [4, 78 / 4], [9, 81]], dtype=torch.float64)
    )


def test_a_state_is_read_where_it_stands() -> None:
    """Of the forest's seven nodes only the rows' last ones have states, and those in another order."""
    batch = make_forest(ROWS)
    whole = outputs_of(batch).states_MD
    kept = torch.unique(batch.pool_R).flip(0)
    place = torch.full((len(whole),), -1).index_copy(0, kept, torch.arange(len(kept)))
    some = Outputs(tiny_network(), whole[kept], place)
    assert pool(some, batch, "last").tolist() == [[3, 9], [2, 4], [6, 36], [9, 81]]
    with pytest.raises(AssertionError, match="were not computed"):
        pool(some, batch, "mean")


def test_an_untrained_head_prefers_no_class() -> None:
    head = RowHead(2, 5, "mean")
    batch = make_forest(ROWS)
    assert torch.equal(head(outputs_of(batch, torch.float32), batch), torch.zeros(4, 5))


def test_the_head_stays_in_float32_on_states_of_lesser_precision() -> None:
    head = RowHead(2, 3, "last")
    batch = make_forest(ROWS)
    scores = head(outputs_of(batch, torch.bfloat16), batch)
    assert scores.dtype == torch.float32


def test_scores_by_hand() -> None:
    head = RowHead(2, 2, "last").double()
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        head.linear.bias.copy_(torch.tensor([0.5, 0.0]))
    batch = make_forest([make_row([3])])
    # The state (3, 9) has mean 6 and deviation 3, so its norm is (-1, 1) but for the small number added to the variance.
    torch.testing.assert_close(head(outputs_of(batch), batch), torch.tensor([[-0.5, 2.0]], dtype=torch.float64), rtol=1e-5, atol=1e-5)
