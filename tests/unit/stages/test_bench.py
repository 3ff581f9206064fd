"""`luthier bench`: which rows a step sees, what its numbers mean, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.made_models import luthier, make_model
from tests.small import tokenizer_of
from transformers import LlamaForCausalLM

from luthier.core.errors import LuthierError
from luthier.methods import Full, LoRA
from luthier.objectives import Imitate
from luthier.stages.bench import Asked, Taken, bench, in_file_order, precision_name, read_chats
from luthier.text.renderer import Renderer
from luthier.text.rows import make_row
from luthier.train.optim import AdamW

FIELDS = [
    "peer", "versions", "workload", "model", "method", "precision", "layout", "options", "nodes_per_token", "rows_per_s",
    "supervised_tokens_per_s", "tokens_per_s", "step_s_median", "first_loss", "last_loss", "wall_s", "setup_s", "peak_rss_mb",
]  # fmt: skip
TAKEN = Taken(100.0, (104.0, 105.0, 107.0, 112.0), (5.0, 4.0, 3.0, 2.25), (2,) * 4, (50, 10, 20, 30), (9, 1, 2, 3), (25, 10, 10, 10))


def said(*contents: str) -> dict[str, object]:
    """A conversation of these contents, the user first."""
    return {"messages": [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(contents)]}


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("bench") / "tiny")


def test_steps_take_the_rows_in_the_files_order_and_begin_again_after_the_last() -> None:
    units = [(make_row([i, 9], id=str(i)),) for i in range(5)]
    order = [[unit[0].id for unit in in_file_order(units, 2, step)] for step in range(4)]
    assert order == [["0", "1"], ["2", "3"], ["4", "0"], ["1", "2"]]
    assert [unit[0].id for unit in in_file_order(units, 7, 0)] == ["0", "1", "2", "3", "4", "0", "1"]


def test_rates_count_from_the_end_of_the_last_step_of_the_warm_up_to_the_end_of_the_last_step() -> None:
    assert TAKEN.rates(1) == {
        "nodes_per_token": 0.5, "rows_per_s": 0.75, "supervised_tokens_per_s": 0.8, "tokens_per_s": 7.5, "step_s_median": 2.0,
        "first_loss": 5.0, "last_loss": 2.25, "wall_s": 12.0,
    }  # fmt: skip


def test_without_a_warm_up_the_first_step_counts_from_its_beginning() -> None:
    found = TAKEN.rates(0)
    assert (found["rows_per_s"], found["step_s_median"], found["nodes_per_token"]) == (round(8 / 12, 3), 3.0, 0.5)


def test_what_is_measured_is_a_run_of_the_recipe_that_the_options_stand_for() -> None:
    recipe = Asked("sprout", Path("chats.jsonl"), batch=3, learning_rate=1e-3, seed=7).recipe()
    train = recipe.train
    assert (train.batch_rows, train.learning_rate, train.schedule, train.warmup_frac, train.optimizer, train.clip) == (
        3, 1e-3, "constant", 0.0, AdamW(weight_decay=0.0), 1.0,
    )  # fmt: skip
    assert recipe.method == LoRA(rank=16, alpha=32, targets="all-linear", dropout=0) and recipe.seed == 7
    assert Asked("sprout", Path("chats.jsonl"), full=True).recipe().method == Full()


def test_the_number_types_have_the_peers_names() -> None:
    half, whole = torch.bfloat16, torch.float32
    assert [precision_name(*one) for one in ((whole, whole), (half, whole), (half, half))] == ["fp32", "bf16", "bf16_base"]


def test_every_turn_of_the_assistant_is_trained_with_its_stop_token_and_nothing_else(tmp_path: Path) -> None:
    (chat,) = read_chats(written(tmp_path / "a.jsonl", said("one two", "three", "four", "five six")))
    tokenizer = tokenizer_of("chatml")
    (row,) = Imitate().rows(chat, Renderer(tokenizer))
    stretches, open_ = [], False
    for token, weight in zip(row.tokens, row.weights, strict=True):
        if weight and not open_:
            stretches.append([])
        if weight:
            stretches[-1].append(int(token))
        open_ = bool(weight)
    assert [tokenizer.inner.decode(one) for one in stretches] == ["three<|im_end|>", "five six<|im_end|>"]


def test_every_line_that_is_wrong_is_told_with_its_number(tmp_path: Path) -> None:
    path = written(
        tmp_path / "bad.jsonl", said("hi", "ho"), "{", {"text": "a"}, {"messages": [{"role": "bard", "content": "a"}]},
        {"messages": [{"role": "user", "content": "a"}]}, {"messages": [{"role": "assistant", "content": "a", "weight": 0}]}, "[]",
    )  # fmt: skip
    with pytest.raises(LuthierError) as caught:
        read_chats(path)
    assert [one.where for one in caught.value.errors] == [f"bad.jsonl:{n}" for n in (2, 3, 4, 5, 6, 7)]
    assert all("bad_rows" not in one.fix for one in caught.value.errors), "there is no recipe in which rows could be left out"


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_a_file_without_rows_and_one_that_is_not_there_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "none.jsonl").write_text(content)
    for name in ("none.jsonl", "absent.jsonl"):
        with pytest.raises(LuthierError, match=name):
            read_chats(tmp_path / name)


def test_numbers_that_leave_nothing_to_measure_are_refused_together(tmp_path: Path) -> None:
    with pytest.raises(LuthierError) as caught:
        bench(Asked("sprout", tmp_path / "absent.jsonl", steps=3, warmup=3, learning_rate=0.0), 0.0)
    assert [one.where for one in caught.value.errors] == ["--warmup", "--lr"]


def test_a_row_that_is_longer_than_the_model_reads_is_told_and_not_passed_over(tmp_path: Path, model: Path) -> None:
    path = written(tmp_path / "long.jsonl", said("hi", "ho"), said("hi", "la " * 400), said("hi " * 400, "ho"))
    with pytest.raises(LuthierError) as caught:
        bench(Asked(str(model), path, steps=1, warmup=0), 0.0)
    assert [one.where for one in caught.value.errors] == ["long.jsonl:2", "long.jsonl:3"]
    assert "256" in caught.value.errors[0].problem


def rows(path: Path, n: int = 6) -> Path:
    system = {"role": "system", "content": "answer with one word of the three that you know"}
    return written(path, *({"messages": [system, *said(f"question {i}", f"word {i % 3}")["messages"]]} for i in range(n)))  # type: ignore[misc]


def without_times(found: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in found.items() if not name.endswith(("_s", "median", "mb"))}


def test_the_same_call_gives_the_same_losses_whatever_the_layout(tmp_path: Path, model: Path) -> None:
    asked = Asked(str(model), rows(tmp_path / "same.jsonl"), steps=4, warmup=1, batch=3, learning_rate=1e-2)
    first, again = bench(asked, 0.0), bench(asked, 0.0)
    assert without_times(first) == without_times(again)
    assert first["layout"] == "forest" and first["nodes_per_token"] < 0.6
    for layout in ("packed", "padded"):
        other = bench(asked, 0.0, layout)
        assert other["layout"] == layout and other["nodes_per_token"] > 0.9
        assert [other[name] for name in ("first_loss", "last_loss")] == pytest.approx([first["first_loss"], first["last_loss"]], abs=1e-2)
    assert bench(replace(asked, seed=1), 0.0)["last_loss"] != first["last_loss"], "the seed draws LoRA's first weights"
    assert bench(replace(asked, full=True), 0.0)["method"] == "full"


def test_the_losses_are_those_of_a_plain_loop_over_the_files_rows(tmp_path: Path, model: Path) -> None:
    path = rows(tmp_path / "plain.jsonl")
    found = bench(Asked(str(model), path, steps=2, warmup=0, batch=4, learning_rate=3e-2, full=True), 0.0)
    reference, renderer = LlamaForCausalLM.from_pretrained(model), Renderer(tokenizer_of("chatml"))
    optimizer = torch.optim.AdamW(reference.parameters(), lr=3e-2, weight_decay=0.0)
    losses = []
    for chosen in ((0, 1, 2, 3), (4, 5, 0, 1)):
        total, count = torch.zeros(()), 0.0
        for chat in (read_chats(path)[i] for i in chosen):
            (row,) = Imitate().rows(chat, renderer)
            logps = reference(torch.from_numpy(row.tokens)[None]).logits[0].log_softmax(-1)
            for t in range(1, row.n_tokens):
                total = total - float(row.weights[t]) * logps[t - 1, row.tokens[t]]
                count += float(row.weights[t])
        losses.append(float(total.detach()) / count)
        optimizer.zero_grad()
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
        optimizer.step()
    # A processor may compute in bfloat16; a mask that is off by a token shows in the second digit, another rate in the first.
    assert found["first_loss"] == pytest.approx(losses[0], abs=5e-3)
    assert found["last_loss"] == pytest.approx(losses[1], abs=5e-2)


def test_the_command_prints_one_line_of_json_with_these_fields_and_writes_nothing(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(tmp_path / "chats.jsonl")
    monkeypatch.chdir(tmp_path)
    for more in ((), ("--json",)):
        done = luthier("bench", str(model), "chats.jsonl", "--steps", "3", "--warmup", "1", "--batch", "2", *more)
        assert done.code == 0 and done.out.count("\n") == 1
        found = json.loads(done.out)
        assert sorted(found) == sorted(FIELDS)
        assert (found["peer"], found["workload"], found["model"], found["method"]) == ("luthier", "chats", "tiny", "lora16")
        assert found["supervised_tokens_per_s"] > 0 and found["peak_rss_mb"] > 50 and found["setup_s"] > 0
    refused = luthier("bench", str(model), "absent.jsonl", "--json")
    assert refused.code == 2 and json.loads(refused.out)["errors"][0]["where"] == "absent.jsonl"
    assert [one.name for one in tmp_path.iterdir()] == ["chats.jsonl"]
