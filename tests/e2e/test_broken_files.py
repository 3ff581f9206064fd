"""Files broken by value, by structure and byte by byte, through every command that reads rows: an error with its place, or all rows told.

What is broken comes from seeds; `make prove` tries many more of them than `make test` does.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars
import pytest
from tests.invariants.test_broken_rows import ODD, SOUND, broken, spoiled
from tests.made_models import Said, kept_rows, luthier, made_words, toml

from luthier.core.files import read_jsonl

TASKS = {
    "text+label": "classify", "alpaca": "answer", "openai chat": "chat", "sharegpt": "chat", "chosen/rejected": "prefer",
    "rated replies": "prefer", "squad": "answer", "token tags": "tag", "text+score": "regress",
}  # fmt: skip
N_ROWS = 40
NASTY = (
    "<div>" * 900, "&#x110000;&#xd800;", "[[{{" * 500, "-----BEGIN RSA PRIVATE KEY-----" * 9, "a@" * 900, "1 " * 900, "+49 " * 500,
    "\u0301" * 900, "> " * 900, "-- \n" * 200, "Ã¼" * 400, "\x1b[31m\x7f\x85", "\ufeff\u202e",
    "4111 1111 1111 1111 " * 20, "http://a." * 300, "`*#|" * 400,
    "password=" * 99, "teh recieve adn " * 50, "\n" * 900, "³²Ⅷ१२३", "\U000e0041" * 30,
    "On Mon wrote:\n" * 90, "9" * 5_000, "\u2028\x0b\x0c",
)  # fmt: skip
ALL_STEPS: list[dict[str, object]] = [
    {"kind": "repair_encoding"}, {"kind": "html_to_text"}, {"kind": "markup_to_text", "syntax": "wiki"}, {"kind": "email_debris"},
    {"kind": "whitespace", "form": "NFKC"}, {"kind": "look_alikes"}, {"kind": "correct_typos"}, {"kind": "secrets", "at_least": "possible"},
    {"kind": "personal_data", "at_least": "possible"}, {"kind": "languages", "sure_from": 1.0},
    {"kind": "token_length", "max_tokens": 4000},
    {"kind": "gopher_quality", "min_words": 0, "stop_words": []}, {"kind": "gopher_repetition"}, {"kind": "length"},
    {"kind": "fineweb_quality", "ended_lines": 0.0, "short_lines": 1.0}, {"kind": "exact_duplicates"},
    {"kind": "c4_quality", "min_sentences": 1, "min_words_per_line": 1}, {"kind": "near_duplicates"},
]  # fmt: skip
SPLITS: tuple[dict[str, object], ...] = (
    {}, {"data.group": "customer"}, {"data.split": {"kind": "column", "column": "part"}}, {"data.split": {"kind": "time", "column": "day"}},
    {"data.split": {"kind": "random"}}, {"data.split": {"train": 1.0, "validation": 0.0, "test": 0.0}},
)  # fmt: skip


def filled(value: Any, draw: random.Random) -> Any:
    """A sound row with words of its own, so that no two rows are alike."""
    if isinstance(value, str):
        return value if value in ("user", "assistant", "human", "gpt", "of it", "repair", "O", "B-PER") else f"{made_words(draw, 8)}."
    if isinstance(value, dict):
        return {name: filled(one, draw) for name, one in value.items()}
    return [filled(one, draw) for one in value] if isinstance(value, list) else value


def a_row(layout: str, i: int, draw: random.Random) -> dict[str, Any]:
    row = filled(SOUND[layout], draw)
    if layout == "squad":
        row |= {"context": "because of it", "answers": SOUND["squad"]["answers"]}
    if layout == "text+label":
        row["label"] = "xy"[i % 2]
    return {**row, "customer": f"c{i % 9}", "day": f"2024-01-{i % 28 + 1:02}", "part": ("train", "train", "dev", "test")[i % 4]}


def with_faults(row: Any, draw: random.Random, share: float) -> Any:
    if draw.random() >= share:
        return row
    if draw.random() < 0.3:
        return broken(row, draw)
    return {**row, draw.choice(list(row)): draw.choice(NASTY) if draw.random() < 0.6 else draw.choice(ODD)}


def as_cell(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def as_jsonl(rows: Sequence[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_csv(rows: Sequence[Any]) -> str:
    tables = [row for row in rows if isinstance(row, dict)]
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(tables[0])
    writer.writerows([as_cell(row.get(name)) for name in tables[0]] for row in tables)
    return out.getvalue()


def as_tsv(rows: Sequence[Any]) -> str:
    tables = [row for row in rows if isinstance(row, dict)]
    lines = ["\t".join(as_cell(row.get(name)).replace("\t", " ") for name in tables[0]) for row in tables]
    return "\n".join(["\t".join(tables[0]), *lines])


def as_texts(rows: Sequence[Any]) -> str:
    return "\n\n".join(as_cell(row) for row in rows)


def as_page(rows: Sequence[Any]) -> str:
    return f"<html><body><p>{'</p><p>'.join(as_cell(row) for row in rows)}</p>"


WRITERS: dict[str, Callable[[Sequence[Any]], str]] = {
    "jsonl": as_jsonl, "json": json.dumps, "csv": as_csv, "tsv": as_tsv, "txt": as_texts, "html": as_page, "parquet": as_jsonl,
}  # fmt: skip


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Bytes flipped, left out, doubled, cut off, or a line of them spoiled."""
    for _ in range(draw.choice((1, 1, 3))):
        at, n = draw.randrange(len(content)), draw.randrange(1, 40)
        lines = content.split(b"\n")
        i = draw.randrange(len(lines))
        content = draw.choice(
            (
                content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :], content[:at] + content[at + n :], content[: at + n],
                content[:at] + content[at : at + n] * 9 + content[at:], content[:at] + b'"' + content[at:],
                content[:at] + b"\0" + content[at:],
                b"\n".join([*lines[:i], spoiled(lines[i] or b"x", draw), *lines[i + 1 :]]), content[:at] + b"[" * 20_000 + content[at:],
            )
        )  # fmt: skip
    return content


