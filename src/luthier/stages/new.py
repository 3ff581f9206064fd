"""New: look at a file, and write a recipe that a person can read and change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample
from luthier.core.files import write_text
from luthier.core.recipe_text import toml_key, toml_text
from luthier.data.files.record import printable
from luthier.data.readers import Paragraphs, PlainText
from luthier.data.readers.parallel import language_of, pairs_among
from luthier.data.shapes import UnknownColumns
from luthier.data.shapes.columns import normal
from luthier.data.sides.kinds import ByColumn, Side, column_side
from luthier.data.source.reading import BadRow, Data, Recognised, read, recognise
from luthier.data.source.survey import SourceFile, suffix_of
from luthier.evaluate.metrics import TUNED, Task

TASK_OF_SHAPE: dict[str, Task] = {
    "labelled": "classify", "pair": "answer", "chat": "chat", "text": "pretrain", "preference": "prefer", "ranking": "prefer",
    "rated": "prefer", "scored": "regress", "tagged": "tag",
}  # fmt: skip
_ABOUT: dict[Task, str] = {
    "classify": "Say which label a text belongs to",
    "answer": "Answer as the completions do",
    "chat": "Reply as the assistant does",
    "pretrain": "Continue text of this kind",
    "prefer": "Prefer the better of two answers",
    "regress": "Tell the number that belongs to a text",
    "tag": "Tag the tokens of a sentence",
}
_GROUPS = (
    "customer_id",
    "user_id",
    "author_id",
    "patient_id",
    "group",
    "group_id",
    "thread_id",
    "conversation_id",
    "document_id",
    "customer",
    "user",
    "author",
)


MOST_LOOKED_AT = 20_000
"""Rows that are looked at for some that cannot be used: enough to tell, and soon done."""
MOST_LEFT_OUT = 0.1
"""A larger share of unusable rows means that the file was misread, or is not what somebody thinks: then the run says so."""


@dataclass(frozen=True)
class Written:
    """The recipe's path, and what the file was recognised as."""

    path: Path
    said: str


@dataclass(frozen=True)
class _Looked:
    """What a source was found to be, the paths that it is made of, whether its columns had to be guessed, and what was left out of it.

    `unfit` says which rows cannot be used, '' where all can, or where so many cannot that the file must have been misread. `side_column`
    is the column that says which rows are the test, '' where none does.
    """

    found: Recognised
    sources: tuple[Path, ...]
    guessed: bool = False
    left_out: str = ""
    unfit: str = ""
    side_column: str = ""


