"""How the rows fit the model's tokenizer: lengths in tokens, bytes a token, and what it cannot write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from luthier.data.profile.lengths import Lengths, lengths_of
from luthier.data.profile.sample import Looked

_AT_ONCE = 256
_MOST_LOST = 20
_MOST_TRIED = 5_000


class Coder(Protocol):
    """Texts to tokens and back."""

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of several texts, each by itself."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids."""
        ...


@dataclass(frozen=True)
class Model:
    """What is asked of the chosen model: its tokenizer, and how much it reads.

    Attributes:
        name: as the recipe names it.
        coder: its tokenizer.
        context: the most tokens of one row.
        unknown_id: the token that stands for what the tokenizer does not know, None where it knows everything.
        marks: the spellings of its special tokens.
        reference: plain English prose, by which its usual bytes a token are measured.

    """

    name: str
    coder: Coder
    context: int
    unknown_id: int | None = None
    marks: frozenset[str] = frozenset()
    reference: Sequence[str] = ()


@dataclass(frozen=True)
class Density:
    """Bytes (UTF-8) and tokens of some rows' texts."""

    n_rows: int
    n_bytes: int
    n_tokens: int

    @property
    def bytes_per_token(self) -> float | None:
        """None where there is no token."""
        return self.n_bytes / self.n_tokens if self.n_tokens else None


@dataclass(frozen=True)
class TokenFit:
    """How the rows that were looked at fit the tokenizer; counts of rows unless another unit is named.

    Attributes:
        model: the model's name; `context`: the most tokens that it reads.
        lengths: in tokens, of the texts alone: a template adds its marks. None without rows.
        n_over: rows with more tokens than the context.
        density: of all; `by_language` and `by_side`: of parts of them, in the order of their size.
        reference: bytes a token of plain English prose, by the same tokenizer.
        n_unknown_tokens, n_unknown: unknown tokens, and rows with one.
        n_changed: rows that do not come back as they went in, with characters lost or not.
        lost: characters that it cannot write → rows, the most frequent first; `n_lost`: rows with one.
        n_marks: rows whose text spells a special token.
        n_cut: rows so long that only their beginning was counted.

    """

    model: str
    context: int
    lengths: Lengths | None
    n_over: int
    density: Density
    by_language: Mapping[str, Density]
    by_side: Mapping[str, Density]
    reference: float | None
    n_unknown_tokens: int = 0
    n_unknown: int = 0
    n_changed: int = 0
    n_lost: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)
    n_marks: int = 0
    n_cut: int = 0


@dataclass
class _Tally:
    """What is added up while the rows are encoded."""

    n_tokens: list[int] = field(default_factory=list)
    n_bytes: list[int] = field(default_factory=list)
    n_unknown_tokens: int = 0
    n_unknown: int = 0
    changed: list[set[str]] = field(default_factory=list)
    n_marks: int = 0


def token_fit(rows: Sequence[Looked], languages: Sequence[str], model: Model) -> TokenFit:
    """Encode the rows, decode them again, and say what that costs and loses."""
    tally = _Tally()
    for start in range(0, len(rows), _AT_ONCE):
        _tell(rows[start : start + _AT_ONCE], model, tally)
    lost = _lost(tally.changed, model)
    n_tokens = np.array(tally.n_tokens, dtype=np.int64)
    return TokenFit(
        model.name, model.context, lengths_of(n_tokens), int((n_tokens > model.context).sum()), _density(range(len(rows)), tally),
        _by(languages, tally), _by([row.side for row in rows], tally), _reference(model), tally.n_unknown_tokens, tally.n_unknown,
        len(tally.changed), sum(not lost.keys().isdisjoint(one) for one in tally.changed), dict(Counter(lost).most_common(_MOST_LOST)),
        tally.n_marks, sum(row.n_looked_at < row.n_characters for row in rows),
    )  # fmt: skip


def _tell(rows: Sequence[Looked], model: Model, tally: _Tally) -> None:
    coded = iter(model.coder.encode_all([text for row in rows for text in row.texts]))
    for row in rows:
        n_tokens = n_unknown = 0
        differs: set[str] = set()
        for text in row.texts:
            tokens = next(coded)
            n_tokens += len(tokens)
            n_unknown += 0 if model.unknown_id is None else tokens.count(model.unknown_id)
            if not _same(model.coder.decode(tokens), text):
                differs |= set(text) or {""}
        tally.n_tokens.append(n_tokens)
        tally.n_bytes.append(sum(len(text.encode("utf-8", "surrogatepass")) for text in row.texts))
        tally.n_unknown_tokens += n_unknown
        tally.n_unknown += n_unknown > 0
        tally.n_marks += any(mark in text for text in row.texts for mark in model.marks)
        if differs:
            tally.changed.append(differs)


def _same(decoded: str, text: str) -> bool:
    """Whether a text came back; a space that some tokenizers write before the first word does not count."""
    return decoded in (text, f" {text}") or f" {decoded}" == text


def _lost(changed: Sequence[set[str]], model: Model) -> dict[str, int]:
    """The characters that do not come back even by themselves, between two letters, and in how many of the changed rows they are."""
    counts = Counter(one for letters in changed for one in letters if one)
    tried = [one for one, _ in counts.most_common(_MOST_TRIED)]
    coded = model.coder.encode_all([f"a{one}a" for one in tried])
    return {one: counts[one] for one, tokens in zip(tried, coded, strict=True) if one not in model.coder.decode(tokens)}


def _by(keys: Sequence[str], tally: _Tally) -> dict[str, Density]:
    places: dict[str, list[int]] = {}
    for i, key in enumerate(keys):
        places.setdefault(key, []).append(i)
    return {key: _density(found, tally) for key, found in sorted(places.items(), key=lambda item: (-len(item[1]), item[0]))}


def _density(places: Iterable[int], tally: _Tally) -> Density:
    found = list(places)
    return Density(len(found), sum(tally.n_bytes[i] for i in found), sum(tally.n_tokens[i] for i in found))


def _reference(model: Model) -> float | None:
    n_tokens = sum(map(len, model.coder.encode_all(model.reference)))
    return sum(len(text.encode()) for text in model.reference) / n_tokens if n_tokens else None
