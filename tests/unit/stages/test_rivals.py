"""The base model as a rival: what it is shown, that it is never shown more than fits, and by what the number is chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.small import network_of, tokenizer_of

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Labelled, Pair
from luthier.core.interrupts import Interrupted, Interruption
from luthier.core.messages import Message
from luthier.evaluate.metrics import metric_named
from luthier.generate.likelihood import likelihoods
from luthier.serve.bundle import Card
from luthier.stages import answering, rivals
from luthier.stages.answering import Speaker, label_nats, question_of, truth_nats
from luthier.stages.recipe import Recipe, load_recipe
from luthier.stages.rivals import SHOTS, Sides, few_shot, room_for_shots
from luthier.stages.shots import behind, most_that_fit

LABELS = ("mi", "so")
CONTEXT = 400


def speaker_of(template: str = "chatml", context: int = CONTEXT, layout: str = "forest") -> Speaker:
    tokenizer = tokenizer_of(template)
    network = network_of("llama", torch.float64, vocab_size=len(tokenizer.inner), max_position_embeddings=context)
    return Speaker(network, tokenizer, layout, context)  # type: ignore[arg-type]


def recipe_of(tmp_path: Path, task: str, metric: str) -> Recipe:
    (tmp_path / "recipe.toml").write_text(f'name = "r"\n[goal]\ntask = "{task}"\nmetric = "{metric}"\n[data]\nsource = "rows.csv"\n')
    return load_recipe(tmp_path / "recipe.toml")


def card_of(task: str, max_reply_tokens: int = 6) -> Card:
    return Card("r", task, "tiny", "", "lora", "forest", 96, max_reply_tokens, LABELS if task == "classify" else ())


def labelled(n: int, seed: int, words: int = 2) -> list[Labelled]:
    draw = np.random.default_rng(seed)
    return [Labelled(f"{seed}-{i}", " ".join(draw.choice(["the", "cat", "dog", "mat"], size=words)), LABELS[i % 2]) for i in range(n)]


def pairs(n: int, seed: int, words: int = 2) -> list[Pair]:
    return [Pair(row.id, row.text, (row.label or "") + " thank you") for row in labelled(n, seed, words)]


def sides_of(rows: Sequence[Sequence[AnyExample]]) -> Sides:
    return Sides(*rows)


def test_a_label_behind_examples_is_as_likely_as_the_conversation_written_out_says() -> None:
    speaker = speaker_of()
    shots = [[("cat", "so"), ("dog", "mi")], [("mat", "mi")]]
    found = label_nats(speaker, LABELS, "Say it", ["the cat", "the dog"], "", shots)
    opening = "Say it. The labels are: mi, so. Answer with the label alone.\n\n"
    for i, (text, turns) in enumerate(zip(["the cat", "the dog"], shots, strict=True)):
        messages = []
        for asked, said in turns:
            messages += [Message("user", f"{opening}Text: {asked}\n\nLabel:"), Message("assistant", said)]
            opening = ""
        messages.append(Message("user", f"Text: {text}\n\nLabel:"))
        opening = "Say it. The labels are: mi, so. Answer with the label alone.\n\n"
        prompt = speaker.renderer.prompt(Chat("", tuple(messages)))
        replies = [speaker.renderer.reply(Chat("", (Message("user", "?"), Message("assistant", label)))) for label in LABELS]
        one_by_one = [likelihoods(speaker.network, [prompt], [reply], speaker.plan).logp_nats[0] for reply in replies]
        assert found[i].tolist() == pytest.approx(one_by_one, abs=1e-9)


def test_the_examples_are_the_nearest_training_rows_and_the_nearest_stands_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = [Labelled("0", "a cat", "so"), Labelled("1", "a dog and a cat", "mi"), Labelled("2", "a dog", "so"), Labelled("3", "mat", "mi")]
    seen: list[Sequence[Sequence[tuple[str, str | None]]]] = []

    def watched(*given: object) -> object:
        seen.append(given[-1])  # type: ignore[arg-type]
        return label_nats(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(answering, "label_nats", watched)
    test = [Labelled("t", "a dog", None)]
    found = few_shot(recipe_of(tmp_path, "classify", "accuracy"), card_of("classify"), speaker_of(), sides_of([train, [], test]))
    assert seen == [[[("mat", "mi"), ("a cat", "so"), ("a dog and a cat", "mi"), ("a dog", "so")]]]
    assert "4 of them, as there are no validation rows to choose by" in found.about


def test_as_many_of_the_last_examples_stand_in_a_prompt_as_there_is_room_for() -> None:
    for room in range(12):
        found = most_that_fit("abcdefgh", lambda kept: [*range(2), *kept], room)  # type: ignore[list-item]
        n = min(room - 2, 8)
        assert found == (None if room < 2 else ([*"abcdefgh"[8 - n :]], [0, 1, *"abcdefgh"[8 - n :]]))


@pytest.mark.parametrize("n_long", [1, 2])
def test_an_example_that_is_too_long_does_not_keep_out_those_that_there_is_room_for(n_long: int) -> None:
    for place in range(6):
        shots = ["bb"] * 5
        shots[place:place] = ["a" * 99] * n_long
        found = most_that_fit(shots, lambda kept: [0, *range(sum(map(len, kept)))], 30)
        assert found is not None and found[0] == ["bb"] * 5
    assert most_that_fit(["a" * 99] * 9, lambda kept: [0, *range(sum(map(len, kept)))], 30) == ([], [0])


def test_examples_that_a_template_refuses_are_left_out() -> None:
    def refused(kept: Sequence[str]) -> list[int]:
        if len(kept) > 1:
            raise LuthierError("a conversation", "no", "leave it")
        return [0]

    assert most_that_fit("abc", refused, 9) == (["c"], [0])


@pytest.mark.parametrize("context", [24, 60, 100, CONTEXT])
@pytest.mark.parametrize("task", ["classify", "answer"])
def test_lack_of_room_is_no_error_however_long_the_rows_are(task: str, context: int, tmp_path: Path) -> None:
    made = labelled if task == "classify" else pairs
    rows = [made(5, 0, 30), made(3, 1, 12), [*made(2, 2, 3), made(1, 3, 300)[0]]]
    speaker = speaker_of(context=context)
    found = few_shot(recipe_of(tmp_path, task, "accuracy" if task == "classify" else "chrf"), card_of(task), speaker, sides_of(rows))
    assert [answer.id for answer in found.answers] == [row.id for row in rows[2]]
    assert all(answer.text is not None for answer in found.answers)


@pytest.mark.parametrize("template", ["chatml", "thinking", "llama3", "mistral", "strict", "no_stop", "plain"])
@pytest.mark.parametrize("task", ["classify", "answer"])
def test_each_kind_of_template_can_show_examples(template: str, task: str, tmp_path: Path) -> None:
    made = labelled if task == "classify" else pairs
    recipe = recipe_of(tmp_path, task, "accuracy" if task == "classify" else "chrf")
    found = few_shot(recipe, card_of(task), speaker_of(template), sides_of([made(4, 0), made(2, 1), made(2, 2)]))
    assert len(found.answers) == 2
    assert "at most " in found.about


def test_a_number_of_examples_is_chosen_by_the_goals_metric_and_equals_take_fewer() -> None:
    accuracy, brier = metric_named("accuracy"), metric_named("brier")
    values = {1: 0.5, 4: 0.9, 8: 0.9, 16: None}
    assert rivals._best(accuracy, values)[0] == 4
    assert rivals._best(brier, values)[0] == 1
    assert rivals._best(accuracy, {})[0] == rivals.SHOTS_UNCHOSEN
    assert "1: 0.500, 4: 0.900, 8: 0.900, 16: –" in rivals._best(accuracy, values)[1]


@pytest.mark.parametrize("metric", ["loss_nats", "bits_per_byte", "chrf", "exact_match"])
def test_the_test_rows_have_no_say_in_the_number_of_examples(metric: str, tmp_path: Path) -> None:
    """What is asked of other test rows changes, and the choice, with its value for each number, stays."""
    recipe, speaker = recipe_of(tmp_path, "answer", metric), speaker_of()
    told = {few_shot(recipe, card_of("answer"), speaker, sides_of([pairs(20, 0), pairs(4, 1), pairs(2, seed)])).about for seed in (2, 3)}
    assert len(told) == 1
    assert all(f"{n}: " in next(iter(told)) for n in SHOTS)


def test_numbers_greater_than_the_training_rows_are_not_tried(tmp_path: Path) -> None:
    about = few_shot(recipe_of(tmp_path, "classify", "accuracy"), card_of("classify"), speaker_of(), sides_of(
        [labelled(5, 0), labelled(3, 1), labelled(2, 2)]
    )).about  # fmt: skip
    assert "1: " in about and "4: " in about
    assert "8: " not in about and "16: " not in about


def test_examples_stand_behind_the_rows_own_system_prompt_and_are_context_only() -> None:
    turns = (Message("user", "a"), Message("assistant", "b", weight=1.0), Message("user", "left over"))
    shot = Chat("s", (Message("system", "other"), *turns))
    own = Chat("o", (Message("system", "be brief"), Message("user", "c"), Message("assistant", "d")))
    found = behind(own, [shot, Pair("p", "e", "f")])
    assert [(message.role, message.text) for message in found.messages] == [
        ("system", "be brief"), ("user", "a"), ("assistant", "b"), ("user", "e"), ("assistant", "f"), ("user", "c"), ("assistant", "d"),
    ]  # fmt: skip
    assert [message.trained_weight for message in found.messages if message.role == "assistant"] == [0.0, 0.0, 1.0]
    assert found.id == "o"


def test_a_truth_behind_examples_is_measured_by_its_own_tokens_alone() -> None:
    speaker = speaker_of()
    own, shots = Pair("o", "the cat", "on the mat"), [Pair("a", "the dog", "by the door"), Pair("b", "cat", "mat")]
    (nats,), (n_tokens,), (n_bytes,) = truth_nats(speaker, [behind(own, shots)], CONTEXT)
    prompt = speaker.renderer.prompt(question_of(behind(own, shots)))
    reply = speaker.renderer.reply(Chat("", (Message("user", "the cat"), Message("assistant", "on the mat"))))
    wanted = likelihoods(speaker.network, [prompt], [reply], speaker.plan)
    assert nats == pytest.approx(-wanted.logp_nats[0], abs=1e-9)
    assert (n_tokens, n_bytes) == (len(reply), len(b"on the mat"))


def test_bytes_are_those_of_the_text_that_was_measured() -> None:
    chat = Chat("c", (Message("user", "a"), Message("assistant", "naïve café"), Message("user", "b"), Message("assistant", "日本語")))
    _, _, n_bytes = truth_nats(speaker_of(), [chat, Pair("p", "x", "Grüße"), Pair("long", "y", "word " * 900)], CONTEXT)
    assert n_bytes.tolist() == [len("naïve café日本語".encode()), len("Grüße".encode()), 0]


def test_a_padded_model_says_the_same_as_a_forest(tmp_path: Path) -> None:
    rows = [labelled(6, 0), labelled(4, 1), labelled(3, 2)]
    recipe = recipe_of(tmp_path, "classify", "macro_f1")
    forest, padded = (
        few_shot(recipe, card_of("classify"), speaker_of(layout=layout), sides_of(rows)) for layout in ("forest", "padded")
    )
    assert forest.about == padded.about
    for one, other in zip(forest.answers, padded.answers, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-9)


@pytest.mark.parametrize("task", ["classify", "answer"])
def test_somebody_who_asks_to_stop_is_heard_between_two_batches(task: str, tmp_path: Path) -> None:
    interruption = Interruption()
    interruption.request()
    made = labelled if task == "classify" else pairs
    speaker = replace(speaker_of(), pause=interruption.check)
    recipe = recipe_of(tmp_path, task, "accuracy" if task == "classify" else "loss_nats")
    for system in (rivals.base, few_shot):
        with pytest.raises(Interrupted):
            system(recipe, card_of(task), speaker, sides_of([made(4, 0), made(2, 1), made(2, 2)]))


def test_prompts_with_examples_fill_the_context_up_to_what_anybody_would_wait_for() -> None:
    assert room_for_shots(2048, 128) == 2048
    assert room_for_shots(40_960, 512) == 4096
    assert room_for_shots(40_960, 8192) == 8192


def test_the_rows_to_choose_by_are_drawn_from_the_whole_file_and_always_the_same() -> None:
    """A file may be sorted by label, and its first rows all alike."""
    rows = list(range(200))
    found = rivals._some(rows, 32, 0)
    assert found == sorted(set(found)) == rivals._some(rows, 32, 0) != rivals._some(rows, 32, 1)
    assert len(found) == 32
    assert min(found) < 50 and max(found) > 150
    assert rivals._some(rows[:5], 32, 0) == rows[:5]


def test_replies_to_many_questions_are_those_to_each_by_itself_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long and short questions go to the engine in parts; float64 leaves greedy decoding no room for another choice."""
    speaker = speaker_of()
    asked = [Pair(str(i), f"{'the cat ' * (7 * i % 11)}{i}", "so") for i in range(12)]
    alone = [answering.reply(speaker, [one], 8)[0] for one in asked]
    assert len(set(alone)) > 3
    assert answering.reply(speaker, asked, 8) == alone
    monkeypatch.setattr(answering, "REPLY_NODES", 1)
    crowded = replace(speaker, max_tokens=60)
    assert answering.reply(crowded, asked, 8) == [answering.reply(crowded, [one], 8)[0] for one in asked]