def write_recipe(name: str, data: Path) -> Written:
    """Write `NAME.toml` for a file of rows, a folder or an archive; an existing recipe is never overwritten.

    Raises:
        LuthierError: the name makes no folder, the recipe exists, or the file cannot be recognised.

    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise LuthierError(f"the name {name!r}", "it cannot name a folder", "use letters, digits, dots, dashes and underscores")
    path = Path(f"{name}.toml")
    if path.exists():
        raise LuthierError(str(path), "there is a recipe of that name already", "choose another name, or remove it")
    looked = _with_rows(_look_at(data) if not data.is_dir() else _look_into(data))
    strange = [str(one) for one in looked.sources if not _is_text(str(one))]
    if strange:
        raise LuthierError(printable(strange[0]), "its name is no text, and a recipe is", "rename it, or give the folder that it is in")
    write_text(path, recipe_text(name, looked))
    task = TASK_OF_SHAPE[looked.found.shape]
    said = f"{looked.found.said}\nSo the task is {toml_text(task)}: {_ABOUT[task][:1].lower()}{_ABOUT[task][1:]}."
    if task not in TUNED:
        said += f"\n! Its rows can be prepared and written out; the task {toml_text(task)} cannot be tuned yet."
    if looked.left_out:
        said += f"\n! {looked.left_out}"
    if looked.side_column:
        said += f"\nThe column {toml_text(looked.side_column)} says which rows are for training, which the test: the recipe keeps to it."
    if looked.unfit:
        said += f"\n! Left out, since the recipe says so under `bad_rows`: {looked.unfit}."
    return Written(path, f"{said}\n! The columns were guessed from their values: see `fields` in the recipe." if looked.guessed else said)


def _look_into(folder: Path) -> _Looked:
    """What a folder is: all that can be read in it; or, where some files cannot, the others, if they are all of one kind."""
    try:
        return _look_at(folder)
    except LuthierError as error:
        kinds: dict[tuple[str, tuple[str, ...]], list[Path]] = {}
        strange: list[str] = []
        for path in sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith(".")):
            try:
                found = _look_at(path)
            except LuthierError:
                strange.append(path.name)
            else:
                if found.found.layout != "plain text":
                    kinds.setdefault((found.found.layout, found.found.columns), []).append(path)
        if len(kinds) > 1:
            said = "; ".join(f"{layout}: {', '.join(one.name for one in paths)}" for (layout, _), paths in kinds.items())
            fix = "give one of these files, or name those that belong together under [data] source"
            raise LuthierError(str(folder), f"the folder holds rows of several kinds ({said})", fix) from error
        if not kinds or not strange:
            raise
        ((_, paths),) = kinds.items()
        found = _look_at_all(tuple(paths))
        return replace(found, left_out=f"These files of the folder were left out: {', '.join(strange)}.")


def _look_at(data: Path) -> _Looked:
    """What a file is, or a file and its translation beside it."""
    return _look_at_all(_with_translation(data))


def _look_at_all(sources: tuple[Path, ...]) -> _Looked:
    """What files are together."""
    source = tuple(str(one.resolve()) for one in sources)
    given: str | tuple[str, ...] = source if len(source) > 1 else source[0]
    try:
        found = recognise(Data(source=given))
    except UnknownColumns as unknown:
        if not unknown.guess:
            raise
        return _Looked(recognise(Data(source=given, fields=unknown.guess)), sources, guessed=True)
    if _is_one_text(found.files):
        by_line = recognise(Data(source=given, format="text"))
        found = recognise(Data(source=given, format="paragraphs")) if _is_one_text(by_line.files) else by_line
    return _Looked(found, sources)


def _with_rows(looked: _Looked) -> _Looked:
    """The same, having looked at the first rows: for some that cannot be used, and for a column that parts them."""
    all_rows = read(Data(source=tuple(map(str, looked.sources))), looked.found)
    rows = list(islice(all_rows, MOST_LOOKED_AT))
    bad = [row for row in rows if isinstance(row, BadRow)]
    looked = replace(looked, side_column=_side_column([row for row in rows if not isinstance(row, BadRow)], all_rows))
    if not bad or len(bad) > MOST_LEFT_OUT * len(rows):
        return looked
    which = f"{len(bad):,} of {len(rows):,} rows" if len(rows) < MOST_LOOKED_AT else f"{len(bad):,} of the first {len(rows):,} rows"
    return replace(looked, unfit=" ".join(f"{which}, such as {bad[0].source}: {bad[0].problem}".split()))


def _side_column(first: Sequence[AnyExample], others: Iterable[AnyExample | BadRow]) -> str:
    """The column that says train or test, or a usual name of these or of validation, in each row; '' where there is none, or several.

    The other rows are read only where the first ones name sides and not yet both, as in a file whose test stands at its end.
    """
    said: dict[str, set[Side]] = {column: set() for column in (first[0].extra if first else ())}
    for row in first:
        said = _also_said(said, row)
    for other in others:
        if not said or _parting(said):
            break
        said = said if isinstance(other, BadRow) else _also_said(said, other)
    return _parting(said)[0] if len(_parting(said)) == 1 else ""


def _also_said(said: Mapping[str, set[Side]], row: AnyExample) -> dict[str, set[Side]]:
    """What columns have said so far, without those that say no side in this row."""
    sides = {column: column_side(ByColumn(column=column), row.extra.get(column)) for column in said}
    return {column: said[column] | {side} for column, side in sides.items() if side is not None}


def _parting(said: Mapping[str, set[Side]]) -> list[str]:
    return [column for column, sides in said.items() if {"train", "test"} <= sides]


def _with_translation(data: Path) -> tuple[Path, ...]:
    """The file; with the only one beside it that is called alike but for its language, where its ending tells nothing else."""
    language = language_of(data.name)
    if not language or not data.is_file() or suffix_of(data) != f".{language.lower()}":
        return (data,)
    for pair in pairs_among([one.name for one in data.parent.iterdir() if one.is_file()]):
        if data.name in pair:
            return data, data.with_name(next(name for name in pair if name != data.name))
    return (data,)


def _is_one_text(files: tuple[SourceFile, ...]) -> bool:
    """Whether this is a single document, of which no part could be set aside to judge by."""
    return len(files) == 1 and files[0].reader == PlainText("file")


def recipe_text(name: str, looked: _Looked) -> str:
    """The recipe with a comment at each line that somebody may want to change."""
    task = TASK_OF_SHAPE[looked.found.shape]
    said = [line for sentence in looked.found.said.split("; ") for line in _wrapped(sentence)]
    head = [*(f"# {line}" for line in said), f"# What will happen: luthier check {name}.toml"]
    head[-1] += f"      Do it: luthier run {name}.toml" if task in TUNED else f"      Do it: luthier prepare {name}.toml"
    return "\n".join([*head, "", f"name = {toml_text(name)}", "", *_goal(task), "", *_data(looked), "", *_training(task)])


def _wrapped(text: str) -> list[str]:
    """A text in lines that fit a screen; as a comment it must not hold line breaks of its own."""
    lines = [""]
    for word in map(printable, text.split()):
        if lines[-1] and len(lines[-1]) + len(word) > 110:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return lines


def _goal(task: Task) -> list[str]:
    about = f"about = {toml_text(_ABOUT[task])}   # in your words"
    lines = ["[goal]", f"task = {toml_text(task)}"]
    if task not in TUNED:
        return [*lines, about]
    lines.append(f"{about}: the base model is asked with them")
    bar = [] if task == "pretrain" else ["# at_least = 0.75          # the bar that the low end of the interval has to reach"]
    return [*lines, *bar, 'beat = ["base"]            # systems that the tuned model has to beat']


def _data(looked: _Looked) -> list[str]:
    found = looked.found
    sources = [toml_text(str(one)) for one in looked.sources]
    lines = ["[data]", f"source = {sources[0]}" if len(sources) == 1 else f"source = [{', '.join(sources)}]"]
    if any(one.reader == PlainText("line") for one in found.files) and found.layout != "label first in the line":
        lines.append('format = "text"            # one document a line')
    if any(one.reader == Paragraphs() for one in found.files):
        lines.append('format = "paragraphs"      # one text in parts, cut at blank lines')
    if found.fields:
        columns = ", ".join(f"{toml_key(role)} = {toml_text(column)}" for role, column in found.fields.items())
        note = "   # guessed from the values: correct it if it is not so" if looked.guessed else ""
        note = "   # swap the two to translate the other way" if found.layout == "translation" else note
        lines.append(f"fields = {{ {columns} }}{note}")
    if looked.unfit:
        lines.append(f'bad_rows = "drop"          # {looked.unfit}')
    there = {normal(column): column for column in found.columns if column not in found.fields.values()}
    group = next((there[one] for one in _GROUPS if one in there), None)
    if group and looked.side_column:
        lines.append(f"# group = {toml_text(group)}   # would drop training rows that share this value with a test row")
    elif group:
        lines.append(f"group = {toml_text(group)}   # rows with the same value here stay on one side of the split")
    if looked.side_column:
        column = f"column = {toml_text(looked.side_column)}   # it says so in each row; without this section rows are parted anew"
        lines += ["", "[data.split]", 'kind = "column"', column]
    return lines


def _training(task: Task) -> list[str]:
    if task not in TUNED:
        return []
    lines = [
        "[model]",
        'base = "sprout"            # or a folder, or a hub id such as "Qwen/Qwen3-0.6B"',
        "",
        "[method]",
        'kind = "full"              # sprout is small; take "lora" for a larger base',
        "",
        "[train]",
        "epochs = 5",
        "learning_rate = 2e-3       # what suits sprout: leave this and the optimizer out for another base",
    ]
    cut = ['too_long = "cut"           # rows longer than the model reads lose their oldest context, never their reply']
    optimizer = ["", "[train.optimizer]", 'kind = "muon"']
    return [*lines, *([] if task == "pretrain" else cut), *optimizer, ""]


def _is_text(name: str) -> bool:
    """Whether a path is text: bytes that are none stand in it as half characters."""
    return name.encode("utf-8", "replace").decode("utf-8") == name
