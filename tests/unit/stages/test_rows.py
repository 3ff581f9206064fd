"""Examples to rows, made or read back from the cache: the same rows in any case."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.small import CHATML, tokenizer_of

from luthier.core.errors import LuthierErrors
from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Text
from luthier.core.messages import Message, OtherPart
from luthier.models.tokenizer import LoadedTokenizer
from luthier.objectives import AnyObjective, Classify, Imitate
from luthier.stages.rows import Rowed, to_rows
from luthier.text.renderer import Renderer
from luthier.text.rows import rows_digest
from luthier.text.truncation import TooLong


def chat(i: int, *turns: str) -> Chat:
    roles = ("user", "assistant")
    return Chat(f"row {i}", tuple(Message(roles[t % 2], text) for t, text in enumerate(turns)), source=f"rows.jsonl:{i}")  # type: ignore[arg-type]


CHATS: list[AnyExample] = [
    chat(0, "What is the capital of France?", "Paris, of course.", "Thank you", "you are welcome"),
    chat(1, "hello"),  # nothing is trained
    Pair("row 2", "The cat sat on", "the mat"),
    chat(3, "hello " * 60, "a"),  # fits once cut
    chat(4, "hello", "the quick brown fox " * 40),  # no cut makes it fit
    *(chat(i, "hello " * (i % 7), f"reply {i}") for i in range(5, 150)),
]
TEXTS: list[AnyExample] = [Labelled("a", "The dog lay by the door", "dog"), Labelled("b", "The cat", "cat"), Labelled("c", "The cow", None)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rows"


def make(
    examples: Sequence[AnyExample] = CHATS,
    objective: AnyObjective | None = None,
    tokenizer: LoadedTokenizer | None = None,
    max_tokens: int = 60,
    too_long: TooLong = "cut",
) -> Rowed:
    return to_rows(examples, objective or Imitate(), Renderer(tokenizer or fresh()), max_tokens, too_long)


def fresh(template: str = "chatml") -> LoadedTokenizer:
    """The same tokenizer, which remembers nothing."""
    return LoadedTokenizer(tokenizer_of(template).inner)


def said(rowed: Rowed) -> object:
    """All that there is to know of rows."""
    ids = [[row.id for row in unit] for unit in rowed.units]
    return rows_digest(rowed.rows), ids, [one.id for one in rowed.examples], rowed.counts()


def test_rows_read_back_are_the_rows_made(cache: Path) -> None:
    made = make()
    assert len(list(cache.iterdir())) == 1
    assert (made.n_too_long, made.n_cut, made.n_dropped, made.n_unsupervised) == (2, 1, 1, 1) and made.n_tokens_removed > 0
    again = make()
    assert said(again) == said(made) and len(again.units) == len(CHATS) - 2
    assert all(unit[0].tokens.base is not None for unit in again.units), "they were read: views of one array"


@pytest.mark.parametrize("objective", [Imitate(), Imitate(window=30), Classify(("cat", "dog"))], ids=str)
def test_every_objective_gives_rows_that_can_be_kept(cache: Path, objective: AnyObjective) -> None:
    examples = TEXTS if isinstance(objective, Classify) else [*CHATS, Text("t", "The quick brown fox. " * 9)]
    made = make(examples, objective)
    assert len(list(cache.iterdir())) == 1 and said(make(examples, objective)) == said(made)


def test_what_is_remembered_changes_nothing(cache: Path) -> None:
    wanted = said(make())
    used = fresh()
    for tokenizer in (used, used, fresh()):
        for path in cache.iterdir():
            path.unlink()
        assert said(make(tokenizer=tokenizer)) == wanted


def test_whatever_shapes_rows_makes_rows_of_its_own(cache: Path) -> None:
    first = CHATS[0]
    assert isinstance(first, Chat)
    weightless = dataclasses.replace(first.messages[1], weight=0.5)
    other_template = LoadedTokenizer(copy.copy(fresh().inner))
    other_template.inner.chat_template = str(CHATML).replace("<|im_end|>' + '\n'", "<|im_end|>' + '\n\n'")
    bigger = LoadedTokenizer(copy.deepcopy(fresh().inner))
    bigger.inner.add_tokens(["France"])
    asked: list[dict[str, object]] = [
        {}, {"max_tokens": 61}, {"too_long": "drop"}, {"objective": Imitate(window=9)}, {"tokenizer": fresh("llama3")},
        {"tokenizer": other_template}, {"tokenizer": bigger}, {"examples": CHATS[:-1]}, {"examples": CHATS[::-1]},
        {"examples": [dataclasses.replace(first, id="other"), *CHATS[1:]]},
        {"examples": [dataclasses.replace(first, messages=(first.messages[0], weightless, *first.messages[2:])), *CHATS[1:]]},
    ]  # fmt: skip
    made = [said(make(**one)) for one in asked]  # type: ignore[arg-type]
    assert len(list(cache.iterdir())) == len(asked)
    assert [said(make(**one)) for one in asked] == made  # type: ignore[arg-type]
    assert len({str(one) for one in made}) >= len(asked) - 1, "a window changes texts only"


def test_where_a_row_stood_and_what_else_it_holds_changes_no_rows(cache: Path) -> None:
    make()
    moved = [dataclasses.replace(one, source="elsewhere:1", extra={"a": 1}) for one in CHATS]
    found = make(moved)
    assert len(list(cache.iterdir())) == 1 and found.examples[0].source == "elsewhere:1"


def test_rows_asked_for_anew_are_neither_read_nor_kept(cache: Path) -> None:
    def anew() -> Rowed:
        return to_rows(CHATS, Imitate(), Renderer(fresh()), 60, "cut", anew=True)

    anew()
    assert not cache.exists() or not list(cache.iterdir())
    kept = make()
    (path,) = cache.iterdir()
    written = path.read_bytes()
    assert said(anew()) == said(kept) and path.read_bytes() == written
    assert all(unit[0].tokens.base is None for unit in anew().units), "they were made: an array each"


def test_a_damaged_file_is_made_anew(cache: Path) -> None:
    made = said(make())
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-3] + b"abc")
    assert said(make()) == made
    assert path.read_bytes()[-3:] == whole[-3:], "and kept again"


def test_without_a_place_to_write_rows_are_made_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "file" / "cache"))
    assert len(make().units) == len(CHATS) - 2


def test_a_template_that_asks_for_the_day_is_rendered_each_time(cache: Path) -> None:
    dated = LoadedTokenizer(copy.copy(fresh().inner))
    dated.inner.chat_template = "{{ strftime_now('%d') }}" + str(tokenizer_of("chatml").inner.chat_template)
    assert dated.fingerprint is None
    make(tokenizer=dated)
    assert not cache.exists()


def test_all_that_is_wrong_is_told_at_once_in_order_and_nothing_is_kept(cache: Path) -> None:
    unreadable = Chat("x", (Message("user", (OtherPart("image"),)), Message("assistant", "a")), source="rows.jsonl:900")
    with pytest.raises(LuthierErrors) as caught:
        make([unreadable, *CHATS, dataclasses.replace(unreadable, source="rows.jsonl:901")], too_long="error")
    assert [one.where for one in caught.value.errors] == ["rows.jsonl:900", "rows.jsonl:3", "rows.jsonl:4", "rows.jsonl:901"]
    assert not cache.exists()
