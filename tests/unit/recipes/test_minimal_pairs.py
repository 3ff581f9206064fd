"""The grammatical minimal pairs that sprout is judged on, and the judge."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from tests.conftest import ROOT
from tests.made_models import make_model
from tests.recipe_scripts import sprout_script

from luthier.core.files import read_jsonl
from luthier.models.load import Base, load

FOLDER = ROOT / "recipes" / "sprout"
ROWS = list(read_jsonl(FOLDER / "minimal_pairs.jsonl"))
GOOD, BAD = [str(row["good"]) for row in ROWS], [str(row["bad"]) for row in ROWS]


@pytest.fixture(scope="module")
def judge() -> ModuleType:
    return sprout_script("judge_pairs")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


def word_edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein's distance between two lists of words."""
    last = list(range(len(b) + 1))
    for i, one in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (one != other)))
        last = row
    return last[-1]


def test_there_are_ten_phenomena_with_25_pairs_or_more_each() -> None:
    counts = Counter(row["phenomenon"] for row in ROWS)
    assert len(counts) == 10
    assert min(counts.values()) >= 25
    assert max(counts.values()) <= 30
    assert all(set(row) == {"phenomenon", "good", "bad"} for row in ROWS)


def test_no_sentence_stands_twice() -> None:
    assert len({sentence.lower() for sentence in GOOD + BAD}) == 2 * len(ROWS)


def test_every_sentence_begins_with_a_capital_and_ends_with_a_mark() -> None:
    for good, bad in zip(GOOD, BAD, strict=True):
        assert good.isascii()
        assert bad.isascii()
        assert good[0].isupper()
        assert bad[0].isupper()
        assert good[-1] in ".?!"
        assert bad[-1] in ".?!"
        assert 3 <= len(good.split()) <= 11


def test_the_sentences_of_a_pair_differ_by_one_to_three_words() -> None:
    wide = [(good, bad) for good, bad in zip(GOOD, BAD, strict=True) if not 1 <= word_edits(good.split(), bad.split()) <= 3]
    assert wide == []


def test_length_gives_the_answer_in_few_pairs() -> None:
    difference = np.array([len(bad.split()) - len(good.split()) for good, bad in zip(GOOD, BAD, strict=True)])
    assert (difference == 0).mean() >= 0.85
    assert np.abs(difference).max() <= 2
    assert abs(int((difference > 0).sum()) - int((difference < 0).sum())) <= 10


def test_first_words_vary() -> None:
    first = Counter(sentence.split()[0] for sentence in GOOD)
    assert max(first.values()) / len(GOOD) < 0.08
    assert len(first) >= 80


def test_agreement_asks_for_singular_and_for_plural_verbs() -> None:
    verbs = {"is", "was", "has", "does"}, {"are", "were", "have", "do"}
    for phenomenon in ("subject_verb_agreement", "agreement_across_attractor"):
        wanted = [0, 0]
        for row in ROWS:
            if row["phenomenon"] == phenomenon:
                new = set(str(row["good"]).lower().split()) - set(str(row["bad"]).lower().split())
                wanted = [n + bool(new & of) for n, of in zip(wanted, verbs, strict=True)]
        assert min(wanted) >= 4


def read_alone(base: Base, begin: int, pair: object) -> float:
    """The margin of a pair as `transformers` has it, a sentence at a time."""
    base.network.decoder.set_attn_implementation("eager")

    def logp(sentence: str) -> float:
        tokens = [begin, *base.tokenizer.encode(sentence)]
        with torch.no_grad():
            logps = base.network.decoder(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].double().log_softmax(-1)
        return sum(float(logps[t, token]) for t, token in enumerate(tokens[1:]))

    return logp(pair.good) - logp(pair.bad)  # type: ignore[attr-defined]


def test_a_margin_is_the_difference_of_the_sentences_log_probabilities_read_alone(judge: ModuleType, model: Path) -> None:
    base = load(str(model))
    pairs = judge.read_pairs()[::40]
    found = judge.margins_nats(base, pairs)
    assert base.tokenizer.bos_id is None
    assert found == pytest.approx([read_alone(base, base.tokenizer.eos_id, pair) for pair in pairs], abs=1e-4)


def test_the_begin_token_stands_before_a_sentence_where_the_model_has_one(judge: ModuleType) -> None:
    base = load("sprout")
    pair = judge.MinimalPair("made_up", "She sings.", "They sings.")
    found = judge.margins_nats(base, [pair])
    assert base.tokenizer.bos_id == base.tokenizer.encode("<|begin|>")[0]
    assert float(found[0]) == pytest.approx(read_alone(base, base.tokenizer.bos_id, pair), abs=1e-3)


def test_shares_are_counted_by_phenomenon_and_a_tie_is_wrong(judge: ModuleType) -> None:
    pairs = [judge.MinimalPair(name, "a", "b") for name in ("x", "y", "x", "x", "y", "x")]
    found = judge.accuracies(pairs, np.array([1.0, -1.0, 0.5, 0.0, 2.0, -3.0]))
    assert list(found) == ["all", "x", "y"]
    assert [(share.value, share.n) for share in found.values()] == [(0.5, 6), (0.5, 4), (0.5, 2)]
    z = 1.959963984540054  # Wilson's interval of 2 of 4, by hand: its centre is 1/2, its half-width z·√(1/16 + z²/64)/(1 + z²/4)
    half = z * math.sqrt(1 / 16 + z**2 / 64) / (1 + z**2 / 4)
    assert (found["x"].low, found["x"].high) == pytest.approx((0.5 - half, 0.5 + half))


def test_the_table_has_a_row_for_each_phenomenon_and_a_column_for_each_model(judge: ModuleType) -> None:
    share = judge.Share(0.75, 0.5, 0.9, 4)
    assert judge.table({"one": {"all": share}, "two": {"all": judge.Share(1.0, 0.51, 1.0, 4)}}).splitlines() == [
        "| phenomenon | pairs | one | two |", "|---|---|---|---|", "| all | 4 | 0.75 (0.50 to 0.90) | 1.00 (0.51 to 1.00) |",
    ]  # fmt: skip
