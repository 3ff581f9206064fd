"""squad: a question about a text, and the answers that stand in it (Rajpurkar et al. 2016, arXiv 1606.05250)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from luthier.core.examples import AnyExample, Pair
from luthier.core.jsonvalue import Json
from luthier.data.files.record import RowError
from luthier.data.shapes.alpaca import joined, parted
from luthier.data.shapes.columns import Common, Sample, lookup, optional_text_of, put, text_of

_NAMES = {"question": ("question", "query"), "context": ("context", "passage", "paragraph", "document"), "answers": ("answers", "answer")}
Answer = tuple[str, int | None]
"""What an answer says, and the character of the context at which it begins; None where that is not told."""


@dataclass(frozen=True)
class Squad:
    """Question, context, and `answers`: texts and where each begins, as lists in an object or as a list of objects.

    The model is asked the question with the context below it, and is to say the first answer; a question without answers has an
    empty completion.
    """

    fields: Mapping[str, str]

    name: ClassVar[str] = "squad"
    roles: ClassVar[tuple[str, ...]] = ("question", "context", "answers")
    needs: ClassVar[tuple[str, ...]] = ("question", "context", "answers")
    shape: ClassVar[str] = "pair"

    @classmethod
    def find(cls, sample: Sample, given: Mapping[str, str]) -> Self | None:
        """Columns called so, the answers being texts with places."""
        found = {role: given.get(role) or sample.pick(names) for role, names in _NAMES.items()}
        fields = {role: column for role, column in found.items() if column is not None}
        if len(fields) < len(_NAMES) or not any(isinstance(value, Mapping | list) for value in sample.values(fields["answers"])):
            return None
        return cls(fields)

    def example(self, record: Mapping[str, Json], row_id: str, common: Common) -> Pair:
        """The question with its context, and the first answer."""
        context = text_of(record, self.fields["context"])
        answers = _answers(lookup(record, self.fields["answers"]), self.fields["answers"])
        for n, (text, start) in enumerate(answers, 1):
            if start is not None and not context.startswith(text, start):
                raise RowError(f"answer {n} does not stand at character {start} of the context, where the row says that it begins")
        return Pair(row_id, joined(text_of(record, self.fields["question"]), context), answers[0][0] if answers else "", **common)

    def record(self, example: AnyExample, style: Mapping[str, Json]) -> dict[str, Json]:
        """The question, its context and the answers; of a context that was changed, those that still stand in it, with their new places."""
        assert isinstance(example, Pair), "this layout's examples are pairs"
        olds = [optional_text_of(style, self.fields[role]) for role in ("question", "context")]
        question, context = parted(example.prompt, *olds) if style else (example.prompt, "")
        old = lookup(style, self.fields["answers"])
        before = _answers(old, "answers") if old is not None else ()
        answers = [_moved(answer, answer[0] if n else example.completion, olds[1], context) for n, answer in enumerate(before)]
        # What is said no longer in so many words is no answer any more; the first one was changed as its context was.
        answers = [one for n, one in enumerate(answers) if n == 0 or one[1] is not None or one[0] in context]
        found = put(put({}, self.fields["question"], question, style), self.fields["context"], context, style)
        return put(found, self.fields["answers"], _spelled(answers, old), style)

    def said(self) -> str:
        """What the rows are, in words."""
        columns = ", ".join(f'the {role} in "{column}"' for role, column in self.fields.items())
        return f"questions about texts in SQuAD's layout: {columns}"


def _answers(value: Json, column: str) -> tuple[Answer, ...]:
    if isinstance(value, str):
        return ((value, None),)
    if isinstance(value, Mapping):
        texts, starts = value.get("text"), value.get("answer_start")
        starts = starts if isinstance(starts, list) else [None] * len(texts if isinstance(texts, list) else [])
        entries: list[tuple[Json, Json]] = list(zip(texts, starts, strict=False)) if isinstance(texts, list) else [(None, None)]
        if isinstance(texts, list) and len(texts) != len(starts):
            raise RowError(f'the column "{column}" has {len(texts)} texts and {len(starts)} places')
    elif isinstance(value, list):
        entries = [(one.get("text"), one.get("answer_start")) if isinstance(one, Mapping) else (None, None) for one in value]
    else:
        raise RowError(f'the column "{column}" holds no answers')
    found: list[Answer] = []
    for text, start in entries:
        if not isinstance(text, str) or isinstance(start, bool) or not (start is None or (isinstance(start, int) and start >= 0)):
            raise RowError(f'the column "{column}" does not hold texts and the characters at which they begin')
        found.append((text, start))
    return tuple(found)


def _moved(answer: Answer, text: str, old: str, new: str) -> Answer:
    """What an answer says now, and its place in a context that was changed: the same of equally many occurrences, else none is told."""
    was, start = answer
    if start is None or not text or (old == new and was == text):
        return text, start
    before, after = _places(was, old), _places(text, new)
    return text, after[before.index(start)] if len(before) == len(after) else None


def _places(text: str, whole: str) -> list[int]:
    found, at = [], whole.find(text)
    while at >= 0:
        found.append(at)
        at = whole.find(text, at + 1)
    return found


def _spelled(answers: list[Answer], style: Json) -> Json:
    if isinstance(style, str):
        return answers[0][0] if answers else ""
    if isinstance(style, list):
        olds = {str(one.get("text")): one for one in style if isinstance(one, Mapping)}
        found: list[Json] = []
        for text, start in answers:
            told: dict[str, Json] = {"text": text, **({} if start is None else {"answer_start": start})}
            order = [name for name in olds.get(text, {}) if name in told]
            found.append({name: told[name] for name in dict.fromkeys((*order, *told))})
        return found
    return {"text": [text for text, _ in answers], "answer_start": [start for _, start in answers]}
