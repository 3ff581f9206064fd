"""Classification: rows, classes, and losses as PyTorch computes them."""

from __future__ import annotations

import pytest
import torch
from tests.small import network_of, tokenizer_of

from luthier.core.errors import LuthierError
from luthier.core.examples import Labelled, Pair
from luthier.models.heads import RowHead
from luthier.objectives import Classify
from luthier.text.batching import CutPlan
from luthier.text.renderer import Renderer
from luthier.text.rows import make_row

RENDERER = Renderer(tokenizer_of("chatml"))
LABELS = ("good", "bad", "neither")


def network_with_head():
    network = network_of("llama")
    torch.manual_seed(1)
    network.head = RowHead(16, 3, "last").double()
    torch.nn.init.normal_(network.head.linear.weight)
    return network


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_pytorchs_cross_entropy(smoothing: float) -> None:
    network = network_with_head()
    targets = [0, 2, 1, None, 2]
    batch = CutPlan("forest", 100, 0).make([make_row([5, 6 + r], target=target) for r, target in enumerate(targets)])
    outputs = network(batch)
    found = Classify(LABELS, smoothing).loss(outputs, batch)
    scores = outputs.row_scores(batch)[[0, 1, 2, 4]]
    wanted = torch.nn.functional.cross_entropy(scores, torch.tensor([0, 2, 1, 2]), label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(found.totals["loss_nats"], wanted)
    assert int(found.metrics["n_correct"]) == int((scores.argmax(-1) == torch.tensor([0, 2, 1, 2])).sum())
    assert Classify(LABELS, smoothing).count(batch) == {"loss_nats": 4.0}


def test_an_untrained_head_costs_the_logarithm_of_the_number_of_labels() -> None:
    network = network_of("llama")
    network.head = RowHead(16, 3, "mean").double()
    batch = CutPlan("forest", 100, 0).make([make_row([5, 6], target=1)])
    assert float(Classify(LABELS, 0.3).loss(network(batch), batch).totals["loss_nats"].detach()) == pytest.approx(1.0986122886681098)


def test_a_labels_place_is_its_class_and_no_token_is_trained() -> None:
    objective = Classify(LABELS)
    (row,) = objective.rows(Labelled("a", "the cat", "neither"), RENDERER)
    assert row.target == 2 and row.id == "a" and row.n_supervised == 0
    assert row.tokens.tolist() == RENDERER.document("the cat")
    assert objective.rows(Labelled("a", "the cat", None), RENDERER)[0].target is None
    assert objective.n_scores == 3


def test_an_unknown_label_and_an_unlabelled_shape_are_errors_with_their_place() -> None:
    with pytest.raises(LuthierError, match="'ugly' does not occur") as caught:
        Classify(LABELS).rows(Labelled("a", "the cat", "ugly", source="x.csv:4"), RENDERER)
    assert caught.value.where == "x.csv:4"
    with pytest.raises(LuthierError, match="cannot be classified"):
        Classify(LABELS).rows(Pair("a", "b", "c"), RENDERER)


def test_an_empty_label_is_unknown_rather_than_missing() -> None:
    with pytest.raises(LuthierError, match="'' does not occur"):
        Classify(LABELS).rows(Labelled("a", "the cat", ""), RENDERER)
