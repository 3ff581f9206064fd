"""What sprout is trained on: only what it may be, each text once, and the same bytes every time."""

from __future__ import annotations

import json
import re
import sys
import zlib
from pathlib import Path
from types import ModuleType

import pytest
from tests.made_shared import LEFT_OUT, made_shared
from tests.recipe_scripts import sprout_script

SETS = {"books", "peps", "dialogues", "questions", "instructions", "messages"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_shared(tmp_path_factory.mktemp("made"))


@pytest.fixture
def corpus(shared: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = sprout_script("corpus")
    monkeypatch.setattr(module, "RECIPE", shared.parent / "recipe.toml")
    monkeypatch.setattr(module, "PIECE_CHARACTERS", 900)
    monkeypatch.setattr(module, "DEVELOPMENT_SHARE", 8)
    return module


def test_every_set_is_in_the_corpus_and_in_the_development_texts_and_no_text_is_in_both(corpus: ModuleType, shared: Path) -> None:
    documents, held = corpus.documents(shared), corpus.development(shared)
    assert {one.set for one in documents} == set(held) == SETS
    assert all(held.values())
    trained = {one.text for one in documents}
    assert len(trained) == len(documents)
    assert not trained & {text for texts in held.values() for text in texts}


def test_pieces_of_one_book_stand_on_one_side(corpus: ModuleType, shared: Path) -> None:
    trained, held = (
        {title for text in texts for title in re.findall(r"\[(Book \d+)\]", text)}
        for texts in ([one.text for one in corpus.documents(shared)], corpus.development(shared)["books"])
    )
    assert len(trained) > len(held) > 0
    assert not trained & held


def test_the_books_that_are_measured_on_are_in_neither(corpus: ModuleType, shared: Path) -> None:
    texts = [one.text for one in corpus.documents(shared)] + [text for some in corpus.development(shared).values() for text in some]
    assert set(LEFT_OUT) <= set(corpus.LEFT_OUT)
    assert not any(f"[{title}]" in text for title in LEFT_OUT for text in texts)


def test_the_order_is_that_of_the_texts_own_hashes(corpus: ModuleType, shared: Path) -> None:
    for texts in ([one.text for one in corpus.documents(shared)], *corpus.development(shared).values()):
        assert texts == sorted(texts, key=corpus.order_key)


def test_the_tenth_of_the_instructions_that_is_for_tests_is_in_nothing(corpus: ModuleType, shared: Path) -> None:
    rows = [json.loads(line) for line in corpus.lines_of(shared, "dolly")]
    theirs = [row["instruction"].strip() for row in rows if zlib.crc32(row["instruction"].encode()) % 10 == 0]
    everything = json.dumps([one.text for one in corpus.documents(shared)] + [*corpus.development(shared).values()])
    everything += json.dumps(corpus.conversations(shared))
    assert len(theirs) > 10
    assert [one for one in theirs if json.dumps(one)[1:-1] in everything] == []


def test_a_long_text_is_cut_between_paragraphs_and_nothing_of_it_is_lost(corpus: ModuleType) -> None:
    text = "\n\n".join(f"{n} " + "word " * 60 for n in range(20))
    found = list(corpus.pieces(text))
    assert len(found) > 3
    assert "\n\n".join(found).split() == text.split()
    assert all(len(piece) < 900 + 400 for piece in found)


def test_conversations_are_short_questions_with_short_answers_and_none_is_kept_for_development(corpus: ModuleType, shared: Path) -> None:
    found = corpus.conversations(shared)
    assert {one["set"] for one in found} == {"dolly", "openbookqa"}
    for one in found:
        asked, answered = one["messages"]
        assert (asked["role"], answered["role"]) == ("user", "assistant")
        assert len(answered["content"].split()) <= corpus.MOST_ANSWERED
    held = "\n".join(corpus.development(shared)["instructions"] + corpus.development(shared)["questions"])
    assert not any(f"<|user|>{one['messages'][0]['content']}<|turn_end|>" in held for one in found)


def test_messages_are_what_somebody_says_first_without_the_template(corpus: ModuleType, shared: Path) -> None:
    found = {one.text for one in corpus.documents(shared) if one.set == "messages"}
    turns = [json.loads(line)["turns"] for line in corpus.lines_of(shared, "sgd")]
    later = {turn["text"] for some in turns for turn in some[1:]}
    assert len(found & {some[0]["text"] for some in turns}) > 100
    assert not found & later
    assert not any("<|" in one for one in found)


def test_a_set_takes_no_more_bytes_than_the_mixture_gives_it(corpus: ModuleType, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [one for one in corpus.documents(shared) if one.set == "peps"]
    monkeypatch.setitem(corpus.MOST_BYTES, "peps", 5_000)
    some = [one for one in corpus.documents(shared) if one.set == "peps"]
    assert 5_000 <= sum(len(one.text.encode()) for one in some) < 5_000 + max(len(one.text.encode()) for one in whole)
    assert {one.text for one in some} < {one.text for one in whole}


def test_equal_inputs_give_equal_bytes(corpus: ModuleType, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        monkeypatch.setattr(sys, "argv", ["corpus.py", "--shared", str(shared), "--out", str(tmp_path / name)])
        corpus.main()
    names = {str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*.json*")}
    assert names >= {"corpus.jsonl", "instruct.jsonl", "development.jsonl", "shape/config.json", "shape/tokenizer.json"}
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_a_shape_has_as_many_parameters_as_it_says() -> None:
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    shape = sprout_script("shape")
    for one in (shape.Shape(512, 64, 1), shape.Shape(512, 128, 2), shape.Shape(512, 192, 1, tied=False)):
        settings = {name: value for name, value in one.config().items() if name not in ("architectures", "model_type", "dtype")}
        model = AutoModelForCausalLM.from_config(LlamaConfig(**settings), dtype=torch.float32)
        assert sum(tensor.numel() for tensor in model.parameters()) == one.n_parameters
