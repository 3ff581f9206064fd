"""Build what `sprout` is trained on, and its tokenizer, from the files that `recipes/sprout.toml` lists with their hashes.

    python recipes/sprout/corpus.py --shared ../shared --out runs/sprout-corpus

writes `corpus.jsonl` (one text a line, for the pre-training), `instruct.jsonl` (one conversation a line, for the instruction
phase beside our own `instructions.jsonl`), `development.jsonl` (texts that nothing is trained on and ablations are judged
by) and `shape/` (config.json and the tokenizer: a model without weights). Equal inputs give equal bytes. Conversations in
`corpus.jsonl` are written as text in sprout's own template, special tokens by their names.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from shape import Shape, train_tokenizer, write_shape

RECIPE = Path(__file__).resolve().parent.parent / "sprout.toml"
LEFT_OUT = ("Heart of Darkness", "Silas Marner", "The Haunted Bookshop", "Black Beauty", "Twenty Years at Hull House")
MOST_BYTES = {
    "books": 75_000_000, "peps": 8_000_000, "dialogues": 12_000_000, "questions": 1_000_000, "instructions": 12_000_000,
    "messages": 3_000_000,
}  # fmt: skip
"""The mixture: at most so many bytes of each set, in the order of the texts' own hashes."""
FOLDERS = ("classic_books", "peps", "sgd", "openbookqa", "dolly")
PIECE_CHARACTERS = 3_600
DEVELOPMENT_SHARE, DEVELOPMENT_BYTES = 50, 100_000
SHORT = ("open_qa", "general_qa", "closed_qa", "summarization", "classification", "information_extraction")
MOST_ASKED, MOST_ANSWERED = 180, 60
MOST_QUESTIONS = 300


@dataclass(frozen=True)
class Document:
    """A text of one of the sets; pieces of one book or paper have the same `key`."""

    set: str
    key: str
    text: str


def listed_files(recipe: Path) -> dict[str, str]:
    """The source files by path, with the SHA-256 that the recipe's comment lines (`# sha256 HASH PATH`) give."""
    found = re.findall(r"^# sha256 ([0-9a-f]{64}) (\S+)$", recipe.read_text(encoding="utf-8"), re.MULTILINE)
    return {path: digest for digest, path in found}


def read_lines(shared: Path, path: str, digest: str) -> Iterator[str]:
    """The lines of a gzip file, once its hash is what the recipe says."""
    packed = (shared / "data" / path).read_bytes()
    if hashlib.sha256(packed).hexdigest() != digest:
        raise SystemExit(f"{path}: not the file that recipes/sprout.toml names (its SHA-256 differs)")
    yield from filter(None, gzip.decompress(packed).decode("utf-8").split("\n"))


def lines_of(shared: Path, folder: str) -> Iterator[str]:
    """The lines of all files of a folder that the recipe lists."""
    for path, digest in listed_files(RECIPE).items():
        if path.startswith(folder + "/"):
            yield from read_lines(shared, path, digest)


def order_key(text: str) -> bytes:
    """A fixed pseudo-random order that depends on the text alone."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def pieces(text: str) -> Iterator[str]:
    """A long text in pieces of whole paragraphs, about `PIECE_CHARACTERS` each."""
    held: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        held.append(paragraph.strip())
        if sum(map(len, held)) >= PIECE_CHARACTERS:
            yield "\n\n".join(held)
            held = []
    if any(held):
        yield "\n\n".join(held)


def chat(turns: Iterable[tuple[str, str]]) -> str:
    """A conversation as sprout's template writes it, less the begin token, which every document gets."""
    return "".join(f"<|{role}|>{text.strip()}<|turn_end|>" for role, text in turns)


def books(lines: Iterable[str]) -> Iterator[Document]:
    for book in map(json.loads, lines):
        if book["title"] not in LEFT_OUT:
            yield from (Document("books", book["title"], piece) for piece in pieces(book["text"]))


def peps(lines: Iterable[str]) -> Iterator[Document]:
    for paper in map(json.loads, lines):
        yield from (Document("peps", str(paper["pep"]), piece) for piece in pieces(paper["text"]))


def dialogues(lines: Iterable[str]) -> Iterator[Document]:
    for row in map(json.loads, lines):
        turns = [("user" if turn["speaker"] == "USER" else "assistant", turn["text"]) for turn in row["turns"]]
        yield Document("dialogues", row["id"], chat(turns))


