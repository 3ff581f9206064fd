"""The two recipes of the embedded model, each run for a few steps on rows of our own, and what is packed from them."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors import safe_open
from tests.made_models import messages_of
from tests.made_shared import made_shared, said
from tests.recipe_scripts import sprout_script

from luthier.core.runs import Run
from luthier.models.load import load
from luthier.stages.recipe import load_recipe
from luthier.stages.run import opened, run_tune

ROOT = Path(__file__).resolve().parents[2]
RECIPE, INSTRUCT = ROOT / "recipes" / "sprout.toml", ROOT / "recipes" / "sprout-instruct.toml"


@pytest.fixture(scope="module")
def corpus() -> ModuleType:
    return sprout_script("corpus")


def rows() -> list[str]:
    return [f"{i} {' '.join(row['message'] for row in messages_of(3, seed=i))}" for i in range(40)]


def tune(recipe: Path, runs: Path, changes: dict[str, object]) -> dict[str, object]:
    with opened(load_recipe(recipe, [f"{name}={value}" for name, value in changes.items()]), runs, lambda text: None) as job:
        found: dict[str, object] = dict(run_tune(job)["fit"])  # type: ignore[call-overload]
        return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both runs, two steps each, the second on the first."""
    folder, shape = tmp_path_factory.mktemp("sprout"), sprout_script("shape")
    sizes = shape.Shape(400, 64, 1)
    shape.write_shape(folder / "shape", shape.train_tokenizer(rows(), sizes.vocabulary), sizes)
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"text": text, "set": "made"}) + "\n" for text in rows()), encoding="utf-8")
    split: dict[str, object] = {"data.split.train": 0.8, "data.split.validation": 0.1, "data.split.test": 0.1}
    first = {"data.source": folder / "corpus.jsonl", "data.sha256": "{}", "model.base": folder / "shape", "train.epochs": 1,
             "train.batch_rows": 20, **split}  # fmt: skip
    assert tune(RECIPE, folder, first)["last_step"] == 2
    talk = [{"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": text[-9:]}]} for text in rows()]
    (folder / "talk.jsonl").write_text("".join(json.dumps(row) + "\n" for row in talk), encoding="utf-8")
    second = {"data.source": folder / "talk.jsonl", "data.sha256": "{}", "model.base": folder / "sprout/bundle", "train.epochs": 1,
              "train.batch_rows": 20, **split}  # fmt: skip
    assert tune(INSTRUCT, folder, second)["last_step"] == 2
    return folder


def test_the_instruction_phase_begins_where_the_pre_training_ended(runs: Path) -> None:
    before, after = (safe_open(Run(runs / name).bundle / "model.safetensors", "pt") for name in ("sprout", "sprout-instruct"))
    names = set(before.keys())
    assert names == set(after.keys())
    distances = [float((before.get_tensor(name) - after.get_tensor(name)).abs().max()) for name in names]
    assert 0 < max(distances) < 0.01, "two small steps from there, and not from new weights"


