"""What steps are handed by a stage: models that say things in other words, and the files and models that a recipe names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.small import tokenizer_of
from tests.unit.models.test_load import saved

from luthier.core.errors import LuthierError
from luthier.core.generator import Piece, Reply, Sampling
from luthier.data.augment import Paraphrase, Typos
from luthier.data.pipeline import Prepare
from luthier.data.steps import Contamination, Length, OwnFilter, SemanticDuplicates
from luthier.stages.step_files import rooted_steps, shipped_steps, step_hashes
from luthier.stages.step_tools import by_generator, embedder, rephraser
from luthier.text.renderer import Renderer

RENDERER = Renderer(tokenizer_of("chatml"))


class Echo:
    """An engine that says the prompt's last tokens again, as many as it may, and comes to an end if it may say ten."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Sampling]] = []

    def __call__(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Reply]:
        self.asked += [(len(prompt), sampling) for prompt in prompts]
        return [self._reply(tuple(prompt), sampling) for prompt in prompts]

    def stream(self, prompt: Sequence[int], sampling: Sampling) -> Iterator[Piece]:
        raise NotImplementedError

    def _reply(self, prompt: tuple[int, ...], sampling: Sampling) -> Reply:
        said = tuple(RENDERER.tokenizer.encode("the cat sat")) + ((RENDERER.stop_id,) if sampling.temperature < 1 else ())
        return Reply(said, (0.0,) * len(said), "stop" if sampling.temperature < 1 else "length", "")


def test_any_engine_behind_the_protocol_answers_each_prompt_with_room_by_its_own_length() -> None:
    engine = Echo()
    rephrase = by_generator(engine, RENDERER, 1000)
    prompts = ["hi", "the cat " * 40, "hello"]
    assert list(rephrase(prompts, 0.5, 7)) == ["the cat sat"] * 3
    assert {one.seed for _, one in engine.asked} == {7} and {one.temperature for _, one in engine.asked} == {0.5}
    assert all(2 * n <= one.max_tokens <= 4 * n or one.max_tokens == 64 for n, one in engine.asked)
    alone = Echo()
    by_generator(alone, RENDERER, 1000)(["hello"], 0.5, 7)
    assert alone.asked[0] in engine.asked


def test_a_reply_that_does_not_end_and_a_prompt_without_room_give_nothing() -> None:
    assert list(by_generator(Echo(), RENDERER, 1000)(["hi"], 1.0, 0)) == [None]
    engine = Echo()
    assert list(by_generator(engine, RENDERER, 60)(["hi", "the cat " * 40], 0.0, 0)) == ["the cat sat", None]
    assert engine.asked[0][1].max_tokens <= 30


def test_a_model_is_loaded_by_its_folder_and_speaks_and_embeds(tmp_path: Path) -> None:
    source = saved(tmp_path)
    one, two = (rephraser(source)(["the cat", "a dog"], 0.7, 3) for _ in range(2))
    assert list(one) == list(two) and all(said is None or isinstance(said, str) for said in one)
    assert embedder(source)(["the cat"]).shape == (1, 16)


def test_paths_of_files_and_models_are_taken_from_the_recipes_folder(tmp_path: Path) -> None:
    saved(tmp_path / "model")
    said = Prepare(
        (Contamination(against=("test.jsonl",)), Length(), SemanticDuplicates(model="model"), SemanticDuplicates(model="sprout")),
        None,
        (Typos(), Paraphrase(model="./other"), Paraphrase(model="owner/name")),
    )
    steps, augment = rooted_steps(said, tmp_path).steps, rooted_steps(said, tmp_path).augment
    assert steps[0] == Contamination(against=(str(tmp_path / "test.jsonl"),)) and steps[1] == Length()
    assert [getattr(one, "model", None) for one in (*steps[2:], *augment)] == [
        str(tmp_path / "model"), "sprout", None, str(tmp_path / "other"), "owner/name"
    ]  # fmt: skip


def test_what_is_shipped_holds_no_place_of_this_machine_but_of_what_has_to_be_run_again(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text('{"text": "one"}\n', encoding="utf-8")
    (tmp_path / "filters.py").write_text("def keep(row):\n    return True\n", encoding="utf-8")
    filters = tuple(OwnFilter(function="filters.py:keep", changes=changes) for changes in (False, True))
    said = rooted_steps(Prepare((Contamination(against=("test.jsonl",)), Length(), *filters)), tmp_path)
    tests, length, keeps, changes = shipped_steps(said).steps
    assert str(tmp_path) not in repr((tests, length, keeps)) and length == Length()
    assert isinstance(keeps, OwnFilter) and keeps.function == "filters.py:keep" and len(keeps.sha256) == 64
    assert changes == said.steps[3], "what changes a served model's rows has to be found"


def test_both_files_of_a_parallel_test_set_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "exam").mkdir()
    for language in ("en", "de"):
        (tmp_path / "exam" / f"test.{language}").write_text("one\ntwo\n", encoding="utf-8")
    said = Prepare((Contamination(against=(str(tmp_path / "exam"),)),))
    before = step_hashes(said)
    assert {Path(name).name for name in before} == {"test.en", "test.de"}


def test_what_stands_in_the_files_and_models_is_part_of_the_stages_fingerprint(tmp_path: Path) -> None:
    test, folder = tmp_path / "test.jsonl", tmp_path / "model"
    test.write_text('{"text": "one"}\n', encoding="utf-8")
    saved(folder)
    said = Prepare((Contamination(against=(str(test),)),), None, (Paraphrase(model=str(folder)),))
    before = step_hashes(said)
    assert set(before) == {str(test), f"model {folder}"}
    test.write_text('{"text": "two"}\n', encoding="utf-8")
    assert {name for name, value in step_hashes(said).items() if before[name] != value} == {str(test)}
    (folder / "config.json").write_text((folder / "config.json").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert all(before[name] != value for name, value in step_hashes(said).items())
    assert step_hashes(Prepare()) == {}
    with pytest.raises(LuthierError) as caught:
        step_hashes(Prepare((Contamination(against=(str(tmp_path / "no.jsonl"),)), SemanticDuplicates(model=str(tmp_path / "none")))))
    assert len(caught.value.errors) == 2