def asked_and_answered(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each question of the tab-separated file with its choices, and the right choice."""
    for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
        answer = re.search(rf"\({row['Answer Key']}\)\s*(.*?)\s*(?=\([A-Z]\)|$)", row["Choices"])
        if answer:
            yield f"{row['Question Stem']}\n{row['Choices']}", f"({row['Answer Key']}) {answer.group(1)}"


def questions(lines: Iterable[str]) -> Iterator[Document]:
    for asked, answer in asked_and_answered(lines):
        yield Document("questions", asked, chat([("user", asked), ("assistant", answer)]))


def allowed(lines: Iterable[str]) -> Iterator[Mapping[str, str]]:
    """The instructions that may be trained on: a tenth of them, by their words, belongs to nobody but tests."""
    yield from (row for row in map(json.loads, lines) if zlib.crc32(row["instruction"].encode()) % 10 != 0)


def asked_of(row: Mapping[str, str]) -> str:
    """An instruction with the text that it is about."""
    return row["instruction"] + ("\n\n" + row["context"] if row["context"] else "")


def instructions(lines: Iterable[str]) -> Iterator[Document]:
    for row in allowed(lines):
        yield Document("instructions", row["instruction"], chat([("user", asked_of(row)[:4000]), ("assistant", row["response"][:4000])]))


def messages(dialogue_lines: Iterable[str], instruction_lines: Iterable[str]) -> Iterator[Document]:
    """What somebody says first, by itself and outside the template: a classifier reads such texts so."""
    for row in map(json.loads, dialogue_lines):
        first = next((turn["text"] for turn in row["turns"] if turn["speaker"] == "USER"), "")
        if first.strip():
            yield Document("messages", row["id"], first.strip())
    for row in allowed(instruction_lines):
        yield Document("messages", row["instruction"], row["instruction"].strip())


READERS: dict[str, Callable[[Path], Iterator[Document]]] = {
    "books": lambda shared: books(lines_of(shared, "classic_books")),
    "peps": lambda shared: peps(lines_of(shared, "peps")),
    "dialogues": lambda shared: dialogues(lines_of(shared, "sgd")),
    "questions": lambda shared: questions(lines_of(shared, "openbookqa")),
    "instructions": lambda shared: instructions(lines_of(shared, "dolly")),
    "messages": lambda shared: messages(lines_of(shared, "sgd"), lines_of(shared, "dolly")),
}


def is_development(key: str) -> bool:
    """Whether a book, a paper, a dialogue, a question or an instruction is kept for development: one in fifty, by its name."""
    return int.from_bytes(order_key(f"development {key}"), "big") % DEVELOPMENT_SHARE == 0


def documents(shared: Path, sets: Iterable[str] = tuple(MOST_BYTES)) -> list[Document]:
    """The documents that are trained on, in a fixed order, each text once."""
    found: dict[str, Document] = {}
    for name in sets:
        texts = (one for one in READERS[name](shared) if not is_development(one.key))
        found |= {one.text: one for one in take(texts, MOST_BYTES[name])}
    return sorted(found.values(), key=lambda one: order_key(one.text))


def development(shared: Path) -> dict[str, list[str]]:
    """The texts of each set that nothing is trained on, at most `DEVELOPMENT_BYTES` of each."""
    found = {}
    for name, read in READERS.items():
        held = (one for one in read(shared) if is_development(one.key))
        found[name] = [one.text for one in take(held, DEVELOPMENT_BYTES)]
    return found


def take(texts: Iterable[Document], n_bytes: int) -> list[Document]:
    """A sample of about `n_bytes`, by the texts' own hashes."""
    taken, used = [], 0
    for one in sorted(texts, key=lambda some: order_key(some.text)):
        if used >= n_bytes:
            break
        taken.append(one)
        used += len(one.text.encode())
    return taken


def conversations(shared: Path) -> list[dict[str, object]]:
    """Short questions with short answers from the sets that have them, as conversations in a fixed order."""
    found = []
    for row in allowed(lines_of(shared, "dolly")):
        asked, answer = asked_of(row).strip(), row["response"].strip()
        if row["category"] in SHORT and len(asked.split()) <= MOST_ASKED and len(answer.split()) <= MOST_ANSWERED:
            found.append((row["instruction"], asked, answer, "dolly"))
    by_hash = sorted(asked_and_answered(lines_of(shared, "openbookqa")), key=lambda pair: order_key(pair[0]))
    found += [(asked, asked, answer, "openbookqa") for asked, answer in by_hash[:MOST_QUESTIONS]]
    kept = sorted((one for one in found if not is_development(one[0])), key=lambda one: order_key(one[1]))
    roles = ("user", "assistant")
    return [{"messages": [{"role": r, "content": c} for r, c in zip(roles, one[1:3], strict=True)], "set": one[3]} for one in kept]


def write_lines(path: Path, rows: Iterable[object]) -> str:
    """Write rows as JSON lines; gives the file's SHA-256. Not packed: packers of other versions give other bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(text)
    return hashlib.sha256(text).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()
    texts = documents(args.shared)
    shape = Shape()
    write_shape(args.out / "shape", train_tokenizer((one.text for one in texts[::4]), shape.vocabulary), shape)
    held = [{"set": name, "text": text} for name, some in development(args.shared).items() for text in some]
    digests = {
        "corpus.jsonl": write_lines(args.out / "corpus.jsonl", ({"text": one.text, "set": one.set} for one in texts)),
        "instruct.jsonl": write_lines(args.out / "instruct.jsonl", conversations(args.shared)),
        "development.jsonl": write_lines(args.out / "development.jsonl", held),
    }
    for name in MOST_BYTES:
        some = [len(one.text.encode()) for one in texts if one.set == name]
        print(f"{name}: {len(some):,} texts, {sum(some) / 1e6:.1f} MB")
    for name, digest in digests.items():
        print(f'"{name}" = "{digest}"')


if __name__ == "__main__":
    main()
