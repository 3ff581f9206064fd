"""Our metrics against the libraries that the field uses, on random rows."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from scipy.special import ndtr, stdtrit
from scipy.stats import binom, bootstrap
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support
from tests.made_up_answers import golds, losses, noisy, system

from luthier.evaluate.answers import Answer, Gold, labels_of
from luthier.evaluate.compare import compare
from luthier.evaluate.intervals import bca_interval, estimate, wilson_interval
from luthier.evaluate.metrics import metric_named
from luthier.evaluate.metrics.metric import Floats, row_values, value_of
from luthier.evaluate.per_class import confusion, per_class
from luthier.evaluate.resampling import Clusters

ALPHABET = "abcdeé ,.?中文🎻\n\t"


def random_texts(rng: np.random.Generator, n: int) -> list[str]:
    return ["".join(rng.choice(list(ALPHABET), size=rng.integers(0, 25))) for _ in range(n)]


@pytest.mark.parametrize("seed", range(8))
def test_classification_equals_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = [f"label {i}" for i in range(2 + seed)]
    true = [labels[i] for i in rng.integers(len(labels), size=50)]
    said = noisy(true, 0.4, seed, [*labels, "never true"])
    gold, one = golds(true), system("x", said)
    for name, wanted in (("accuracy", accuracy_score(true, said)), ("macro_f1", f1_score(true, said, average="macro", zero_division=0))):
        metric = metric_named(name, labels_of(gold, one))
        assert value_of(metric, metric.statistics(gold, one.answers)) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_scores_by_label_equal_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = ["a", "b", "c", "d", "e"]
    true = [labels[i] for i in rng.integers(4, size=40)]
    said = noisy(true, 0.5, seed, labels)
    gold, one = golds(true), system("x", said)
    found = per_class(gold, one.answers)
    names = [score.label for score in found]
    precision, recall, f1, support = precision_recall_fscore_support(true, said, labels=names, zero_division=0)
    assert [score.precision or 0 for score in found] == pytest.approx(list(precision))
    assert [score.recall or 0 for score in found] == pytest.approx(list(recall))
    assert [score.f1 or 0 for score in found] == pytest.approx(list(f1))
    assert [score.support for score in found] == list(support)
    counts = confusion(gold, one.answers)
    assert [[counts[a, b] for b in names] for a in names] == confusion_matrix(true, said, labels=names).tolist()


@pytest.mark.parametrize("seed", range(8))
def test_chrf_equals_sacrebleu_over_the_corpus_and_for_each_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, said = random_texts(rng, 30), random_texts(rng, 30)
    said[:10] = [text[:-2] + "x" for text in true[:10]]
    gold, metric = golds(true), metric_named("chrf")
    statistics = metric.statistics(gold, system("x", said).answers)
    assert value_of(metric, statistics) == pytest.approx(sacrebleu.corpus_chrf(said, [true]).score, abs=1e-9)
    for ours, hypothesis, reference in zip(row_values(metric, statistics), said, true, strict=True):
        assert (ours or 0.0) == pytest.approx(sacrebleu.sentence_chrf(hypothesis, [reference]).score, abs=1e-9)


def test_loss_is_the_ratio_of_sums_and_not_the_mean_of_ratios() -> None:
    nats, tokens = [1.0, 30.0, 8.0], [1, 10, 16]
    metric = metric_named("loss_nats")
    value = value_of(metric, metric.statistics(golds("abc"), losses("x", nats, tokens).answers))
    assert value == pytest.approx(39 / 27)
    assert value != pytest.approx(np.mean([1.0, 3.0, 0.5]))


@pytest.mark.parametrize(("right", "n"), [(0, 10), (7, 10), (10, 10), (95, 100), (1, 1)])
def test_the_interval_of_a_proportion_solves_wilsons_equation(right: int, n: int) -> None:
    """Its ends are the shares p at which (right / n − p)² = z² p (1 − p) / n."""
    low, high = wilson_interval(right / n, n)
    z = 1.959963984540054
    for p in (low, high):
        assert (right / n - p) ** 2 == pytest.approx(z * z * p * (1 - p) / n, abs=1e-12)


def test_the_bootstrap_interval_is_near_scipys_bca_and_a_little_wider() -> None:
    rng = np.random.default_rng(0)
    loss = rng.gamma(2.0, 1.0, size=150)
    gold = [Gold(str(i), "x") for i in range(150)]
    found = estimate(metric_named("loss_nats"), gold, [Answer(str(i), None, None, float(x), 1) for i, x in enumerate(loss)])
    reference = bootstrap((loss,), np.mean, method="BCa", n_resamples=9999, rng=rng).confidence_interval
    assert found.low is not None
    assert found.high is not None
    width = reference.high - reference.low
    assert found.low == pytest.approx(reference.low, abs=0.06 * width)
    assert found.high == pytest.approx(reference.high, abs=0.06 * width)
    assert found.high - found.low > width


def test_the_exact_test_of_two_accuracies_is_the_sign_test() -> None:
    """Nine rows differ, eight of them in favour of a: two-sided p = 2 · (1 + 9) / 2⁹."""
    gold = golds("a" * 20)
    a, b = system("a", "a" * 19 + "b"), system("b", "b" * 8 + "a" * 12)
    found = compare(metric_named("accuracy"), gold, a, b)
    assert found.difference == pytest.approx(7 / 20)
    assert found.p == pytest.approx(20 / 512)


def _variance(sums: Floats) -> Floats:
    """Of (Σx, Σx², n): biased downwards, so that the bootstrap's bias correction has something to do."""
    return sums[..., 1] / sums[..., 2] - (sums[..., 0] / sums[..., 2]) ** 2


@pytest.mark.parametrize(("n", "seed"), [(10, 3), (12, 1), (60, 2)])
def test_the_bootstrap_interval_is_scipys_bca_at_the_reach_that_few_rows_need(n: int, seed: int) -> None:
    """BCa started from t · √(n / (n − 1)) instead of z, or the jackknife's t interval where that reaches further."""
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=n)
    t = stdtrit(n - 1, 0.975)
    level = 2 * ndtr(t * np.sqrt(n / (n - 1))) - 1
    clusters = Clusters(np.stack([x, x * x, np.ones(n)], axis=1), np.ones(n, dtype=np.int64))
    for values, of_sample in ((_variance, np.var), (lambda sums: sums[..., 0] / sums[..., 2], np.mean)):
        left_out = np.array([of_sample(np.delete(x, i)) for i in range(n)])
        half = t * np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
        ends = bootstrap((x,), of_sample, method="BCa", n_resamples=20_000, confidence_level=level, rng=rng).confidence_interval
        wanted = max(0.0, min(ends.low, of_sample(x) - half)), max(ends.high, of_sample(x) + half)
        found = bca_interval(values, clusters, (0.0, np.inf), np.random.default_rng(seed))
        assert found == pytest.approx(wanted, abs=0.06 * (wanted[1] - wanted[0]))


def test_the_random_test_of_two_accuracies_is_near_mcnemars_mid_p() -> None:
    """Sixty rows differ, 38 of them in favour of a: two-sided mid-p = 2 · P(X > 38) + P(X = 38), X binomial (60, ½)."""
    gold = golds("a" * 200)
    a, b = system("a", "a" * 178 + "b" * 22), system("b", "b" * 38 + "a" * 162)
    found = compare(metric_named("accuracy"), gold, a, b)
    assert found.difference == pytest.approx(16 / 200)
    assert found.p == pytest.approx(2 * binom.sf(38, 60, 0.5) + binom.pmf(38, 60, 0.5), abs=0.005)
