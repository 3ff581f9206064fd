"""Exact and numeric match, length, repetition and the losses against libraries, on random rows; and where they part on purpose.

Where a metric follows no library to the last detail, both sides are pinned: rows on which it has to agree with the nearest
one, and rows on which it must not.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
import sacrebleu
import torch
from babel.numbers import format_currency, format_decimal, parse_decimal
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk import ngrams
from scipy.stats import entropy
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import accuracy_score
from tests.made_up_answers import golds, losses, system
from tests.small import N_VOCABULARY, decoder_of, tokenizer_of
from tokenizers import Regex, normalizers
from torch.nn.functional import cross_entropy
from torchmetrics.functional.text import perplexity, squad

from luthier.core.examples import Pair
from luthier.evaluate.answers import Answer, Gold
from luthier.evaluate.metrics import metric_named
from luthier.evaluate.metrics.exact_match import normalised
from luthier.evaluate.metrics.metric import value_of
from luthier.evaluate.metrics.numeric_match import final_number
from luthier.generate.likelihood import likelihoods
from luthier.models.load import prepare
from luthier.models.network import Network
from luthier.stages.answering import Speaker, truth_nats, truth_of
from luthier.text.batching import CutPlan


def measured(name: str, true: list[str], said: list[str]) -> float | None:
    metric = metric_named(name)
    return value_of(metric, metric.statistics(golds(true), system("x", said).answers))


NORMALISER = normalizers.Sequence(
    [
        normalizers.NFKC(), normalizers.Lowercase(), normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip(),
        normalizers.Replace(Regex(r"[.!? ]+$"), ""),
    ]
)  # fmt: skip
"""What `normalised` says, in the words of Hugging Face's tokenizers."""
WRITTEN = st.text("aAéÉｆＦﬁ①²İ \t\n\u3000.!?,-中文ж Ж", max_size=12)


def differently(text: str, rng: np.random.Generator) -> str:
    """The same words in another hand: case, white space, a mark at the end; or other words."""
    hands = (str.upper, str.swapcase, lambda one: f"  {one}. ", lambda one: one.replace(" ", "\n\t"), lambda one: one + "x")
    return str(hands[rng.integers(len(hands))](text))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(WRITTEN, WRITTEN), min_size=1, max_size=8), st.integers(0, 2**32))