def a_file(kind: str, layout: str, draw: random.Random) -> bytes:
    share = draw.choice((0, 0.1, 0.1, 0.3))
    rows = [with_faults(a_row(layout, i, draw), draw, share) for i in range(N_ROWS)]
    content = WRITERS[kind](rows).encode("utf-8", draw.choice(("replace", "surrogatepass")))
    if kind == "parquet":
        table = [{"text": as_cell(row).encode("utf-8", "replace").decode(), "label": "xy"[i % 2]} for i, row in enumerate(rows)]
        out = io.BytesIO()
        polars.DataFrame(table).write_parquet(out, row_group_size=9)
        content = out.getvalue()
    return damaged(content, draw) if draw.random() < 0.3 else content


def a_source(folder: Path, layout: str, draw: random.Random) -> Path:
    """A file, a packed one, a folder, or an archive."""
    kind = draw.choice(list(WRITERS))
    content, how = a_file(kind, layout, draw), draw.randrange(8)
    if how == 0:
        path = folder / f"rows.{kind}.gz"
        path.write_bytes(damaged(gzip.compress(content), draw) if draw.random() < 0.5 else gzip.compress(content))
    elif how == 1:
        path = folder / "rows.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"a.{kind}", content)
            archive.writestr(draw.choice((f"b.{kind}", "README.md", "../up.csv")), a_file(kind, layout, draw))
        path.write_bytes(damaged(path.read_bytes(), draw) if draw.random() < 0.5 else path.read_bytes())
    elif how == 2:
        path = folder / "rows"
        path.mkdir()
        for name, inside in ((f"a.{kind}", content), (f"b.{kind}", a_file(kind, layout, draw)), ("README.md", b"# these rows")):
            (path / name).write_bytes(inside)
    else:
        path = folder / draw.choice((f"rows.{kind}", f"~ro\x7fws.{kind}", f'r"o\n{kind}.{kind}'))
        path.write_bytes(content)
    return path


def given(*arguments: object) -> Said:
    """A command that does its work, or says in words and with a place what is wrong."""
    said = luthier(*arguments, "--json")
    assert said.code in (0, 2), (arguments, said.err)
    assert "Traceback" not in said.err and "bug in Luthier" not in said.err
    if said.code == 2:
        assert all(one["where"] and one["problem"] and one["fix"] for one in said.json["errors"]) and said.json["errors"]
    return said


def tried(seed: int, model: Path, here: Path) -> str:
    """Make a source, and give every command with it; says how far it came."""
    draw = random.Random(seed)
    layout = draw.choice(list(TASKS))
    path = a_source(here, layout, draw)
    recipe = here / "mine.toml"
    if given("new", "mine", "--data", path.relative_to(here)).code == 2:
        said = {"name": "mine", "goal": {"task": TASKS[layout]}, "data": {"source": path.name}}
        recipe.write_text("\n".join(f"{name} = {toml(one)}" for name, one in said.items()).replace("\x7f", "\\u007f"), encoding="utf-8")
    base = ("--set", f"model.base={model}", "--set", f"data.bad_rows={draw.choice(('drop', 'drop', 'drop', 'error'))}")
    steps = () if draw.random() < 0.4 else ("--set", f"prepare.steps={toml(ALL_STEPS)}")
    split = [word for name, one in draw.choice(SPLITS).items() for word in ("--set", f"{name}={toml(one)}")]
    said = given("prepare", recipe, *base, *steps, *split)
    if draw.random() < 0.2:
        given("check", recipe, *base)
    if said.code == 2:
        return "refused"
    found, run = said.json, here / "runs" / "mine"
    assert found["read"] == found["kept"] + sum(n for reasons in found["dropped"].values() for n in reasons.values())
    assert sum(found["split"].values()) == found["kept"] + sum(found["added"].values()) == len(kept_rows(run))
    assert len(list(read_jsonl(run / "data" / "dropped.jsonl.gz"))) == found["read"] - found["kept"]
    given("show", "mine")
    return "prepared"


def tried_all(seeds: range, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = []
    for seed in seeds:
        (tmp_path / str(seed)).mkdir()
        monkeypatch.chdir(tmp_path / str(seed))
        ends.append(tried(seed, model, tmp_path / str(seed)))
    # Either must be met often, or little is shown.
    assert min(ends.count("prepared"), ends.count("refused")) >= len(ends) // 5, ends


@pytest.mark.slow
def test_whatever_is_broken_about_files_every_row_is_told_or_the_place_of_the_fault(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried_all(range(24), model, tmp_path, monkeypatch)


@pytest.mark.prove
@pytest.mark.parametrize("hundred", range(1, 11))
def test_of_a_thousand_broken_files_too(hundred: int, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried_all(range(100 * hundred, 100 * hundred + 100), model, tmp_path, monkeypatch)
