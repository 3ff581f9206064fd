"""Measure a base model as sprout's card tells it, and keep the figures as JSON.

    python recipes/sprout/measure.py sprout --name "version 0" --shared ../shared --out recipes/sprout/measured/version-0.json

Bits per byte are measured on the books that corpus.py leaves out and on wikitext-2's validation part: −log2 of the
likelihood of a text's tokens, each window of the context read from its own beginning, divided by the text's bytes. Of the
minimal pairs (judge_pairs.py) the share that the model gets right is kept. A model with a template of its own also answers
the prompts of `SAMPLES`, greedily and once at a temperature; all of it is kept, good and bad.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import math
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from corpus import LEFT_OUT
from judge_pairs import accuracies, margins_nats, read_pairs

from luthier.core.examples import Chat, Text
from luthier.core.generator import Sampling
from luthier.core.messages import Message
from luthier.models.load import Base, load
from luthier.models.probe import probe
from luthier.serve.bundle import engine_for
from luthier.stages.answering import Speaker, truth_nats

N_BYTES = 200_000
N_FRONT = 20_000
"""Characters of a book that are passed over: title pages, contents and prefaces are not prose."""
WINDOW = 512
MOST_SAID = 60
TEMPERATURE = 0.7
BOOKS, WIKITEXT = "the five books left out", "wikitext-2, validation"
SAMPLES = {
    "continues": (
        "The old man took the violin from its case and", "It was a cold morning in March, and the street",
        "This PEP proposes a new", "Dear Sir,\n\nI am writing to you about", "The most important thing about a good teacher is",
    ),
    "answers": (
        "What do you need to make a cup of tea?", "Why do people sleep at night?", "What is the difference between a lake and a river?",
        "Give me a short piece of advice for a long walk.",
        "Summarise in one sentence: The bakery on the corner opened in 1921. It has been run by the same family ever since, and people"
        " still queue on Saturday mornings for its rye bread.",
        "Is this message happy or angry? Answer with one word.\n\nI waited two hours and nobody came. Never again!",
        "Which of these is a fruit: carrot, pear, onion?", "Who are you?",
    ),
}  # fmt: skip


def held_out(shared: Path) -> dict[str, list[str]]:
    """The texts that no version of sprout has read: about `N_BYTES` of each kind."""
    books = []
    for path in sorted((shared / "data/classic_books").glob("*.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            books += [book["text"] for book in map(json.loads, file) if book["title"] in LEFT_OUT]
    with gzip.open(next(iter(sorted((shared / "data/wikitext2").glob("*valid*")))), "rt", encoding="utf-8") as file:
        wikitext = file.read()
    return {BOOKS: [book[N_FRONT : N_FRONT + N_BYTES // 5] for book in books], WIKITEXT: [wikitext[:N_BYTES]]}


def bits_per_byte(base: Base, documents: list[str]) -> float:
    """Bits per byte of the documents under the model."""
    window = min(WINDOW, base.context)
    speaker = Speaker(base.network, base.tokenizer, probe(base.network).layout, window)
    nats, _, _ = truth_nats(speaker, [Text(str(i), text) for i, text in enumerate(documents)], window)
    return float(nats.sum()) / math.log(2) / sum(len(text.encode()) for text in documents)


def packed_bits_per_byte(documents: list[str]) -> dict[str, float]:
    """What two packers of files need for the same texts laid end to end."""
    whole = "\n".join(documents).encode()
    sizes = {"gzip -9": len(gzip.compress(whole, 9)), "xz -9": len(lzma.compress(whole, preset=9))}
    return {name: 8 * size / len(whole) for name, size in sizes.items()}


def samples(base: Base) -> list[dict[str, object]]:
    """What the model says to each of `SAMPLES`; nothing where it has no template of its own."""
    if not base.tokenizer.has_template:
        return []
    engine = engine_for(base.network, base.tokenizer, probe(base.network).layout, base.context)
    asked = [(kind, prompt, heat) for kind, prompts in SAMPLES.items() for prompt in prompts for heat in (0.0, TEMPERATURE)]

    def tokens_of(kind: str, prompt: str) -> list[int]:
        if kind == "continues":
            return base.renderer.document(prompt)[:-1]
        return base.renderer.prompt(Chat("", (Message("user", prompt),)))

    replies = engine([tokens_of(kind, prompt) for kind, prompt, _ in asked], [Sampling(MOST_SAID, heat) for _, _, heat in asked])
    return [
        {"kind": kind, "prompt": prompt, "temperature": heat, "said": reply.text.strip(), "ended": reply.finish == "stop"}
        for (kind, prompt, heat), reply in zip(asked, replies, strict=True)
    ]


def measured(name: str, base: Base, shared: Path) -> dict[str, object]:
    """Everything that the card says of one model."""
    pairs = read_pairs()
    return {
        "name": name,
        "n_parameters": base.n_parameters,
        "bits_per_byte": {kind: round(bits_per_byte(base, some), 4) for kind, some in held_out(shared).items()},
        "minimal_pairs": {kind: asdict(share) for kind, share in accuracies(pairs, margins_nats(base, pairs)).items()},
        "samples": samples(base),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help='"sprout", or the folder of a model')
    parser.add_argument("--name", required=True, help="what the card calls it")
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args()
    found = measured(args.name, load(args.base), args.shared)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(found["name"], found["bits_per_byte"], found["minimal_pairs"]["all"])  # type: ignore[index]


if __name__ == "__main__":
    main()