def test_exact_match_is_scikit_learns_accuracy_over_what_tokenizers_normalise(pairs: list[tuple[str, str]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = [one for one, _ in pairs] * 2
    said = [other for _, other in pairs] + [differently(one, rng) for one, _ in pairs]
    wanted = accuracy_score(*([NORMALISER.normalize_str(text) for text in texts] for texts in (true, said)))
    assert measured("exact_match", true, said) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(("one", "other"), [("ﬁsh", "fish"), ("x²", "x2"), ("①", "1"), ("ＡＢＣ", "abc"), ("a\u3000b", "A b")])
def test_exact_match_reads_letters_of_another_form_as_tokenizers_do(one: str, other: str) -> None:
    assert NORMALISER.normalize_str(one) == NORMALISER.normalize_str(other)
    assert measured("exact_match", [one], [other]) == 1.0


def test_exact_match_folds_case_further_than_lower_letters_do() -> None:
    assert normalised("STRASSE") == normalised("Straße") and normalised("ΣΑΣ") == normalised("σας")
    assert NORMALISER.normalize_str("STRASSE") != NORMALISER.normalize_str("Straße")


def on_squad(true: list[str], said: list[str]) -> float:
    """SQuAD's exact match (Rajpurkar and others 2016, arXiv 1606.05250), as torchmetrics has it, as a share."""
    rows = [{"prediction_text": text, "id": str(i)} for i, text in enumerate(said)]
    truths = [{"answers": {"answer_start": [0], "text": [text]}, "id": str(i)} for i, text in enumerate(true)]
    return float(squad(rows, truths)["exact_match"]) / 100


@pytest.mark.parametrize("seed", range(4))
def test_exact_match_is_squads_where_nothing_but_case_space_and_last_marks_differ(seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = ["Paris", "Rome", "42", "blue whale", "Öl", "ночь"]
    true = [" ".join(rng.choice(words, size=rng.integers(1, 4))) for _ in range(80)]
    said = [differently(text, rng) if rng.random() < 0.8 else "nothing of it" for text in true]
    wanted = on_squad(true, said)
    assert 0.2 < wanted < 0.9
    assert measured("exact_match", true, said) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(("true", "said"), [("the band", "band"), ("3.5", "35"), ("re-sign", "resign"), ("it's", "its")])
def test_exact_match_keeps_articles_and_inner_marks_which_squad_strips_as_they_carry_meaning(true: str, said: str) -> None:
    assert on_squad([true], [said]) == 1.0
    assert measured("exact_match", [true], [said]) == 0.0


def written(number: Decimal, rng: np.random.Generator) -> str:
    """A number as people write it, by the rules of the Unicode Consortium's locale data."""
    hands = (
        lambda: format_decimal(number, locale="en_US", decimal_quantization=False),
        lambda: format_decimal(number, locale="en_US", decimal_quantization=False, group_separator=False),
        lambda: format_currency(number, "USD", locale="en_US", decimal_quantization=False),
        lambda: format_currency(number, "GBP", locale="en_GB", decimal_quantization=False),
        lambda: format_decimal(number, locale="en_US", format="#,##0.000"),
    )
    return hands[rng.integers(len(hands))]()


def read(text: str) -> Decimal:
    """What Babel reads, which has no word for a currency."""
    return parse_decimal(re.sub("[$£]", "", text), locale="en_US", strict=True)


@pytest.mark.parametrize("seed", range(6))
def test_numeric_match_reads_what_babel_writes_as_babel_reads_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    numbers = [Decimal(int(rng.integers(-(10 ** rng.integers(1, 9)), 10**6))) / 10 ** int(rng.integers(0, 4)) for _ in range(120)]
    true = [written(one, rng) for one in numbers]
    said = [written(one if rng.random() < 0.6 else one + 1, rng) for one in numbers]
    assert [final_number(text) for text in true] == [read(text) for text in true]
    # scikit-learn takes no decimals for labels: normalised, equal numbers are equal texts.
    wanted = accuracy_score(*([f"{read(text).normalize():f}" for text in texts] for texts in (true, said)))
    assert 0.3 < wanted < 0.9
    assert measured("numeric_match", [f"so #### {text}" for text in true], [f"I think 7, or {text}." for text in said]) == wanted


OFFICIAL = re.compile(r"#### (\-?[0-9\.\,]+)")
"""How the authors of GSM8K find the answer (openai/grade-school-math, `dataset.py`)."""


def official(text: str) -> str:
    found = OFFICIAL.search(text)
    return "[invalid]" if found is None else found.group(1).strip().replace(",", "")


@pytest.mark.parametrize("seed", range(4))
def test_numeric_match_is_gsm8ks_own_where_replies_keep_its_form(seed: int) -> None:
    rng = np.random.default_rng(seed)
    numbers = rng.integers(-2000, 2_000_000, size=100)
    true = [f"12 + 3 = <<12+3=15>>15\n#### {n:,}" for n in numbers]
    forms = ("#### {:,}", "#### {}", "first 9, then\n#### {}\n", "#### {} apples in 3 boxes")
    said = [f"steps 1, 2\n{forms[i % 4].format(n + (i % 3 == 0))}" for i, n in enumerate(numbers)]
    wanted = accuracy_score([official(text) for text in true], [official(text) for text in said])
    assert measured("numeric_match", true, said) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("said", ["#### 1.50", "#### $1.5", "it is 1.5", "####1.5", "#### 1.5."])
def test_numeric_match_compares_numbers_where_gsm8k_compares_letters(said: str) -> None:
    """The form of a number is no arithmetic: 1.50 is 1.5, and a reply without the mark still has a last number."""
    assert official(said) != official("#### 1.5")
    assert measured("numeric_match", ["#### 1.5"], [said]) == 1.0


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], include_characters="\t\n"), max_size=40)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(TEXTS.filter(str.strip), TEXTS), min_size=1, max_size=8))
def test_length_is_the_ratio_of_the_characters_that_polars_counts(pairs: list[tuple[str, str]]) -> None:
    true, said = [one for one, _ in pairs], [other for _, other in pairs]
    n_true, n_said = (pl.Series(texts).str.strip_chars().str.len_chars().sum() for texts in (true, said))
    assert measured("length", true, said) == pytest.approx(n_said / n_true, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_length_is_sacrebleus_ratio_of_lengths_but_for_the_white_space_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, said = (["".join(rng.choice(list("abcé中🎻"), size=rng.integers(1, 20))) for _ in range(30)] for _ in range(2))
    corpus = sacrebleu.BLEU(tokenize="char").corpus_score(said, [true])
    assert measured("length", true, said) == pytest.approx(corpus.ratio, abs=1e-12)
    assert measured("length", ["ab"], ["a b"]) == 1.5
    assert sacrebleu.BLEU(tokenize="char").corpus_score(["a b"], [["ab"]]).ratio == 1.0


@pytest.mark.parametrize("seed", range(6))
def test_repetition_is_what_nltks_and_scikit_learns_ngrams_repeat(seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = ["a", "A", "b,", "中", "don't", "b"]
    said = [" ".join(rng.choice(words[: 1 + seed], size=rng.integers(4, 40))) for _ in range(40)]
    found = [list(ngrams(text.split(), 4)) for text in said]
    by_nltk = np.mean([1 - len(set(some)) / len(some) for some in found])
    counts = CountVectorizer(ngram_range=(4, 4), token_pattern=r"\S+", lowercase=False).fit_transform(said)
    by_scikit_learn = np.mean(1 - np.diff(counts.indptr) / counts.sum(axis=1).A1)
    ours = measured("repetition", ["x"] * len(said), said)
    assert ours == pytest.approx(by_nltk, abs=1e-12)
    assert ours == pytest.approx(by_scikit_learn, abs=1e-12)


def test_a_reply_without_four_words_repeats_nothing_where_a_library_has_nothing_to_divide() -> None:
    assert list(ngrams(["no", "no", "no"], 4)) == []
    assert measured("repetition", ["x"], ["no no no"]) == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_of_random_rows_is_that_of_transformers_torch_and_torchmetrics(seed: int) -> None:
    """Ours from the shared forward pass; theirs from one padded batch with labels, a row's own mean weighted by its tokens."""
    rng = np.random.default_rng(seed)
    decoder = decoder_of("llama", seed=seed)
    prompts = [rng.integers(3, N_VOCABULARY, int(rng.integers(1, 6))).tolist() for _ in range(9)]
    replies = [rng.integers(3, N_VOCABULARY, int(rng.integers(1, 9))).tolist() for _ in range(9)]
    width = max(len(one) + len(other) for one, other in zip(prompts, replies, strict=True))
    tokens = torch.tensor([[*one, *other, *[0] * (width - len(one) - len(other))] for one, other in zip(prompts, replies, strict=True)])
    wanted = torch.tensor(
        [[*[-100] * len(one), *other, *[-100] * (width - len(one) - len(other))] for one, other in zip(prompts, replies, strict=True)]
    )
    with torch.no_grad():
        theirs = decoder(input_ids=tokens, attention_mask=(tokens > 0).long(), labels=wanted)
    logits, labels = theirs.logits[:, :-1], wanted[:, 1:]
    found = likelihoods(Network(prepare(decoder), torch.float64), prompts, replies, CutPlan("forest", 64, 0))
    metric = metric_named("loss_nats")
    answers = losses("x", (-found.logp_nats).tolist(), found.n_tokens.tolist()).answers
    ours = value_of(metric, metric.statistics(golds(["x"] * 9), answers))
    # The family computes its norms in float32.
    assert ours == pytest.approx(float(theirs.loss), abs=1e-5)
    assert ours == pytest.approx(float(cross_entropy(logits.flatten(0, 1), labels.flatten())), abs=1e-5)
    assert ours == pytest.approx(math.log(float(perplexity(logits, labels, ignore_index=-100))), abs=1e-5)


def test_the_truth_is_measured_as_transformers_measures_the_reply_and_its_bytes_as_polars_counts_them() -> None:
    """From examples to nats and bits for each byte: prompt masked, the stop token measured, of which no byte is written."""
    tokenizer = tokenizer_of("chatml")
    decoder = decoder_of("llama", vocab_size=tokenizer.n_vocabulary)
    examples = [Pair(str(i), f"question {i}?", text) for i, text in enumerate(("Paris, of course.", "naïve café", "日本語", "x"))]
    speaker = Speaker(Network(prepare(decoder_of("llama", vocab_size=tokenizer.n_vocabulary)), torch.float64), tokenizer, "forest", 128)
    nats, n_tokens, n_bytes = truth_nats(speaker, examples, 128)
    total, count = 0.0, 0
    for example in examples:
        asked = [{"role": "user", "content": example.prompt}]
        prompt = tokenizer.inner.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        before, reply = (tokenizer.inner.encode(text, add_special_tokens=False) for text in (prompt, f"{example.completion}<|im_end|>"))
        tokens = torch.tensor([[*before, *reply]])
        with torch.no_grad():
            loss = decoder(input_ids=tokens, labels=torch.tensor([[*[-100] * len(before), *reply]])).loss
        total, count = total + float(loss) * len(reply), count + len(reply)
    size = pl.Series([example.completion for example in examples]).str.len_bytes().sum()
    gold = [Gold(example.id, truth_of(example)) for example in examples]
    answers = [
        Answer(one.id, None, None, float(x), int(n), int(b)) for one, x, n, b in zip(gold, nats, n_tokens, n_bytes, strict=True)
    ]
    for name, value in (("loss_nats", total / count), ("bits_per_byte", total / math.log(2) / size)):
        metric = metric_named(name)
        assert value_of(metric, metric.statistics(gold, answers)) == pytest.approx(value, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=6))
def test_bits_per_byte_of_a_model_of_single_bytes_is_scipys_entropy_of_them(texts: list[str]) -> None:
    """A model that gives each byte its share of all bytes needs their entropy for each, however the text is cut into tokens."""
    shares = np.bincount(np.frombuffer("".join(texts).encode(), dtype=np.uint8), minlength=256).astype(np.float64)
    shares /= shares.sum()
    answers = [
        Answer(f"{i:04}", None, None, float(-np.log(shares[list(text.encode())]).sum()), 1 + i, len(text.encode()))
        for i, text in enumerate(texts)
    ]
    metric = metric_named("bits_per_byte")
    assert value_of(metric, metric.statistics(golds(texts), answers)) == pytest.approx(entropy(shares, base=2), abs=1e-9)
