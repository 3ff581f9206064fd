"""The layouts in which people write examples down; the table is `AnyLayout`, in the order in which they are looked for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeAlias, get_args

from luthier.core.errors import Complaints, LuthierError
from luthier.data.shapes.alpaca import Alpaca
from luthier.data.shapes.columns import Sample, listing
from luthier.data.shapes.dialogue import Dialogue
from luthier.data.shapes.exchange import MessageExchange
from luthier.data.shapes.labelled import TextLabel
from luthier.data.shapes.labelled_line import LabelledLine
from luthier.data.shapes.openai_chat import OpenAIChat
from luthier.data.shapes.openai_preference import OpenAIPreference
from luthier.data.shapes.pair import PromptCompletion
from luthier.data.shapes.plain import PlainColumn
from luthier.data.shapes.preference import ChosenRejected
from luthier.data.shapes.ranking import RankedReplies
from luthier.data.shapes.rated import RatedReply
from luthier.data.shapes.sharegpt import ShareGPT
from luthier.data.shapes.squad import Squad
from luthier.data.shapes.text_score import TextScore
from luthier.data.shapes.token_tags import TokenTags
from luthier.data.shapes.translation import Translation

AnyLayout: TypeAlias = (
    OpenAIPreference | ChosenRejected | RankedReplies | RatedReply | OpenAIChat | ShareGPT | Dialogue | MessageExchange | Squad
    | TokenTags | Translation | Alpaca | PromptCompletion | LabelledLine | TextScore | TextLabel | PlainColumn
)  # fmt: skip
LAYOUTS: Mapping[str, type[AnyLayout]] = {kind.name: kind for kind in get_args(AnyLayout)}
WANTED = {
    "labelled": "texts with labels", "pair": "prompts with completions", "chat": "conversations", "text": "plain texts",
    "preference": "preferences", "ranking": "ranked replies", "rated": "replies that were rated", "tagged": "tokens with tags",
    "scored": "texts with numbers",
}  # fmt: skip
FITS: Mapping[str, tuple[str, ...]] = {
    "pair": ("pair", "chat"), "chat": ("chat", "pair"), "preference": ("preference", "ranking", "rated"),
}  # fmt: skip
"""A prompt with its completion is a conversation of one exchange, so whoever wants either can take both; verdicts come in three shapes."""
VERDICTS = ("preference", "ranking", "rated")
_FIELDS = "[data] fields"


class UnknownColumns(LuthierError):
    """No layout knows the columns by their names; `guess` is what their values make of them, empty where they tell too little."""

    def __init__(self, where: str, problem: str, fix: str, guess: Mapping[str, str] | None = None) -> None:
        super().__init__(where, problem, fix)
        self.guess = guess or {}


def settle(sample: Sample, given: Mapping[str, str], want: str | None, where: str) -> AnyLayout:
    """The layout of the sample: the first that fits what the recipe says (`given`) and gives the shape that is wanted.

    Raises:
        LuthierError: a role or column in `given` is unknown, or no layout fits; then the error says which `fields` to give.

    """
    _check_given(sample, given)
    found = [layout for kind in LAYOUTS.values() if given.keys() <= set(kind.roles) and (layout := kind.find(sample, given)) is not None]
    shapes = (None,) if want is None else FITS.get(want, (want,))
    if found and not given and found[0].shape in VERDICTS and want in ("pair", "chat"):
        raise _verdicts(found[0], where)
    # The shape that was asked for comes before one that will do.
    fitting = [layout for shape in shapes for layout in found if shape in (None, layout.shape)]
    if fitting:
        return fitting[0]
    instead = f"; as they stand they are {WANTED[found[0].shape]}" if found else ""
    of = f" of {WANTED[want]}" if want else ""
    problem, guess = f"no layout{of} fits the columns {listing(sample.columns)}{instead}", _suggestion(sample, want)
    if _are_values(sample):
        raise UnknownColumns(where, f"{problem}: the first line seems to be a row already", "write a header above it, such as text,label")
    written = ", ".join(f'{role} = "{column}"' for role, column in guess.items())
    fix = (f"say under [data] which column is which, for example fields = {{ {written} }}; "
           "if the first line of a table is already a row, write a header above it")
    raise UnknownColumns(where, problem, fix, guess if "label" in guess and "…" not in guess.values() else {})


def _check_given(sample: Sample, given: Mapping[str, str]) -> None:
    complaints = Complaints()
    roles = sorted({role for kind in LAYOUTS.values() for role in kind.roles})
    for role, column in given.items():
        if role not in roles:
            complaints.add(_FIELDS, f'"{role}" is no role', f"{_nearest(role, roles)}the roles are {', '.join(roles)}")
        elif not sample.has(column):
            complaints.extend(no_column(f"{_FIELDS}.{role}", column, sample))
    complaints.raise_if_any()
    sets = [set(kind.roles) for kind in LAYOUTS.values()]
    if given and not any(given.keys() <= roles_of for roles_of in sets):
        fix = "give text and label, or prompt and completion, or messages, or text alone; `luthier new` writes them for a file"
        raise LuthierError(_FIELDS, f"no layout has the roles {', '.join(given)} together", fix)


def no_column(where: str, column: str, sample: Sample) -> LuthierError:
    """The error for a column that the recipe names and the files lack."""
    return LuthierError(where, f'there is no column "{column}"', f"{_nearest(column, sample.columns)}there are {listing(sample.columns)}")


def _nearest(name: str, names: tuple[str, ...] | list[str]) -> str:
    lower = {one.lower(): one for one in names}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    return f'did you mean "{lower[close[0]]}"? ' if close else ""


def _verdicts(found: AnyLayout, where: str) -> LuthierError:
    """The error where good and bad answers would be imitated alike: they look like conversations, and are there to be told apart."""
    fields = dict(found.fields)
    good = fields.get("chosen") or fields.get("preferred") or fields.get("completion") or "…"
    prompt = fields.get("prompt") or "…"
    return LuthierError(
        where,
        f"the rows are {WANTED[found.shape]} ({listing(tuple(fields.values()))}), bad answers among them, and this task imitates all",
        f'set [goal] task = "prefer"; or, to imitate the answers of one column, name it: fields = {{ prompt = "{prompt}", '
        f'completion = "{good}" }}',
    )


def _are_values(sample: Sample) -> bool:
    """Whether a table has no header: what should be a column's name stands among its values too."""
    return any(name in sample.values(name) for name in sample.columns)


