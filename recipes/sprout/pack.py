"""Pack a pre-trained run as the embedded model: bfloat16 weights, tokenizer and template, measured beside another model.

    python recipes/sprout/pack.py --run runs/sprout --shared ../shared --out src/luthier/models/sprout

Bits per byte are measured on the books that corpus.py leaves out and on wikitext-2's validation part: −log2 of the
likelihood of a text's tokens, each window of the context read from its own beginning, divided by the text's bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import math
import shutil
from pathlib import Path

import torch
from corpus import LEFT_OUT
from safetensors.torch import load_file, save_file

from luthier.core.examples import Text
from luthier.models.load import Base, load
from luthier.stages.answering import Speaker, truth_nats

N_BYTES = 200_000
FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")


def pack(bundle: Path, out: Path) -> None:
    """The bundle's weights in bfloat16, and the files that belong to them."""
    out.mkdir(parents=True, exist_ok=True)
    weights = load_file(bundle / "model.safetensors")
    save_file({name: tensor.to(torch.bfloat16) for name, tensor in weights.items()}, out / "model.safetensors", metadata={"format": "pt"})
    for name in FILES:
        if (bundle / name).is_file():
            shutil.copy(bundle / name, out / name)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "bfloat16"
    config.pop("_name_or_path", None)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def texts(shared: Path) -> dict[str, list[str]]:
    """The held-out texts: about `N_BYTES` of each."""
    books = []
    for path in sorted((shared / "data/classic_books").glob("*.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            books += [book["text"] for book in map(json.loads, file) if book["title"] in LEFT_OUT]
    wiki = next(iter(sorted((shared / "data/wikitext2").glob("*valid*"))))
    with gzip.open(wiki, "rt", encoding="utf-8") as file:
        wikitext = file.read()
    return {"five books left out": [book[20_000 : 20_000 + N_BYTES // 5] for book in books], "wikitext-2 validation": [wikitext[:N_BYTES]]}


def bits_per_byte(base: Base, documents: list[str]) -> float:
    """Bits per byte of the documents under the model."""
    window = min(512, base.context)
    speaker = Speaker(base.network, base.tokenizer, "forest", window)
    nats, _, _ = truth_nats(speaker, [Text(str(i), text) for i, text in enumerate(documents)], window)
    return float(nats.sum()) / math.log(2) / sum(len(text.encode()) for text in documents)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of the finished run")
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/ and models/")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()
    pack(args.run / "bundle", args.out)
    models = {"sprout": load(str(args.out)), "stories260K": load(str(args.shared / "models/stories260K"))}
    for name, documents in texts(args.shared).items():
        whole = "\n".join(documents).encode()
        packed = {"gzip": len(gzip.compress(whole, 9)), "xz": len(lzma.compress(whole, preset=9))}
        row = {
            **{model: bits_per_byte(base, documents) for model, base in models.items()},
            **{k: 8 * v / len(whole) for k, v in packed.items()},
        }
        print(name, {key: round(value, 3) for key, value in row.items()})


if __name__ == "__main__":
    main()
