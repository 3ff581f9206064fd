"""New: look at a file, and write a recipe that a person can read and change."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.files import write_text
from luthier.data.columns import normal
from luthier.data.readers import PlainText
from luthier.data.record import Record
from luthier.data.shapes import UnknownColumns
from luthier.data.source import Data, Recognised, recognise
from luthier.data.survey import SourceFile, survey

TASK_OF_SHAPE = {"labelled": "classify", "pair": "answer", "chat": "chat", "text": "pretrain"}
_ABOUT = {
    "classify": "Say which label a text belongs to",
    "answer": "Answer as the completions do",
    "chat": "Reply as the assistant does",
    "pretrain": "Continue text of this kind",
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


@dataclass(frozen=True)
class Written:
    """The recipe's path, and what the file was recognised as."""

    path: Path
    said: str


def write_recipe(name: str, data: Path) -> Written:
    """Write `NAME.toml` for a file of rows; an existing recipe is never overwritten.

    Raises:
        LuthierError: the name makes no folder, the recipe exists, or the file cannot be recognised.

    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise LuthierError(f"the name {name!r}", "it cannot name a folder", "use letters, digits, dots, dashes and underscores")
    path = Path(f"{name}.toml")
    if path.exists():
        raise LuthierError(str(path), "there is a recipe of that name already", "choose another name, or remove it")
    found, guessed = _looked_at(str(data.resolve()))
    write_text(path, recipe_text(name, data, found, guessed))
    task = TASK_OF_SHAPE[found.shape]
    said = f"{found.said}\nSo the task is {_quoted(task)}: {_ABOUT[task][:1].lower()}{_ABOUT[task][1:]}."
    return Written(path, f"{said}\n! The columns were guessed from their values: see `fields` in the recipe." if guessed else said)


def _looked_at(source: str) -> tuple[Recognised, bool]:
    """What a file is, and whether its columns had to be guessed from their values, as their names tell nothing."""
    try:
        found = recognise(Data(source=source))
    except UnknownColumns as unknown:
        if not unknown.guess:
            raise
        return recognise(Data(source=source, fields=unknown.guess)), True
    return (recognise(Data(source=source, format="text")) if _is_one_text(found.files) else found), False


def _is_one_text(files: tuple[SourceFile, ...]) -> bool:
    """Whether this is a single document, of which no part could be set aside to judge by."""
    return len(files) == 1 and files[0].reader == PlainText("file")


def recipe_text(name: str, data: Path, found: Recognised, guessed: bool = False) -> str:
    """The recipe with a comment at each line that somebody may want to change."""
    task = TASK_OF_SHAPE[found.shape]
    columns = ", ".join(f"{role} = {_quoted(column)}" for role, column in found.fields.items())
    note = "   # guessed from the values: correct it if it is not so" if guessed else ""
    by_line = any(one.reader == PlainText("line") for one in found.files) and found.layout != "label first in the line"
    there = {normal(column): column for column in _columns(data) if column not in found.fields.values()}
    group = next((there[one] for one in _GROUPS if one in there), None)
    lines = [
        f"# {' '.join(found.said.split())}",
        f"# What will happen: luthier check {name}.toml      Do it: luthier run {name}.toml",
        "",
        f"name = {_quoted(name)}",
        "",
        "[goal]",
        f"task = {_quoted(task)}",
        f"about = {_quoted(_ABOUT[task])}   # in your words: the base model is asked with them",
        "# at_least = 0.75          # the bar that the low end of the interval has to reach",
        'beat = ["base"]            # systems that the tuned model has to beat',
        "",
        "[data]",
        f"source = {_quoted(str(data))}",
        *(['format = "text"            # one document a line'] if by_line else []),
        *([f"fields = {{ {columns} }}{note}"] if columns else []),
        *([f"group = {_quoted(group)}   # rows with the same value here stay on one side of the split"] if group else []),
        "",
        "[model]",
        'base = "sprout"            # or a folder, or a hub id such as "Qwen/Qwen3-0.6B"',
        "",
        "[method]",
        'kind = "lora"              # or "full"',
        "",
        "[train]",
        "epochs = 3",
        *(
            ['too_long = "cut"          # rows longer than the model reads lose their oldest context, never their reply']
            if task != "pretrain"
            else []
        ),
        "",
    ]
    return "\n".join(lines)


def _columns(data: Path) -> tuple[str, ...]:
    """The columns of the first record, by their names."""
    (one, *_) = survey(str(data.resolve()), "auto", None)
    first = next((row for row in one.reader.read(one.file) if isinstance(row, Record)), None)
    return tuple(first.values) if first is not None else ()


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