def test_labels_are_read_by_what_the_validation_rows_said_to_the_chosen_number_of_examples(tmp_path: Path) -> None:
    """The value that the reading was chosen by is the very value that the number of examples was chosen by."""
    numbers = set()
    for seed in range(6):
        sides = sides_of([labelled(9, 10 + seed, 4), labelled(7, 30 + seed, 3), labelled(2, 2)])
        about = few_shot(recipe_of(tmp_path, "classify", "brier"), card_of("classify"), speaker_of(), sides).about
        number = re.search(r"at most (\d+) of them", about)
        assert number
        numbers.add(number[1])
        tried = dict(re.findall(r"(\d+): ([\d.]+)", about))
        assert re.findall(r"\(validation brier ([\d.]+)\)", about) == [tried[number[1]]]
        assert float(tried[number[1]]) == min(map(float, tried.values()))
    assert numbers - {"1"}, "else the first number would do"


def test_questions_are_shown_behind_the_nearest_conversations_that_leave_them_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = [Pair("0", "a cat", "one"), Pair("1", "a dog and a cat", "two"), Pair("2", "a dog", "three"), Pair("3", "mat", "four")]
    seen: list[list[str]] = []
    reply = answering.reply

    def watched(speaker: Speaker, rows: Sequence[AnyExample], *other: object) -> list[str]:
        seen.extend([message.text for message in question_of(row).messages if message.role == "user"] for row in rows)
        return reply(speaker, rows, *other)  # type: ignore[arg-type]

    monkeypatch.setattr(answering, "reply", watched)
    sides = sides_of([train, [], [Pair("t", "a dog", "x")]])
    for context in (CONTEXT, 60):
        few_shot(recipe_of(tmp_path, "answer", "chrf"), card_of("answer"), speaker_of(context=context), sides)
    assert seen[0] == ["mat", "a cat", "a dog and a cat", "a dog", "a dog"]
    assert seen[1] == seen[0][-len(seen[1]) :] and 1 < len(seen[1]) < 5
