"""The recipe of the embedded model, run for two steps on rows of our own."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import ModuleType

import pytest
from tests.recipe_scripts import sprout_script

from luthier.core.draws import permutation
from luthier.core.runs import Run
from luthier.stages.recipe import load_recipe
from luthier.stages.run import opened, run_tune

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "sprout.toml"


@pytest.fixture(scope="module")
def corpus() -> ModuleType:
    return sprout_script("corpus")


WORDS = [
    "spruce", "maple", "bench", "chisel", "glue", "varnish", "fret", "bridge", "nut", "saddle", "string", "humid", "winter",
    "window", "morning", "quiet", "customer", "invoice", "repair", "tune", "listen", "careful", "slow", "river", "hill", "market",
    "bread", "coffee", "letter", "stamp", "train", "ticket", "bicycle", "rain", "umbrella", "garden", "apple", "knife",
]  # fmt: skip


def rows() -> list[str]:
    return [" ".join(WORDS[i] for i in permutation(len(WORDS), "row", n)[:16]) for n in range(40)]


def test_the_recipe_trains_two_steps_on_rows_of_our_own(corpus: ModuleType, tmp_path: Path) -> None:
    corpus.write_shape(tmp_path / "shape", corpus.train_tokenizer(rows()))
    with gzip.open(tmp_path / "corpus.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in rows())
    config = json.loads((tmp_path / "shape/config.json").read_text())
    (tmp_path / "shape/config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))
    changes = [
        f"data.source={tmp_path / 'corpus.jsonl.gz'}", "data.sha256={}", "data.split.train=0.8", "data.split.validation=0.1",
        "data.split.test=0.1", f"model.base={tmp_path / 'shape'}", "train.epochs=1", "train.batch_rows=20",
    ]  # fmt: skip
    with opened(load_recipe(RECIPE, changes), tmp_path / "runs", lambda text: None) as job:
        found = run_tune(job)
    assert found["fit"]["last_step"] == 2
    assert (Run(tmp_path / "runs" / "sprout").bundle / "model.safetensors").is_file()


def test_the_recipe_lists_the_hash_of_every_file_and_only_of_allowed_sets(corpus: ModuleType) -> None:
    listed = corpus.listed_files(RECIPE)
    assert {path.split("/")[0] for path in listed} == {"classic_books", "peps", "sgd", "openbookqa", "dolly"}
    assert "sgd/train.jsonl.gz" in listed
    assert "sgd/dev.jsonl.gz" not in listed
    assert len(corpus.LEFT_OUT) == 5


def test_another_file_than_the_recipe_names_is_refused(corpus: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "data/peps").mkdir(parents=True)
    (tmp_path / "data/peps/peps.jsonl.gz").write_bytes(gzip.compress(b'{"text": "another"}\n'))
    with pytest.raises(SystemExit, match="SHA-256 differs"):
        list(corpus.read_lines(tmp_path, "peps/peps.jsonl.gz", "0" * 64))


def test_a_tenth_of_the_instructions_is_held_out(corpus: ModuleType) -> None:
    lines = [json.dumps({"instruction": f"Say {n}", "context": "", "response": "yes"}) for n in range(500)]
    kept = list(corpus.instructions(lines))
    assert 0.8 < len(kept) / 500 < 0.97
