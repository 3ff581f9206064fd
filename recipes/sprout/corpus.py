"""Build what `sprout` is pre-trained on, and its tokenizer, from the files that `recipes/sprout.toml` lists with their hashes.

    python recipes/sprout/corpus.py --shared ../shared --out runs/sprout-corpus

writes `corpus.jsonl.gz` (one text a line) and `shape/` (config.json and the tokenizer: a model without weights). Equal
inputs give equal bytes. Conversations are written as text in sprout's own template, special tokens by their names.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

RECIPE = Path(__file__).resolve().parent.parent / "sprout.toml"
LEFT_OUT = ("Heart of Darkness", "Silas Marner", "The Haunted Bookshop", "Black Beauty", "Twenty Years at Hull House")
SPECIAL = ("<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|turn_end|>")
N_VOCABULARY = 8192
BOOK_BYTES, PEP_BYTES, DIALOGUE_BYTES = 22_000_000, 2_500_000, 5_000_000
PIECE_CHARACTERS = 6_000

TEMPLATE = (
    "{{ '<|begin|>' }}{% if tools %}{{ '<|system|>' + (tools | tojson) + '<|turn_end|>' }}{% endif %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '<|assistant|>' }}{% generation %}{{ message['content'] }}"
    "{% for call in message['tool_calls'] or [] %}{{ '<tool_call>' + (call['function'] | tojson) + '</tool_call>' }}{% endfor %}"
    "{{ '<|turn_end|>' }}{% endgeneration %}"
    "{% elif message['role'] in ('system', 'developer') %}{{ '<|system|>' + message['content'] + '<|turn_end|>' }}"
    "{% elif message['role'] == 'tool' %}{{ '<|tool|>' + message['content'] + '<|turn_end|>' }}"
    "{% else %}{{ '<|user|>' + message['content'] + '<|turn_end|>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 5,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "vocab_size": N_VOCABULARY, "max_position_embeddings": 2048,
    "rope_theta": 10000.0, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": True, "attention_bias": False,
    "mlp_bias": False, "initializer_range": 0.02, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "dtype": "bfloat16",
}  # fmt: skip


def listed_files(recipe: Path) -> dict[str, str]:
    """The source files by path, with the SHA-256 that the recipe's comment lines (`# sha256 HASH PATH`) give."""
    found = re.findall(r"^# sha256 ([0-9a-f]{64}) (\S+)$", recipe.read_text(encoding="utf-8"), re.MULTILINE)
    return {path: digest for digest, path in found}


def read_lines(shared: Path, path: str, digest: str) -> Iterator[str]:
    """The lines of a gzip file, once its hash is what the recipe says."""
    packed = (shared / "data" / path).read_bytes()
    if hashlib.sha256(packed).hexdigest() != digest:
        raise SystemExit(f"{path}: not the file that recipes/sprout.toml names (its SHA-256 differs)")
    yield from gzip.decompress(packed).decode("utf-8").split("\n")


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
    if held:
        yield "\n\n".join(held)


def take(texts: Iterable[str], n_bytes: int) -> list[str]:
    """A sample of about `n_bytes`, by the texts' own hashes."""
    taken, used = [], 0
    for text in sorted(texts, key=order_key):
        if used >= n_bytes:
            break
        taken.append(text)
        used += len(text.encode())
    return taken


def chat(turns: Iterable[tuple[str, str]]) -> str:
    """A conversation as sprout's template writes it, less the begin token, which every document gets."""
    return "".join(f"<|{role}|>{text.strip()}<|turn_end|>" for role, text in turns)


def books(lines: Iterable[str]) -> Iterator[str]:
    for line in filter(None, lines):
        book = json.loads(line)
        if book["title"] not in LEFT_OUT:
            yield from pieces(book["text"])


def peps(lines: Iterable[str]) -> Iterator[str]:
    for line in filter(None, lines):
        yield from pieces(json.loads(line)["text"])


def dialogues(lines: Iterable[str]) -> Iterator[str]:
    for line in filter(None, lines):
        turns = json.loads(line)["turns"]
        yield chat(("user" if turn["speaker"] == "USER" else "assistant", turn["text"]) for turn in turns)


def questions(lines: Iterable[str]) -> Iterator[str]:
    for row in csv.DictReader(filter(None, lines), delimiter="\t", quoting=csv.QUOTE_NONE):
        answer = re.search(rf"\({row['Answer Key']}\)\s*(.*?)\s*(?=\([A-Z]\)|$)", row["Choices"])
        if answer:
            yield chat([("user", f"{row['Question Stem']}\n{row['Choices']}"), ("assistant", f"({row['Answer Key']}) {answer.group(1)}")])


def instructions(lines: Iterable[str]) -> Iterator[str]:
    for line in filter(None, lines):
        row = json.loads(line)
        if zlib.crc32(row["instruction"].encode()) % 10 != 0:
            asked = row["instruction"] + ("\n\n" + row["context"] if row["context"] else "")
            yield chat([("user", asked[:4000]), ("assistant", row["response"][:4000])])


def corpus(shared: Path) -> list[str]:
    """Every document, in a fixed order."""
    listed = listed_files(RECIPE)

    def lines(folder: str) -> Iterator[str]:
        for path, digest in listed.items():
            if path.startswith(folder + "/"):
                yield from read_lines(shared, path, digest)

    texts = (
        take(books(lines("classic_books")), BOOK_BYTES)
        + take(peps(lines("peps")), PEP_BYTES)
        + take(dialogues(lines("sgd")), DIALOGUE_BYTES)
    )
    texts += [*questions(lines("openbookqa")), *instructions(lines("dolly"))]
    return sorted(set(texts), key=order_key)


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Byte-level BPE with GPT-2's split pattern."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=N_VOCABULARY, special_tokens=list(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator((re.sub(r"<\|\w+\|>", "\n", text) for text in texts), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", SPECIAL.index("<|begin|>"))]
    )
    return tokenizer


def write_shape(folder: Path, tokenizer: Tokenizer) -> None:
    """The folder of a model without weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE + "\n", encoding="utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "eos_token": "<|end|>", "pad_token": "<|pad|>",
        "additional_special_tokens": list(SPECIAL[3:]), "clean_up_tokenization_spaces": False, "model_max_length": 2048,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()
    texts = corpus(args.shared)
    write_shape(args.out / "shape", train_tokenizer(texts[::4]))
    with open(args.out / "corpus.jsonl.gz", "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as packed:
        for text in texts:
            packed.write((json.dumps({"text": text}, ensure_ascii=False) + "\n").encode())
    print(f"{len(texts):,} texts, {sum(len(text.encode()) for text in texts) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
