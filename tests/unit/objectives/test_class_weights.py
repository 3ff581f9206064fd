"""Class weights: their values, and that a row of weight w is w equal rows."""

from __future__ import annotations

import pytest
import torch
from tests.unit.objectives.test_classify import LABELS, network_with_head

from luthier.objectives import Classify
from luthier.objectives.class_weights import class_weights
from luthier.text.batching import CutPlan
from luthier.text.rows import make_row


def test_inverse_frequency_gives_each_class_the_same_total_and_rows_an_average_of_one() -> None:
    counts = [30, 10, 5]
    weights = class_weights(counts, "inverse_frequency")
    assert [w * n for w, n in zip(weights, counts, strict=True)] == pytest.approx([15, 15, 15])
    assert weights == pytest.approx((0.5, 1.5, 3.0))


def test_the_effective_number_lies_between_equal_weights_and_the_inverse_frequency() -> None:
    counts = [5000, 50]
    weights = class_weights(counts, "effective_number")
    # (1 - 0.999^n) / 0.001 is 993.279… of 5,000 rows and 48.7952… of 50.
    assert weights[1] / weights[0] == pytest.approx(993.2785 / 48.7941, rel=1e-3)
    assert 1 < weights[1] / weights[0] < 100
    assert sum(w * n for w, n in zip(weights, counts, strict=True)) == pytest.approx(5050)


def test_equal_counts_and_equal_weights_need_none() -> None:
    assert class_weights([7, 7, 7], "inverse_frequency") == class_weights([7, 7], "effective_number") == ()
    assert class_weights([1, 2], "equal") == ()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("layout", ["forest", "padded"])
def test_weight_w_is_w_copies_in_loss_and_gradient(layout, smoothing: float) -> None:
    weights = (1.0, 3.0, 2.0)
    plain = [make_row([5, 6 + r], id=str(r), target=target) for r, target in enumerate([0, 2, 1, None, 2])]
    copied = [row for row in plain for _ in range(1 if row.target is None else int(weights[row.target]))]
    found = []
    for rows, objective in ((plain, Classify(LABELS, smoothing, weights)), (copied, Classify(LABELS, smoothing))):
        network = network_with_head()
        batch = CutPlan(layout, 100, 0).make(rows)
        loss = objective.loss(network(batch), batch).totals["loss_nats"] / objective.count(batch)["loss_nats"]
        loss.backward()
        found.append((loss.detach(), network.head.linear.weight.grad, network.decoder.get_input_embeddings().weight.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_the_loss_is_pytorchs_weighted_cross_entropy_and_the_count_its_divisor() -> None:
    weights = (0.5, 1.5, 4.0)
    network = network_with_head()
    targets = [0, 2, 1, 2]
    batch = CutPlan("forest", 100, 0).make([make_row([5, 6 + r], target=target) for r, target in enumerate(targets)])
    outputs = network(batch)
    objective = Classify(LABELS, 0.0, weights)
    scores = outputs.row_scores(batch)
    wanted = torch.nn.functional.cross_entropy(scores, torch.tensor(targets), torch.tensor(weights, dtype=scores.dtype))
    torch.testing.assert_close(objective.loss(outputs, batch).totals["loss_nats"] / objective.count(batch)["loss_nats"], wanted)
    assert objective.count(batch) == {"loss_nats": 10.0}
