"""The profile of data: time and memory by the number of rows, and how many planted odd rows are among the ten strangest.

    python bench/data_profile.py sizes --rows 10000 100000 1000000
    python bench/data_profile.py odd --shared ../shared --seeds 5

`sizes` makes rows of about 1,000 characters and prints, for each number of rows in a process of its own, seconds of processor time
and the peak of memory above what the imports take. `odd` plants two rows of each kind of oddity, made anew by seed, into real sets, and
prints how many of them are among the ten strangest, and how many rows are strange in all.
"""

from __future__ import annotations

import argparse
import base64
import csv
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from luthier.core.examples import AnyExample, Labelled, Text
from luthier.core.files import write_json, write_jsonl
from luthier.data.kept import prepared
from luthier.data.pipeline import KeptRow
from luthier.data.profile.measured import profile_of
from luthier.data.profile.page import About, profile_page
from luthier.data.profile.private import PRIVACY
from luthier.data.profile.sample import looked
from luthier.data.profile.strange import strangest

SYLLABLES = ("ba", "ko", "mi", "ru", "te", "lo", "sa", "ni", "pu", "ga", "do", "fe", "hi", "zu", "wo", "ye")
CYRILLIC = (
    "как", "сказать", "что", "это", "стоит", "если", "можно", "завтра", "утром", "когда", "мастер", "будет", "дома", "спасибо", "большое"
)  # fmt: skip


def mash(draw: random.Random, rows: list[Labelled]) -> Labelled:
    """What a hand on a keyboard types."""
    return Labelled("", "".join(draw.choices("asdfghjklqwertzuiop;,.", k=draw.randint(30, 90))), draw.choice(rows).label)


def coded(draw: random.Random, rows: list[Labelled]) -> Labelled:
    """Bytes in base 64."""
    return Labelled("", base64.b64encode(draw.randbytes(draw.randint(30, 90))).decode(), draw.choice(rows).label)


def other_script(draw: random.Random, rows: list[Labelled]) -> Labelled:
    """Words in another alphabet."""
    return Labelled("", " ".join(draw.choices(CYRILLIC, k=draw.randint(6, 15))), draw.choice(rows).label)


def stuck(draw: random.Random, rows: list[Labelled]) -> Labelled:
    """A row of the set's that says its first words over and over."""
    words = " ".join(draw.choice(rows).text.split()[:4])
    return Labelled("", " ".join([words] * draw.randint(12, 30)), draw.choice(rows).label)


def joined(draw: random.Random, rows: list[Labelled]) -> Labelled:
    """Many rows that lost their line ends."""
    return Labelled("", " ".join(draw.choice(rows).text for _ in range(40)), draw.choice(rows).label)


def table(draw: random.Random, rows: list[Labelled]) -> Labelled:
    """Numbers that were pasted from a sheet."""
    return Labelled("", "\t".join(f"{draw.random() * 1000:.2f}" for _ in range(draw.randint(12, 40))), draw.choice(rows).label)


KINDS: tuple[Callable[[random.Random, list[Labelled]], Labelled], ...] = (mash, coded, other_script, stuck, joined, table)


def sets(shared: Path) -> Iterator[tuple[str, list[Labelled]]]:
    """Real rows: with labels where the set has some."""
    home = shared / "data"
    with open(home / "banking77" / "train.csv", encoding="utf-8", newline="") as file:
        yield "banking77", [Labelled(str(i), row["text"], row["category"]) for i, row in enumerate(csv.DictReader(file))]
    with open(home / "sms_spam" / "SMSSpamCollection.tsv", encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    yield "sms_spam", [Labelled(str(i), line[1], line[0]) for i, line in enumerate(lines) if len(line) == 2]
    for name, field, label in (("dolly", "response", "category"), ("medquad", "answer", None), ("gsm8k", "question", None)):
        (path,) = (home / name).glob("*.jsonl.gz")
        with gzip.open(path, "rt", encoding="utf-8") as file:
            found = [json.loads(line) for line in file]
        yield name, [Labelled(str(i), row[field], row[label] if label else None) for i, row in enumerate(found)]


def odd(args: argparse.Namespace) -> None:
    """Planted rows among the ten strangest, by set and kind."""
    for name, rows in sets(args.shared):
        found = dict.fromkeys((kind.__name__ for kind in KINDS), 0)
        n_strange, began = [], time.process_time()
        for seed in range(args.seeds):
            for kind in KINDS:
                draw = random.Random(f"{seed} {kind.__name__}")
                planted = [kind(draw, rows) for _ in range(2)]
                mixed: list[AnyExample] = [*draw.sample(rows, min(len(rows), args.most)), *planted]
                best, n = strangest([looked(row, "train") for row in mixed], seed)
                found[kind.__name__] += sum(one.row.id == "" for one in best)
                n_strange.append(n / len(mixed))
        n_planted = 2 * args.seeds
        print(json.dumps({
            "set": name, "rows": len(rows), "planted_of_each": n_planted, "among_the_ten": found,
            "frac_strange": round(sum(n_strange) / len(n_strange), 4),
            "seconds_each": round((time.process_time() - began) / len(n_strange), 2),
        }), flush=True)  # fmt: skip


def sizes(args: argparse.Namespace) -> None:
    """Time and memory by the number of rows, each in a process of its own."""
    for n in args.rows:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), n)
            subprocess.run([sys.executable, __file__, "one", folder], check=True)


def write(home: Path, n: int) -> None:
    """Prepared data of made-up rows of about 1,000 characters."""

    def rows() -> Iterator[KeptRow]:
        for i in range(n):
            draw = random.Random(i)
            words = ("".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(180))
            yield KeptRow(Text(str(i), " ".join(words), source=f"rows.jsonl:{i + 1}"))

    write_jsonl(home / prepared.KEPT, (prepared.kept_record(row, "train") for row in rows()))
    write_jsonl(home / prepared.DROPPED, ())
    write_json(home / prepared.CLEANING, {"read": n, "added": {}})


def one(args: argparse.Namespace) -> None:
    """The profile of one folder, measured."""
    from luthier.models.load import load_tokenizer
    from luthier.stages.profile import model_from

    model = model_from("sprout", load_tokenizer("sprout"), 1024)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    found = profile_of(args.folder, 0, (), model, PRIVACY)
    seconds = time.process_time() - began
    page = profile_page(found, About("sizes"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({
        "rows": found.gathered.n_rows, "looked_at": found.n_looked_at, "cpu_s": round(seconds, 1),
        "page_cpu_s": round(time.process_time() - began - seconds, 2), "page_kb": len(page) // 1000, "peak_mb": peak // 1024,
    }), flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    by_size = commands.add_parser("sizes")
    by_size.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    by_size.set_defaults(work=sizes)
    planted = commands.add_parser("odd")
    planted.add_argument("--shared", type=Path, required=True, help="folder that holds data/")
    planted.add_argument("--seeds", type=int, default=5)
    planted.add_argument("--most", type=int, default=10_000, help="rows of a set that are used")
    planted.set_defaults(work=odd)
    alone = commands.add_parser("one")
    alone.add_argument("folder", type=Path)
    alone.set_defaults(work=one)
    args = parser.parse_args()
    args.work(args)


if __name__ == "__main__":
    main()
