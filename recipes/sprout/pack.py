"""Pack a finished run as the embedded model: bfloat16 weights, tokenizer, template, and the card with everything measured.

    python recipes/sprout/pack.py --run runs/sprout-instruct --run runs/sprout --shared ../shared --version 1 \
        --beside recipes/sprout/measured/*.json --note "killed with SIGKILL at …" --out src/luthier/models/sprout

The first --run is the one whose bundle is packed; the cost of all of them is told. `--beside` are files of measure.py: other
models, and earlier versions, whose weights need not be there any more. Nothing is written if the weights would be larger
than 20 MB. Measured is what was packed, not what was trained: rounding to bfloat16 is part of it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import torch
from corpus import FOLDERS, LEFT_OUT, RECIPE, listed_files
from jinja2 import Environment, StrictUndefined
from measure import BOOKS, TEMPERATURE, WIKITEXT, held_out, measured, packed_bits_per_byte
from safetensors.torch import load_file, save_file

from luthier.core.loading import load as load_dataclass
from luthier.core.runs import Run
from luthier.models.load import load
from luthier.stages.recipe import Recipe
from luthier.train.journal import read_entries

HOME = Path(__file__).resolve().parent
MOST_BYTES = 20_000_000
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")
LICENCES = {
    "classic_books": ("classic books (mlschmitt/classic-books-markdown)", "public domain"),
    "peps": ("Python Enhancement Proposals", "public domain or CC0 1.0"),
    "sgd": ("Schema-Guided Dialogue, train", "CC BY-SA 4.0"),
    "openbookqa": ("OpenBookQA, train", "Apache-2.0"),
    "dolly": ("databricks-dolly-15k, nine tenths", "CC BY-SA 3.0"),
}


@dataclass(frozen=True)
class Leg:
    """What one run cost: its steps and tokens as `metrics.jsonl` has them, steps that a kill undid left out."""

    name: str
    n_steps: int
    n_tokens: int
    seconds: float
    learning_rate: float
    batch_rows: int
    epochs: float
    threads: int
    precision: str
    optimizer: str


def leg(folder: Path) -> Leg:
    """The cost of a finished run."""
    run = Run(folder)
    steps = [entry for entry in read_entries(run.metrics) if entry["event"] == "step"]
    plan: Any = json.loads(run.plan.read_text(encoding="utf-8"))
    train = load_dataclass(Recipe, run.recipe).train
    return Leg(
        run.name, len(steps), sum(one["n_tokens"] for one in steps), sum(one["seconds"] for one in steps), max(one["lr"] for one in steps),
        train.batch_rows, train.epochs, int(plan["threads"]), str(plan["precision"]["name"]),
        train.optimizer.kind,
    )  # fmt: skip


def pack(bundle: Path, out: Path) -> None:
    """The bundle's weights in bfloat16, and the files that belong to them."""
    weights = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in load_file(bundle / "model.safetensors").items()}
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    if n_bytes > MOST_BYTES - 100_000:
        raise SystemExit(f"{bundle}: its weights would take {n_bytes:,} bytes, and {MOST_BYTES:,} is the most: choose a smaller shape")
    out.mkdir(parents=True, exist_ok=True)
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    for name in FILES:
        (out / name).unlink(missing_ok=True)
        if (bundle / name).is_file():
            shutil.copy(bundle / name, out / name)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "bfloat16"
    config.pop("_name_or_path", None)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def card(found: Mapping[str, Any], beside: Sequence[Mapping[str, Any]], legs: Sequence[Leg], **facts: Any) -> str:
    """The model card, from its template; every figure in it comes from what is given here."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    template = environment.from_string((HOME / "card.md.jinja").read_text(encoding="utf-8"))
    sets = [
        {"name": LICENCES[folder][0], "licence": LICENCES[folder][1], "files": [(path, d) for path, d in listed_files(RECIPE).items()
                                                                               if path.startswith(folder + "/")]}
        for folder in FOLDERS
    ]  # fmt: skip
    return template.render(
        found=found, beside=[found, *beside], legs=legs, texts=(BOOKS, WIKITEXT), sets=sets, left_out=LEFT_OUT, heat=TEMPERATURE, **facts
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, action="append", required=True, help="folder of a finished run; the first is packed")
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--version", required=True, help="the version that the card tells")
    parser.add_argument("--beside", type=Path, nargs="*", default=[], help="files of measure.py")
    parser.add_argument("--note", default="", help="what else the card tells of the training, such as when it was killed on purpose")
    parser.add_argument("--measured", type=Path, help="where the figures go; measured/version-VERSION.json by default")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()
    pack(args.run[0] / "bundle", args.out)
    base = load(str(args.out))
    found = measured(f"sprout, version {args.version}", base, args.shared)
    kept = HOME / "measured" / f"version-{args.version}.json" if args.measured is None else args.measured
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    others = [one for path in args.beside if (one := json.loads(path.read_text(encoding="utf-8")))["name"] != found["name"]]
    packed = {kind: packed_bits_per_byte(texts) for kind, texts in held_out(args.shared).items()}
    legs = [leg(folder) for folder in reversed(args.run)]
    config = json.loads((args.out / "config.json").read_text(encoding="utf-8"))
    size = (args.out / "model.safetensors").stat().st_size
    written = card(found, others, legs, packed=packed, version=args.version, note=args.note, config=config, n_bytes=size)
    (args.out / "README.md").write_text(written, encoding="utf-8")
    print(written)


if __name__ == "__main__":
    main()