def _suggestion(sample: Sample, want: str | None) -> dict[str, str]:
    """Fields with the sample's own columns, guessed from their values; `a.0` reaches into a list, `a.b` into an object."""
    lists = [name for name in sample.columns if any(isinstance(value, list) for value in sample.values(name))]
    if want == "chat":
        return {"messages": lists[0] if lists else "…"}
    paths = [*sample.columns, *(f"{name}.0" for name in lists)]
    for name in sample.columns:
        paths += dict.fromkeys(f"{name}.{key}" for value in sample.values(name) if isinstance(value, Mapping) for key in value)
    texts = {}
    for path in paths:
        found = [value for value in sample.values(path) if isinstance(value, str)]
        if found:
            texts[path] = sum(map(len, found)) / len(found)
    by_length = sorted(texts, key=lambda path: -texts[path])
    longest = by_length[0] if by_length else "…"
    if want == "pair":
        order = list(texts)
        first, then = sorted((*by_length, "…", "…")[:2], key=lambda path: order.index(path) if path in order else len(order))
        return {"prompt": first, "completion": then}
    single = [path for path in paths if path != longest and not any(isinstance(value, list | dict) for value in sample.values(path))]
    classes = {path: len(set(map(str, sample.values(path)))) for path in single}
    label = min((path for path in single if 1 < classes[path] <= len(sample.records) / 2), key=lambda path: classes[path], default=None)
    if want == "text" or (want is None and label is None):
        return {"text": longest}
    return {"text": longest, "label": label or "…"}
