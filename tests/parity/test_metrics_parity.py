"""Our metrics against the libraries that the field uses, on random rows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from scipy.special import ndtr, stdtrit
from scipy.stats import binom, bootstrap
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, brier_score_loss, confusion_matrix, f1_score, precision_recall_fscore_support
from tests.made_up_answers import golds, losses, noisy, system

from luthier.evaluate.answers import Answer, Gold, labels_of
from luthier.evaluate.bca import bca_interval
from luthier.evaluate.compare import compare
from luthier.evaluate.intervals import estimate
from luthier.evaluate.metrics import metric_named
from luthier.evaluate.metrics.metric import Floats, row_values, value_of
from luthier.evaluate.per_class import confusion, per_class
from luthier.evaluate.resampling import Clusters
from luthier.evaluate.shares import wilson_interval

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


def probable(rng: np.random.Generator, true: list[str], labels: list[str], sharpness: float) -> list[Answer]:
    """Answers with probabilities over the labels, some of them 0, 1 or on the border of a bin."""
    found = []
    for i, label in enumerate(true):
        p = rng.dirichlet(np.full(len(labels), sharpness)) if i % 7 else np.eye(len(labels))[rng.integers(len(labels))]
        if i % 7 == 1:
            p = np.array([0.4, 0.6, *[0.0] * (len(labels) - 2)])
        if rng.random() < 0.5:
            best, here = int(p.argmax()), labels.index(label)
            p[[best, here]] = p[[here, best]]
        shares = dict(zip(labels, map(float, p), strict=True))
        found.append(Answer(f"{i:04}", max(labels, key=lambda one: shares[one]), shares))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_briers_score_equals_scikit_learns_of_several_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = [f"label {i}" for i in range(2 + seed)]
    true = [labels[i] for i in rng.integers(len(labels), size=60)]
    answers = probable(rng, true, labels, 0.3)
    metric = metric_named("brier")
    matrix = np.array([[(said.probabilities or {})[label] for label in labels] for said in answers])
    wanted = brier_score_loss(true, matrix, labels=labels, scale_by_half=False)
    assert value_of(metric, metric.statistics(golds(true), answers)) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_calibration_error_is_that_of_scikit_learns_calibration_curve(seed: int) -> None:
    """The curve has each bin's mean confidence and accuracy; the rows of each are counted here by the bins' definition."""
    rng = np.random.default_rng(seed)
    labels = [f"label {i}" for i in range(2 + seed)]
    true = [labels[i] for i in rng.integers(len(labels), size=200)]
    answers = probable(rng, true, labels, 0.5)
    metric = metric_named("calibration_error")
    confidence = np.array([max((said.probabilities or {}).values()) for said in answers])
    right = np.array([said.text == label for said, label in zip(answers, true, strict=True)])
    accuracy, mean = calibration_curve(right, confidence, n_bins=15, strategy="uniform")
    edges = np.linspace(0, 1, 16)
    n = np.array([((confidence > low) & (confidence <= high)).sum() for low, high in pairwise(edges)])
    assert {0.6, 1.0} <= set(confidence), "rows stand on the borders of bins too"
    wanted = (n[n > 0] / len(true) * np.abs(accuracy - mean)).sum()
    assert value_of(metric, metric.statistics(golds(true), answers)) == pytest.approx(wanted, abs=1e-12)


PROSE = "The cat, sat on the mat! 3.5 dogs (or 1,000) don't sit &quot;here&quot;; it's a naïve café… 中文 also-ran x"


def random_prose(rng: np.random.Generator, n: int) -> list[str]:
    """Texts of 0 to 30 words, in which four in a row are often alike."""
    words = PROSE.split()
    return [" ".join(rng.choice(words[: 5 + n % 20], size=rng.integers(0, 30))) + "\n" * int(rng.integers(2)) for _ in range(n)]


@pytest.mark.parametrize("seed", range(8))
def test_bleu_equals_sacrebleu_over_the_corpus_and_for_each_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, said = random_prose(rng, 20 + seed), random_prose(rng, 20 + seed)
    said[:6] = [text[: len(text) * 2 // 3] for text in true[:6]]
    gold, metric = golds(true), metric_named("bleu")
    statistics = metric.statistics(gold, system("x", said).answers)
    for low in (0, 6):  # with copies, and without, where some order may have no hit at all
        wanted = sacrebleu.corpus_bleu(said[low:], [true[low:]]).score
        assert value_of(metric, statistics[low:]) == pytest.approx(wanted, abs=1e-9)
    strict = sacrebleu.BLEU(effective_order=False)
    for ours, hypothesis, reference in zip(row_values(metric, statistics), said, true, strict=True):
        assert ours == pytest.approx(strict.corpus_score([hypothesis], [[reference]]).score, abs=1e-9)


def test_bleu_smooths_orders_without_a_hit_as_sacrebleu_does() -> None:
    metric = metric_named("bleu")
    for said, true in (("a x b y c z", "a b c d e f"), ("a b x c d y", "a b c d e f"), ("x y z", "a b"), ("a b c", "a b c"), ("", "a b")):
        found = value_of(metric, metric.statistics(golds([true]), system("x", [said]).answers))
        assert found == pytest.approx(sacrebleu.corpus_bleu([said], [[true]]).score, abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_rouge_l_equals_rouge_score(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, said = (random_prose(rng, 25) + random_texts(rng, 25) + [text] for text in ("İstanbul", "i\u0307stanbul"))
    said[:6] = [text.upper()[3:] for text in true[:6]]
    scorer, metric = RougeScorer(["rougeL"], use_stemmer=False), metric_named("rouge_l")
    wanted = [scorer.score(reference, hypothesis)["rougeL"].fmeasure for hypothesis, reference in zip(said, true, strict=True)]
    statistics = metric.statistics(golds(true), system("x", said).answers)
    assert statistics[:, 0].tolist() == pytest.approx(wanted, abs=1e-12)
    assert value_of(metric, statistics) == pytest.approx(np.mean(wanted), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text("ab c,.é\n", max_size=30), st.text("ab c,.é\n", max_size=30)), min_size=1, max_size=6))
def test_text_metrics_equal_their_libraries_on_whatever_is_tried(pairs: list[tuple[str, str]]) -> None:
    true, said = [one for one, _ in pairs], [other for _, other in pairs]
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    rouge = np.mean([scorer.score(one, other)["rougeL"].fmeasure for one, other in pairs])
    for name, wanted in (("bleu", sacrebleu.corpus_bleu(said, [true]).score), ("rouge_l", rouge)):
        metric = metric_named(name)
        assert value_of(metric, metric.statistics(golds(true), system("x", said).answers)) == pytest.approx(wanted, abs=1e-9)


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
