"""Small trainings that choose sprout's shape, vocabulary, mixture and settings, each against one centre.

    python recipes/sprout/ablate.py --shared ../shared --out runs/sprout-ablations --list
    python recipes/sprout/ablate.py --shared ../shared --out runs/sprout-ablations --trials centre vocabulary-2k
    python recipes/sprout/ablate.py --shared ../shared --out runs/sprout-ablations --table

Each trial is one `luthier tune` of recipes/sprout.toml with its own shape, texts and settings. All take the same computation:
the centre reads `--tokens` tokens, and a trial whose tokens are multiplied with more parameters reads fewer. A trial is judged
by its bits per byte on the development texts of corpus.py, that nothing is trained on: for each set, and the mean of the
sets, which decides. A trial that is finished is skipped, and one that was killed goes on where it stopped. Nothing here
touches the five books or wikitext-2, by which the card judges the end.

How far apart two equal trials can be is told by `centre` and `centre-again`, which differ in their seed alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from corpus import MOST_BYTES, RECIPE, Document, development, documents, write_lines
from measure import bits_per_byte
from shape import Shape, train_tokenizer, write_shape
from tokenizers import Tokenizer

from luthier.core.runs import Run
from luthier.models.load import load
from luthier.stages.recipe import load_recipe
from luthier.stages.run import opened, run_tune
from luthier.train.journal import read_entries

BYTES_PER_TOKEN = 4.5
"""More than any vocabulary here reaches, so that the texts of a trial never run out before its tokens do."""
SIDES = {"train": 0.97, "validation": 0.02, "test": 0.01}


@dataclass(frozen=True)
class Trial:
    """What one small training does."""

    name: str
    asks: str
    shape: Shape = Shape(4096, 256, 8)
    sets: tuple[str, ...] = tuple(MOST_BYTES)
    settings: Mapping[str, object] = field(default_factory=dict)


CENTRE = Trial("centre", "4,096 pieces, 256 wide, 8 layers, tied, all sets, Muon, learning rate 2e-3, 16 rows a step, windows of 512")


def _without(left_out: str) -> Trial:
    return Trial(f"without-{left_out}", f"no {left_out}", sets=tuple(name for name in MOST_BYTES if name != left_out))


TRIALS = {
    one.name: one
    for one in (
        CENTRE,
        replace(CENTRE, name="centre-again", asks="another seed: how far apart equal trials are", settings={"seed": 1}),
        Trial("vocabulary-2k", "2,048 pieces, 9 layers", Shape(2048, 256, 9)),
        Trial("vocabulary-8k", "8,192 pieces, 7 layers", Shape(8192, 256, 7)),
        Trial("narrow-deep", "192 wide, 15 layers", Shape(4096, 192, 15)),
        Trial("wide-flat", "384 wide, 4 layers", Shape(4096, 384, 4)),
        Trial("untied", "an output layer of its own, 7 layers", Shape(4096, 256, 7, tied=False)),
        *map(_without, MOST_BYTES),
        Trial("rate-1e-3", "learning rate 1e-3", settings={"train.learning_rate": 1e-3}),
        Trial("rate-4e-3", "learning rate 4e-3", settings={"train.learning_rate": 4e-3}),
        Trial("batch-8", "8 rows a step", settings={"train.batch_rows": 8}),
        Trial("batch-32", "32 rows a step", settings={"train.batch_rows": 32}),
        Trial("window-1024", "windows of 1,024 tokens", settings={"train.max_tokens": 1024}),
        Trial("window-256", "windows of 256 tokens", settings={"train.max_tokens": 256}),
        Trial("adamw", "AdamW for all parameters instead of Muon for the matrices", settings={"train.optimizer.kind": "adamw"}),
    )
}


@dataclass(frozen=True)
class Texts:
    """What can be trained on and what is judged by, read once."""

    training: tuple[Document, ...]
    development: Mapping[str, list[str]]


def tokens_of(trial: Trial, tokens: int) -> int:
    """How many tokens a trial reads for the computation that the centre spends on `tokens`."""
    return round(tokens * CENTRE.shape.n_computed / trial.shape.n_computed)


def tokenizer_of(trial: Trial, texts: Texts, out: Path) -> Tokenizer:
    """A vocabulary is learnt once from all sets, whatever the trial leaves out, and kept beside the trials."""
    path = out / "tokenizers" / f"{trial.shape.vocabulary}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        learnt = train_tokenizer((one.text for one in texts.training[::8]), trial.shape.vocabulary)
        learnt.save(str(path))
    return Tokenizer.from_file(str(path))


def taken(trial: Trial, texts: Texts, tokens: int) -> list[Document]:
    """The texts of a trial: the first of its sets in the corpus's order, somewhat more than it reads."""
    wanted, used, found = tokens_of(trial, tokens) * BYTES_PER_TOKEN / SIDES["train"], 0, []
    for one in texts.training:
        if one.set in trial.sets and used < wanted:
            found.append(one)
            used += len(one.text.encode())
    return found


