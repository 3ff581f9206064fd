"""How well personal data is found: recall and precision by type on made-up sentences, false findings on clean rows, and speed.

    python bench/personal_data.py SHARED/data --half held

`--half` says which half of the sentences is judged: those at even places ("seen") were looked at while the recognisers were
written, those at odd places ("held") were not. What is missed and what is found wrongly is printed, by kind, with `--show`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from luthier.core.examples import Text
from luthier.data import personal
from luthier.data.personal import PERSONAL_KINDS, SECRET_KINDS, Finding
from luthier.data.pipeline import clean
from luthier.data.steps import OwnFilter, PersonalData, Secrets
from luthier.data.tools import Tools

# The set's types and the kinds that they are looked for as; nothing here looks for the others.
KIND_OF = {
    "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "credit_card", "US_SSN": "national_id", "IP_ADDRESS": "ip_address",
    "US_DRIVER_LICENSE": "driver_licence", "ADDRESS": "postal_address", "PERSON": "person_name", "IBAN_CODE": "iban",
    "LOCATION": None, "ORGANIZATION": None, "TITLE": None, "DATE_TIME": None, "DOMAIN_NAME": None,
}  # fmt: skip
ALL_KINDS = tuple(dict.fromkeys((*PERSONAL_KINDS, *sorted(personal.UNSURE), *SECRET_KINDS)))


def sentences(data: Path, half: str) -> list[dict[str, object]]:
    rows = json.loads((data / "presidio_pii" / "generated_small.json").read_text(encoding="utf-8"))
    return [row for number, row in enumerate(rows) if half == "all" or (number % 2 == 0) == (half == "seen")]


def overlap(one: Finding, start: int, end: int) -> bool:
    return one.start < end and start < one.end


def judged(data: Path, half: str, at_least: str, show: bool) -> None:
    wanted = personal.recognisers(ALL_KINDS)
    gold, hit, exact, found, right = Counter(), Counter(), Counter(), Counter(), Counter()
    missed: dict[str, list[str]] = defaultdict(list)
    wrong: dict[str, list[str]] = defaultdict(list)
    for row in sentences(data, half):
        text = row["full_text"]
        spans = [(one["entity_type"], one["start_position"], one["end_position"]) for one in row["spans"]]
        findings = personal.find(text, wanted, at_least)
        for kind, start, end in spans:
            gold[kind] += 1
            mine = [one for one in findings if one.kind == KIND_OF[kind] and overlap(one, start, end)]
            hit[kind] += bool(mine)
            exact[kind] += any(one.start == start and one.end == end for one in mine)
            if not mine:
                missed[kind].append(text[start:end])
        for one in findings:
            found[one.kind] += 1
            same = any(KIND_OF[kind] == one.kind and overlap(one, start, end) for kind, start, end in spans)
            right[one.kind] += same
            if not same:
                wrong[one.kind].append(text[one.start : one.end])
    print(f"\nsentences: {half}, at least {at_least}")
    for kind in sorted(gold, key=lambda kind: -gold[kind]):
        if KIND_OF[kind] is None:
            print(f"{kind:18} {gold[kind]:3}  not looked for")
        else:
            print(f"{kind:18} {gold[kind]:3}  recall {hit[kind] / gold[kind]:.2f} (exact span {exact[kind] / gold[kind]:.2f})")
            if show and missed[kind]:
                print("    missed:", missed[kind])
    for kind in sorted(found):
        print(f"{kind:18} {found[kind]:3}  precision {right[kind] / found[kind]:.2f}", wrong[kind] if show else "")


def clean_rows(data: Path) -> Iterator[tuple[str, list[str]]]:
    with open(data / "banking77" / "train.csv", encoding="utf-8", newline="") as file:
        yield "banking77", [row["text"] for row in csv.DictReader(file)]
    for name, columns in (("gsm8k", ("question", "answer")), ("dolly", ("instruction", "context", "response"))):
        path = data / name / ("train.jsonl.gz" if name == "gsm8k" else "dolly.jsonl.gz")
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield name, ["\n".join(str(json.loads(line).get(column, "")) for column in columns) for line in file]
    with open(data / "sms_spam" / "SMSSpamCollection.tsv", encoding="utf-8") as file:
        yield "sms_spam", [line.partition("\t")[2].strip() for line in file][1:]


def on_clean(data: Path, at_least: str, show: bool, most: int) -> None:
    personal.find("a warm-up: +44 20 7946 0958, 4111 1111 1111 1111, a@b.org")
    for name, every in clean_rows(data):
        rows = every[:most]
        began = time.process_time()
        findings = [personal.find(row, at_least=at_least) for row in rows]
        seconds = time.process_time() - began
        counts = Counter(one.kind for some in findings for one in some)
        n_rows = sum(bool(some) for some in findings)
        characters = sum(map(len, rows))
        print(
            f"\n{name}: {len(rows):,} rows of {characters / len(rows):,.0f} characters, {len(rows) / seconds:,.0f} rows/s "
            f"({characters / seconds / 1e6:.1f} M characters/s); {1000 * n_rows / len(rows):.2f} of 1,000 rows hold something: "
            f"{dict(counts)}"
        )
        if show:
            by_kind: dict[str, list[str]] = defaultdict(list)
            for row, some in zip(rows, findings, strict=True):
                for one in some:
                    by_kind[one.kind].append(row[max(one.start - 15, 0) : one.start] + "⟦" + row[one.start : one.end] + "⟧")
            for kind, values in by_kind.items():
                print(f"    {kind}: {values[:40]}")


def steps(data: Path, most: int) -> None:
    """Rows a second through the steps, rows as examples in and out; the own filter is a process that answers each row."""
    rows = [Text(str(i), row) for name, every in clean_rows(data) if name == "dolly" for i, row in enumerate(every[:most])]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "filters.py"
        path.write_text("def keep(row):\n    return len(row['text']) > 10\n", encoding="utf-8")
        tools = Tools(secrets=Path(folder) / "secrets")
        made = {
            "mask": PersonalData(), "replace": PersonalData(action="replace"), "secrets": Secrets(),
            "own filter": OwnFilter(function=f"{path}:keep"),
        }  # fmt: skip
        for name, step in made.items():
            clean(rows[:50], [step], tools=tools)
            began, began_cpu = time.perf_counter(), time.process_time()
            clean(rows, [step], tools=tools)
            seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
            print(f"{name:10} {len(rows) / seconds:,.0f} rows/s by the clock, {len(rows) / cpu:,.0f} by this process's processor time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--half", choices=["seen", "held", "all"], default="held")
    parser.add_argument("--at-least", choices=["possible", "likely", "certain"], default="likely")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--most", type=int, default=10**9, help="rows of each clean set")
    parser.add_argument("--only", choices=["sentences", "clean", "steps"])
    args = parser.parse_args()
    if args.only in (None, "sentences"):
        judged(args.data, args.half, args.at_least, args.show)
    if args.only in (None, "clean"):
        on_clean(args.data, args.at_least, args.show, args.most)
    if args.only in (None, "steps"):
        steps(args.data, min(args.most, 5000))


if __name__ == "__main__":
    main()