def test_what_is_packed_is_the_last_run_in_bfloat16_with_a_card_of_what_was_measured(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = sprout_script("pack")
    monkeypatch.setattr(sys.modules[pack.measured.__module__], "N_FRONT", 30)
    shared = made_shared(tmp_path)
    other = {"name": "another", "n_parameters": 5, "bits_per_byte": {pack.BOOKS: 1.5, pack.WIKITEXT: 9.25}, "samples": []}
    pairs = pack.measured("x", load(str(runs / "sprout/bundle")), shared)["minimal_pairs"]
    (tmp_path / "other.json").write_text(json.dumps({**other, "minimal_pairs": pairs}))
    monkeypatch.setattr(sys, "argv", [
        "pack.py", "--run", str(runs / "sprout-instruct"), "--run", str(runs / "sprout"), "--shared", str(shared), "--version", "7",
        "--beside", str(tmp_path / "other.json"), "--measured", str(tmp_path / "measured.json"), "--note", "Killed once.",
        "--out", str(tmp_path / "sprout"),
    ])  # fmt: skip
    pack.main()
    base = load(str(tmp_path / "sprout"), torch.bfloat16)
    trained = load(str(runs / "sprout-instruct/bundle"), torch.bfloat16)
    with safe_open(tmp_path / "sprout/model.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.bfloat16}  # noqa: SIM118 - no mapping
    for one, other_one in zip(base.network.parameters(), trained.network.parameters(), strict=True):
        assert torch.equal(one, other_one)
    assert base.tokenizer.has_template
    found = json.loads((tmp_path / "measured.json").read_text())
    card = (tmp_path / "sprout/README.md").read_text(encoding="utf-8")
    assert "# sprout, version 7" in card
    assert f"| {pack.BOOKS} | {found['bits_per_byte'][pack.BOOKS]:.3f} | 1.500 |" in card
    assert f"{found['n_parameters']:,} parameters" in card
    assert len(found["samples"]) == 2 * sum(map(len, sprout_script("measure").SAMPLES.values()))
    assert card.count("\n- ") == len(found["samples"])
    assert "`recipes/sprout.toml` | 2 |" in card
    assert "`recipes/sprout-instruct.toml` | 2 |" in card
    assert "Killed once." in card
    assert all(digest[:16] in card for digest in pack.listed_files(RECIPE).values())
    assert card in capsys.readouterr().out


def test_weights_that_are_too_large_to_ship_are_refused_and_nothing_is_written(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = sprout_script("pack")
    monkeypatch.setattr(pack, "MOST_BYTES", 150_000)
    with pytest.raises(SystemExit, match="choose a smaller shape"):
        pack.pack(runs / "sprout-instruct/bundle", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bits_per_byte_are_those_of_the_models_own_probabilities(runs: Path) -> None:
    measure = sprout_script("measure")
    base = load(str(runs / "sprout/bundle"))
    text = f"{said(random.Random(3), 12)} Naïve – indeed!"
    tokens = [base.tokenizer.bos_id or 0, *base.tokenizer.encode(text), base.tokenizer.eos_id]
    with torch.no_grad():
        base.network.decoder.set_attn_implementation("eager")
        logps = base.network.decoder(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].double().log_softmax(-1)
    by_hand = -sum(float(logps[t, token]) for t, token in enumerate(tokens[1:])) / 0.6931471805599453 / len(text.encode())
    assert measure.bits_per_byte(load(str(runs / "sprout/bundle")), [text]) == pytest.approx(by_hand, rel=1e-5)


def test_the_recipe_lists_the_hash_of_every_file_and_only_of_allowed_sets(corpus: ModuleType) -> None:
    listed = corpus.listed_files(RECIPE)
    assert {path.split("/")[0] for path in listed} == {"classic_books", "peps", "sgd", "openbookqa", "dolly"}
    assert "sgd/train.jsonl.gz" in listed
    assert "sgd/dev.jsonl.gz" not in listed
    assert len(corpus.LEFT_OUT) == 5


def test_the_instruction_phase_reads_our_own_rows_as_they_are(corpus: ModuleType) -> None:
    recipe = load_recipe(INSTRUCT)
    own = ROOT / "recipes" / "sprout" / "instructions.jsonl"
    assert str(own) in recipe.data.source
    assert recipe.data.sha256["instructions.jsonl"] == hashlib.sha256(own.read_bytes()).hexdigest()
    assert recipe.model.base == str(ROOT / "runs/sprout/bundle"), "it begins with what recipes/sprout.toml leaves"


def test_another_file_than_the_recipe_names_is_refused(corpus: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "data/peps").mkdir(parents=True)
    (tmp_path / "data/peps/peps.jsonl.gz").write_bytes(gzip.compress(b'{"text": "another"}\n'))
    with pytest.raises(SystemExit, match="SHA-256 differs"):
        list(corpus.read_lines(tmp_path, "peps/peps.jsonl.gz", "0" * 64))


def test_a_tenth_of_the_instructions_is_held_out(corpus: ModuleType) -> None:
    lines = [json.dumps({"instruction": f"Say {n}", "context": "", "response": "yes"}) for n in range(500)]
    kept = list(corpus.instructions(lines))
    assert 0.8 < len(kept) / 500 < 0.97


@pytest.mark.slow
def test_the_corpus_in_the_recipe_is_the_one_that_is_built(corpus: ModuleType, shared: Path, tmp_path: Path) -> None:
    listed = load_recipe(RECIPE).data.sha256 | load_recipe(INSTRUCT).data.sha256
    assert corpus.write_lines(tmp_path / "instruct.jsonl", corpus.conversations(shared)) == listed["instruct.jsonl"]
    documents = ({"text": one.text, "set": one.set} for one in corpus.documents(shared))
    assert corpus.write_lines(tmp_path / "corpus.jsonl", documents) == listed["corpus.jsonl"]