def recipe_changes(trial: Trial, folder: Path, epochs: float) -> list[str]:
    """The recipe of the embedded model with what the trial changes, as `--set` takes it."""
    sides = [f"data.split.{side}={share}" for side, share in SIDES.items()]
    changes = {
        "name": trial.name, "data.source": folder / "corpus.jsonl", "data.sha256": "{}", "model.base": folder / "shape",
        "train.epochs": epochs, "train.evaluate_every": 1_000_000, **trial.settings,
    }  # fmt: skip
    return [*(f"{name}={value}" for name, value in changes.items()), *sides]


def run_trial(trial: Trial, texts: Texts, out: Path, tokens: int) -> dict[str, object]:
    """Train and judge one trial; gives its line."""
    home = out / f"{tokens}-tokens"
    folder = home / "inputs" / trial.name
    tokenizer, some = tokenizer_of(trial, texts, out), taken(trial, texts, tokens)
    write_lines(folder / "corpus.jsonl", ({"text": one.text} for one in some))
    write_shape(folder / "shape", tokenizer, trial.shape)
    n_tokens = sum(len(one.ids) for one in tokenizer.encode_batch([one.text for one in some]))
    changes = recipe_changes(trial, folder, round(tokens_of(trial, tokens) / (SIDES["train"] * n_tokens), 6))
    with opened(load_recipe(RECIPE, changes), home, lambda text: print(text, file=sys.stderr)) as job:
        run_tune(job)
    base = load(str(job.run.bundle))
    bits = {name: round(bits_per_byte(base, held), 4) for name, held in texts.development.items()}
    steps = [entry for entry in read_entries(Run(home / trial.name).metrics) if entry["event"] == "step"]
    read, seconds = sum(one["n_tokens"] for one in steps), sum(one["seconds"] for one in steps)
    return {
        "trial": trial.name, "asks": trial.asks, "budget": tokens, "parameters": base.n_parameters, "steps": len(steps), "tokens": read,
        "seconds": round(seconds, 1), "bits_per_byte": bits, "mean": round(sum(bits.values()) / len(bits), 4),
    }  # fmt: skip


def finished(out: Path, tokens: int) -> dict[str, dict[str, Any]]:
    """The lines of the trials that are done with this budget, by name."""
    path = out / "trials.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {one["trial"]: one for one in map(json.loads, lines) if one["budget"] == tokens}


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The trials as a table in Markdown, the best first."""
    names = ["trial", "what", "parameters", "tokens", "tokens/s", *MOST_BYTES, "mean"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for one in sorted(found.values(), key=lambda some: some["mean"]):
        speed = f"{one['tokens'] / one['seconds']:,.0f}" if one["seconds"] else "–"
        bits = [f"{one['bits_per_byte'][name]:.3f}" for name in MOST_BYTES]
        cells = [one["trial"], one["asks"], f"{one['parameters']:,}", f"{one['tokens']:,}", speed, *bits, f"{one['mean']:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--out", type=Path, required=True, help="folder of trials; what is there already is not done again")
    parser.add_argument("--trials", nargs="*", default=list(TRIALS), choices=list(TRIALS), metavar="NAME", help="which; all by default")
    parser.add_argument("--tokens", type=int, default=1_500_000, help="how many tokens the centre reads")
    parser.add_argument("--list", action="store_true", help="only say which trials there are")
    parser.add_argument("--table", action="store_true", help="only print the table of those that are done")
    args = parser.parse_args()
    if args.list:
        print("\n".join(f"{one.name:20} {one.shape.n_parameters:>10,} parameters  {one.asks}" for one in TRIALS.values()))
        return
    missing = [] if args.table else [name for name in args.trials if name not in finished(args.out, args.tokens)]
    if missing:
        texts = Texts(tuple(documents(args.shared)), development(args.shared))
        for name in missing:
            line = run_trial(TRIALS[name], texts, args.out, args.tokens)
            with open(args.out / "trials.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), file=sys.stderr, flush=True)
    print(table(finished(args.out, args.tokens)))


if __name__ == "__main__":
    main()
