"""How much mojibake is repaired to the letter, and how much clean text is changed: ours beside ftfy.

    python bench/mojibake.py SHARED/data --catalogues FOLDER --domains git postgres-15 --rows 40

Clean text: sentences of multi30k (English, German), of an Alpaca file in Chinese, of the books, and of compiled message catalogues
(`FOLDER/LANGUAGE/LC_MESSAGES/DOMAIN.mo`), which hold whole sentences in dozens of languages. Each text with a character beyond
ASCII is corrupted by reading its UTF-8 bytes as another encoding, once to three times: the whole of it, or the middle one of
three; bytes that the encoding leaves open become control characters, as browsers have them (nothing is lost), or U+FFFD, or vanish
(lossy, counted apart). Clean text is counted as changed if a character differs. Everything is drawn by the seed.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import random
import struct
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import ftfy

from luthier.data.cleaning.mojibake import repaired

ENCODINGS = (
    "latin-1", "cp1252", "cp1250", "cp1251", "mac-roman", "cp1254", "cp1253", "iso8859-2", "iso8859-15", "cp437", "cp850", "koi8-r",
)  # fmt: skip
FTFY = ftfy.TextFixerConfig(
    unescape_html=False, remove_terminal_escapes=False, fix_latin_ligatures=False, fix_character_width=False, uncurl_quotes=False,
    fix_line_breaks=False, remove_control_chars=False, normalization=None, explain=False,
)  # fmt: skip


def misread(text: str, encoding: str, undefined: str = "control") -> str:
    """The text's UTF-8 bytes read as `encoding`; bytes that it leaves open become control characters, U+FFFD, or nothing."""
    other = {"control": chr, "replaced": lambda _: "\ufffd", "dropped": lambda _: ""}[undefined]
    table = [bytes([byte]).decode(encoding, "ignore") or other(byte) for byte in range(256)]
    return "".join(table[byte] for byte in text.encode("utf-8"))


def catalogue(path: Path) -> Iterator[str]:
    """The messages of a compiled catalogue that are UTF-8, without its header; plural forms count one by one."""
    raw = path.read_bytes()
    order = "<" if raw[:4] == b"\xde\x12\x04\x95" else ">"
    n_messages, _, start = struct.unpack(order + "3I", raw[8:20])
    spans = struct.unpack(f"{order}{2 * n_messages}I", raw[start : start + 8 * n_messages])
    found = {raw[at : at + size] for size, at in zip(spans[::2], spans[1::2], strict=True)}
    for message in sorted(found):
        if b"Content-Type:" not in message:
            with contextlib.suppress(UnicodeDecodeError):
                yield from message.decode("utf-8").split("\0")


def clean_texts(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """(Language or set, text), in a fixed order."""
    data: Path = arguments.data
    for name in ("train.de", "train.en"):
        with gzip.open(data / "multi30k" / f"{name}.gz", "rt", encoding="utf-8") as file:
            yield from (("multi30k." + name[-2:], line.strip()) for line in file)
    chinese = next((data / "llamafactory_demo").glob("alpaca_zh*"))
    with (gzip.open if chinese.suffix == ".gz" else open)(chinese, "rt", encoding="utf-8") as file:
        yield from (("alpaca.zh", row["output"]) for row in json.load(file))
    with gzip.open(data / "classic_books" / "train-00.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            yield from (("books", one) for one in json.loads(line)["text"].split("\n\n")[:400])
    for domain in arguments.domains:
        for path in sorted(arguments.catalogues.glob(f"*/LC_MESSAGES/{domain}.mo")):
            yield from ((path.parent.parent.name, text) for text in catalogue(path))


def chosen(texts: Iterator[tuple[str, str]], n_rows: int, rng: random.Random) -> dict[str, list[str]]:
    """Up to `n_rows` texts of each language that hold a character beyond ASCII."""
    by_language: dict[str, set[str]] = defaultdict(set)
    for language, text in texts:
        if 15 <= len(text) <= 2000 and not text.isascii() and "\ufffd" not in text:
            by_language[language].add(text)
    return {name: rng.sample(sorted(found), min(n_rows, len(found))) for name, found in sorted(by_language.items())}


def corrupted(texts: list[str], rng: random.Random) -> Iterator[tuple[str, str, str, str]]:
    """(Kind of corruption, encoding, corrupted text, clean text) for each text, three kinds of each."""
    for i, text in enumerate(texts):
        times = 1 + i % 3
        encoding = rng.choice(ENCODINGS)
        bad = text
        for _ in range(times):
            bad = misread(bad, encoding)
        yield f"whole, {times}×", encoding, bad, text
        other = rng.choice(ENCODINGS)
        left, right = texts[i - 1], texts[(i + 1) % len(texts)]
        yield "one of three", other, f"{left} {misread(text, other)} {right}", f"{left} {text} {right}"
        if times == 2:
            other = rng.choice(ENCODINGS)
            yield "two encodings", f"{encoding}, {other}", misread(misread(text, encoding), other), text
        for undefined in ("replaced", "dropped"):
            worse = misread(text, "cp1252", undefined)
            if worse != misread(text, "cp1252"):
                yield f"lossy: {undefined}", "cp1252", worse, text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--catalogues", type=Path)
    parser.add_argument("--domains", nargs="*", default=[])
    parser.add_argument("--rows", type=int, default=40, help="texts of each language")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=0, help="so many failures of ours")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    texts = chosen(clean_texts(arguments), arguments.rows, rng)
    cases = [(name, *case) for name, some in texts.items() for case in corrupted(some, rng)]
    systems: dict[str, Callable[[str], str]] = {"ours": repaired, "ftfy": lambda text: ftfy.fix_text(text, FTFY)}
    for system, repair in systems.items():
        started = time.perf_counter()
        changed = [(name, text) for name, some in texts.items() for text in some if repair(text) != text]
        right, total = Counter[str](), Counter[str]()
        missed: list[tuple[str, str, str, str]] = []
        for name, kind, encoding, bad, text in cases:
            good = repair(bad) == text
            for group in (kind, f"by {encoding}" if "lossy" not in kind and "," not in encoding else kind):
                total[group] += 1
                right[group] += good
            lossless = "lossless" if "lossy" not in kind else "lossy"
            total[lossless] += 1
            right[lossless] += good
            if not good and lossless == "lossless":
                missed.append((name, kind, encoding, text))
        print(f"\n{system}: {time.perf_counter() - started:.1f} s")
        print(f"  clean changed: {len(changed)} of {sum(map(len, texts.values()))} texts in {len(texts)} languages and sets")
        for group in sorted(total):
            print(f"  {group:20} {right[group] / total[group]:.4f} of {total[group]}")
        if system == "ours":
            for name, text in changed[: arguments.show]:
                print("  CHANGED", name, ascii(text)[:300], "\n       TO", ascii(repair(text))[:300])
            for name, kind, encoding, text in missed[: arguments.show]:
                print("  MISSED", name, kind, encoding, ascii(text)[:200])


if __name__ == "__main__":
    main()
