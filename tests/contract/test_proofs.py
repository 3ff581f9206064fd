"""The proofs of a run hold on good runs of every task, and each of them fails when what it speaks of is spoilt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tests.proven_runs import Runs, edit, edit_rows, tuned
from tests.small import tokenizer_of
from tests.warm import warm_command

from luthier.core import fresh
from luthier.core.proofs import NAMES, WHAT_TO_DO
from luthier.core.runs import Run
from luthier.methods.lora import Delta
from luthier.models.attention.kernels import KERNELS, KernelName
from luthier.models.blocks.gate import gated
from luthier.objectives import Classify, Imitate
from luthier.prove import anchors
from luthier.stages.prepare import load_side
from luthier.stages.prove import cuts_to_prove, files_hash
from luthier.stages.resume import fingerprint_of, prove_resuming
from luthier.stages.tune import assemble, start
from luthier.text.forest import Forest
from luthier.text.renderer import Renderer
from luthier.train.plan import read_plan


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("proofs"))


def failing(found: Mapping[str, Any]) -> list[str]:
    return [name for name, proof in found["proofs"].items() if not proof["holds"]]


NOT_FOR = {
    "classify": {"stop_token_trained"}, "answer": {"label_map_round_trips"}, "chat": {"label_map_round_trips"},
    "pretrain": {"label_map_round_trips", "stop_token_trained", "served_prompt_equals_trained_prompt"},
}  # fmt: skip


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("task", list(NOT_FOR))
def test_a_good_run_holds_every_proof_that_applies(task: str, method: str, runs: Runs) -> None:
    made = runs.get(task, method)
    found = made.proofs()
    assert failing(found) == []
    missing = NOT_FOR[task] | {"resumed_equals_straight"} | ({"merged_equals_adapter"} if method == "full" else set())
    assert set(found["not_applicable"]) == missing
    assert set(found["proofs"]) == set(NAMES) - missing
    assert json.loads(made.run.proofs.read_text()) == {name: found[name] for name in ("proofs", "not_applicable")}
    assert set(found["seconds"]) == set(NAMES)
    assert made.proofs()["proofs"] == found["proofs"], "the same files give the same proofs"


def test_the_conversations_have_several_turns_and_tools(runs: Runs) -> None:
    said = runs.get("chat", "lora").proofs()["proofs"]["served_prompt_equals_trained_prompt"]["detail"]
    n_turns, n_tools = (int(said.split(what)[0].rsplit(" ", 2)[-1]) for what in (" of several turns", " with tools"))
    assert n_turns > 30 and n_tools > 30


@pytest.mark.parametrize("too_long", ["cut", "drop"])
def test_rows_that_are_cut_or_dropped_for_their_length_do_not_fail_a_proof(too_long: str, runs: Runs) -> None:
    made = runs.get("chat", "full", train__max_tokens=150, train__too_long=too_long)
    assert made.tuned["train"]["n_too_long"] > 5
    found = made.proofs()
    assert failing(found) == []
    assert ("cut in training" in found["proofs"]["served_prompt_equals_trained_prompt"]["detail"]) is (too_long == "cut")


def test_a_method_that_draws_is_proven_without_its_draws(runs: Runs) -> None:
    made = runs.get("answer", "lora", method__dropout=0.3)
    found = made.proofs()
    assert failing(found) == []
    assert "forest and packed and padded rows" in found["proofs"]["forest_equals_padded"]["detail"]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_family_that_keeps_its_own_attention_is_proven_with_it(method: str, tmp_path: Path, runs: Runs) -> None:
    config = transformers.GptOssConfig(
        vocab_size=len(tokenizer_of("chatml").inner), hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=4, num_local_experts=2, num_experts_per_tok=1, max_position_embeddings=256, sliding_window=8,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.GptOssForCausalLM(config).save_pretrained(tmp_path / "sinks")
    tokenizer_of("chatml").inner.save_pretrained(tmp_path / "sinks")
    made = tuned(tmp_path, tmp_path / "sinks", "classify", method__kind=method)
    assert made.tuned["layout"]["layout"] == "padded"
    found = made.proofs()
    assert failing(found) == []
    assert found["not_applicable"]["forest_equals_padded"].startswith("rows were padded: GptOssAttention passes")


# --- faults in what computes -----------------------------------------------------------------------------------------------------


def cousins_visible(patch: pytest.MonkeyPatch) -> None:
    right = Forest.to
    wrong: Callable[..., Forest] = lambda batch, device: right(  # noqa: E731
        replace(batch, leave_N=torch.full_like(batch.leave_N, batch.n_nodes)), device
    )
    patch.setattr(Forest, "to", wrong)


def leave_off_by_one(patch: pytest.MonkeyPatch) -> None:
    right = Forest.to
    wrong: Callable[..., Forest] = lambda batch, device: right(  # noqa: E731
        replace(batch, leave_N=(batch.leave_N + 1).clamp(max=batch.n_nodes)), device
    )
    patch.setattr(Forest, "to", wrong)


def positions_of_nodes(patch: pytest.MonkeyPatch) -> None:
    right = Forest.to
    wrong: Callable[..., Forest] = lambda batch, device: right(  # noqa: E731
        replace(batch, depth_N=torch.arange(batch.n_nodes)), device
    )
    patch.setattr(Forest, "to", wrong)


@pytest.mark.parametrize("spoil", [cousins_visible, leave_off_by_one, positions_of_nodes], ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("task", ["chat", "answer"])
def test_a_spoilt_forest_is_not_padded_rows(task: str, spoil: Callable[..., None], runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    made = runs.get(task, "lora")
    spoil(monkeypatch)
    assert "forest_equals_padded" in failing(made.proofs())


@pytest.mark.parametrize("task", ["classify", "answer"])
def test_a_mean_of_means_depends_on_the_cut(task: str, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    made = runs.get(task, "full")
    kind = Classify if task == "classify" else Imitate
    right = kind.loss

    def mean(self: Any, outputs: Any, batch: Any) -> Any:
        found, counts = right(self, outputs, batch), self.count(batch)
        return replace(found, totals={name: total / counts[name] for name, total in found.totals.items()})

    monkeypatch.setattr(kind, "loss", mean)
    assert "any_cut_same_gradient" in failing(made.proofs())


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_merge_scale_fails_the_merge_alone(factor: float, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    made = runs.get("classify", "lora")
    right = Delta.matrix
    monkeypatch.setattr(Delta, "matrix", lambda self: right(self) * factor)
    assert failing(made.proofs()) == ["merged_equals_adapter"]


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_the_proofs_attend_by_the_kernel_of_the_plan(kernel: str, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = runs.get("answer", "lora").copied(tmp_path)
    edit(made.run.plan, lambda text: json.dumps({**json.loads(text), "kernel": kernel}, indent=1))
    for name, one in KERNELS.items():
        right = type(one).forward

        def wrong(self: Any, block: Any, right: Any = right) -> Any:
            out, logs, kept = right(self, block)
            return out * 1.01, logs, kept

        with monkeypatch.context() as patch:
            patch.setattr(type(one), "forward", wrong)
            assert failing(made.proofs()) == (["forest_equals_padded"] if name == kernel else [])


@pytest.mark.parametrize("task", ["classify", "answer"])
def test_small_micro_batches_leave_the_proofs_as_much_to_compare(task: str, runs: Runs, tmp_path: Path) -> None:
    made = runs.get(task, "lora")
    small = made.copied(tmp_path)
    dear = {"call": 0.0, "node": 1.0, "pair": 0.0, "source": 0.0, "row": 0.0, "over": [9.0, 9.0, 9.0]}

    def cheaper_apart(text: str) -> str:
        plan = json.loads(text)
        return json.dumps({**plan, "cuts": {**plan["cuts"], "max_nodes": 1, "costs": dear}})

    edit(small.run.plan, cheaper_apart)
    wanted, found = made.proofs()["proofs"], small.proofs()["proofs"]
    for name in ("forest_equals_padded", "any_cut_same_gradient"):
        assert found[name] == wanted[name]


def test_proofs_take_no_more_memory_than_training_may(runs: Runs) -> None:
    made = runs.get("answer", "lora")
    plan = read_plan(made.run.plan, fingerprint_of(made.run))
    assert plan is not None and plan.memory is not None
    tight = replace(plan.memory, budget_mb=1, node_bytes=2**16, n_nodes=5)
    assert cuts_to_prove(replace(plan, memory=tight)).max_nodes == 8, "1 MB holds 8 nodes of twice 64 KB"
    assert cuts_to_prove(replace(plan, memory=replace(tight, n_nodes=9))).max_nodes == 9, "what training had"
    assert cuts_to_prove(replace(plan, memory=None)).max_nodes == plan.cuts.max_nodes


def test_a_fault_in_our_own_forward_pass_is_seen(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    made = runs.get("answer", "lora")
    assert made.tuned["layout"]["computed_by"].startswith("Luthier's own")
    monkeypatch.setattr("luthier.models.blocks.run.gated", lambda gate, up: gated(gate, up) * 1.01)
    assert failing(made.proofs()) == ["forest_equals_padded"]


# --- faults in what was trained --------------------------------------------------------------------------------------------------


def test_a_stop_token_that_was_not_trained_is_missed(tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Renderer.render

    def untrained(self: Renderer, chat: Any) -> Any:
        stop = self.stop_id
        return tuple(
            replace(one, weights=[0.0 if token == stop else weight for token, weight in zip(one.tokens, one.weights, strict=True)])
            for one in right(self, chat)
        )

    # Rows are kept by what they are made of, which a bug that is planted while the program runs is no part of.
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Renderer, "render", untrained)
    made = tuned(tmp_path, runs.models["chatml"], "answer")
    assert failing(made.proofs()) == ["stop_token_trained"]


def test_rows_that_teach_nothing_are_named(tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Renderer.render
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Renderer, "render", lambda self, chat: () if "ba" in chat.messages[0].text else right(self, chat))
    made = tuned(tmp_path, runs.models["chatml"], "answer")
    assert made.tuned["train"]["n_unsupervised"] > 0
    assert failing(made.proofs()) == ["every_row_supervised"]


def test_rows_that_render_otherwise_than_in_training_are_noticed(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    made = runs.get("answer", "lora")
    found = replace(made, tuned={**made.tuned, "train_rows": "0" * 64}).proofs()
    assert failing(found) == ["every_row_supervised"]


# --- faults in the files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("<|im_start|>", " <|im_start|>"),
        lambda text: text.replace("<|im_start|>", " <|im_start|>", 1),
        lambda text: text.replace("<|im_end|>", "</s>"),
        lambda text: "{{ raise_exception('never') }}" + text,
    ],
    ids=["every turn", "half a turn", "stop", "refuses"],
)
@pytest.mark.parametrize("task", ["answer", "chat"])
def test_another_template_in_the_bundle_serves_other_prompts(
    task: str, change: Callable[[str], str], runs: Runs, tmp_path: Path
) -> None:
    made = runs.get(task, "lora").copied(tmp_path)
    before = files_hash(made.run)
    edit(made.run.bundle / "chat_template.jinja", change)
    assert files_hash(made.run) != before, "so that the stage is not skipped"
    assert "served_prompt_equals_trained_prompt" in failing(made.proofs())


def test_another_vocabulary_in_the_bundle_reads_other_rows(runs: Runs, tmp_path: Path) -> None:
    made = runs.get("classify", "full").copied(tmp_path)

    def without_merges(text: str) -> str:
        value = json.loads(text)
        value["model"]["merges"] = value["model"]["merges"][:5]
        return json.dumps(value)

    edit(made.run.bundle / "tokenizer.json", without_merges)
    assert failing(made.proofs()) == ["served_prompt_equals_trained_prompt"]


def test_another_order_of_labels_in_the_bundle_gives_other_labels(runs: Runs, tmp_path: Path) -> None:
    made = runs.get("classify", "lora").copied(tmp_path)
    before = files_hash(made.run)

    def reversed_labels(text: str) -> str:
        card = json.loads(text)
        return json.dumps({**card, "labels": card["labels"][::-1]})

    edit(made.run.bundle / "bundle.json", reversed_labels)
    assert files_hash(made.run) != before
    assert failing(made.proofs()) == ["label_map_round_trips"]


def test_touched_test_rows_are_noticed(runs: Runs, tmp_path: Path) -> None:
    made = runs.get("classify", "full").copied(tmp_path)

    def touch(rows: list[dict[str, Any]]) -> None:
        row = next(row for row in rows if row["side"] == "test")
        row["label"] = next(other["label"] for other in rows if other["label"] != row["label"])

    edit_rows(made.run, touch)
    assert failing(made.proofs()) == ["test_untouched"]


@pytest.mark.parametrize("how", ["group", "near-duplicate"])
def test_two_sides_that_share_something_are_noticed(how: str, tmp_path: Path, runs: Runs) -> None:
    made = tuned(tmp_path, runs.models["chatml"], "classify", data__group="day")

    def share(rows: list[dict[str, Any]]) -> None:
        train = next(row for row in rows if row["side"] == "train")
        validation = next(row for row in rows if row["side"] == "validation")
        if how == "group":
            validation["extra"]["day"] = train["extra"]["day"]
        else:
            validation["text"] = train["text"] + "s"

    assert failing(made.proofs()) == []
    edit_rows(made.run, share)
    found = made.proofs()
    assert failing(found) == ["split_certificate"]
    assert WHAT_TO_DO["split_certificate"] in found["proofs"]["split_certificate"]["detail"]


# --- a fresh process -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_a_training_that_goes_on_attends_by_the_kernel_of_its_plan(kernel: KernelName, runs: Runs) -> None:
    made = runs.get("answer", "lora")
    plan = read_plan(made.run.plan, fingerprint_of(made.run))
    assert plan is not None
    ready = assemble(made.recipe, load_side(made.run.folder, "train"), ())
    training = start(made.recipe, ready, replace(plan, kernel=kernel), "")
    assert training.state.network.attention_kernel == kernel and training.plan.kernel == kernel


LONG: Mapping[str, object] = {"train__epochs": 6}
PLENTY = 10**9


def anchor_of(run: Run) -> Path:
    (found,) = anchors.folder_of(run).iterdir()
    return found


def zero_moments(run: Run) -> None:
    path = anchor_of(run) / "optimizer.safetensors"
    tensors = load_file(path)
    save_file({name: tensor * 0 if name.startswith("exp_avg/") else tensor for name, tensor in tensors.items()}, path)


def one_bit(run: Run) -> None:
    path = anchor_of(run) / "tensors.safetensors"
    tensors = load_file(path)
    name = min(tensors)
    tensors[name].view(-1)[0] = torch.nextafter(tensors[name].view(-1)[0], torch.tensor(1e9))
    save_file(tensors, path)


def another_training(run: Run) -> None:
    edit(anchor_of(run) / "state.json", lambda text: json.dumps({**json.loads(text), "fingerprint": "another"}))


def gone(run: Run) -> None:
    shutil.rmtree(anchor_of(run))


@pytest.mark.slow
@pytest.mark.parametrize(("task", "method"), [("classify", "full"), ("answer", "lora")])
def test_a_fresh_process_goes_on_from_the_file_bit_for_bit(task: str, method: str, runs: Runs) -> None:
    options = {"method__dropout": 0.2} if method == "lora" else {}
    made = runs.get(task, method, train__patience=4, train__evaluate_every=2, **LONG, **options)
    before = {path: path.read_bytes() for path in made.run.folder.rglob("*") if path.is_file() and path != made.run.proofs}
    found = made.proofs()
    assert failing(found) == []
    assert found["proofs"]["resumed_equals_straight"]["holds"]
    after = {path: path.read_bytes() for path in made.run.folder.rglob("*") if path.is_file() and path != made.run.proofs}
    assert before == after, "the run is only read, and nothing is left behind"


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [zero_moments, one_bit, another_training, gone], ids=lambda spoil: spoil.__name__)
def test_a_spoilt_checkpoint_does_not_give_the_straight_run(
    spoil: Callable[[Run], None], runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh, "command", warm_command)
    made = runs.get("classify", "lora", **LONG).copied(tmp_path)
    spoil(made.run)
    assert getattr(prove_resuming(made.run, lambda: None, PLENTY), "holds", None) is False


def test_whoever_asks_to_stop_does_not_wait_for_the_process(runs: Runs) -> None:
    made = runs.get("classify", "lora", **LONG)

    def pause() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prove_resuming(made.run, pause, PLENTY)
    assert not list(made.run.folder.glob("*.tmp"))
