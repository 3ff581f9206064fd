"""One reply under way: its tokens, when it ends, and which of its text can be told already."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from luthier.core.generator import Finish, Piece, Reply, Sampling
from luthier.generate.sampling import Chosen
from luthier.text.tokenizer import Tokenizer

HALF = "\ufffd"
"""What a tokenizer writes for bytes that are no whole character yet."""


@dataclass(eq=False)
class Growing:
    """One reply under way.

    Attributes:
        prompt: the tokens that it answers.
        sampling: how its tokens are chosen.
        tokenizer: writes its text.
        stop_ids: the tokens with which the model ends its turn.
        adapter: the number of the adapter that speaks; 0 is the base.
        n_top: how many of the likeliest tokens are told of each place.
        is_watched: whether its text is wanted while it grows.
        hidden_ids: tokens that are no text.

    """

    prompt: list[int]
    sampling: Sampling
    tokenizer: Tokenizer
    stop_ids: AbstractSet[int]
    adapter: int = 0
    n_top: int = 0
    is_watched: bool = False
    hidden_ids: AbstractSet[int] | None = None
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    tops: list[tuple[tuple[int, float], ...]] = field(default_factory=list)
    finish: Finish | None = None
    is_cancelled: bool = False
    n_cached: int = 0
    _text: str = ""
    _n_settled: int = 0
    _shown: list[int] = field(default_factory=list)
    _window: tuple[int, int, str] = (0, 0, "")
    _n_told: int = 0
    _told: str = ""

    def take(self, chosen: Chosen) -> None:
        """One token more; says in `finish` whether it was the last."""
        self.tokens.append(chosen.token)
        self.logprobs.append(chosen.logprob)
        self.tops.append(chosen.top)
        ends = chosen.token in self.stop_ids or chosen.token in self.sampling.stop_tokens
        if not ends and chosen.token not in self._hidden:
            self._shown.append(chosen.token)
            if self.is_watched or self.sampling.stop:
                self._read()
        if ends or (self.sampling.stop and self._cut() is not None):
            self.finish = "stop"
        elif len(self.tokens) >= self.sampling.max_tokens:
            self.finish = "length"

    def piece(self) -> Piece | None:
        """What can be told now and was not before: None where a character or a stop text is still half there."""
        if self.finish is None:
            safe = settled(self._text, self.sampling.stop)
            if len(safe) <= len(self._told):
                return None
        else:
            safe = self.text
        told = Piece(tuple(self.tokens[self._n_told :]), tuple(self.logprobs[self._n_told :]), safe[len(self._told) :], self.finish)
        self._n_told, self._told = len(self.tokens), safe
        return told

    @property
    def text(self) -> str:
        """All its text, without special tokens and without what a stop text cut off."""
        text = self.tokenizer.decode(self._shown)
        cut = first_stop(text, self.sampling.stop)
        return text if cut is None else text[:cut]

    @property
    def reply(self) -> Reply:
        """The reply, once it has ended."""
        assert self.finish is not None, "decoding goes on until every reply has ended"
        return Reply(tuple(self.tokens), tuple(self.logprobs), self.finish, self.text)

    @property
    def _hidden(self) -> AbstractSet[int]:
        return self.tokenizer.special_ids if self.hidden_ids is None else self.hidden_ids

    def _read(self) -> None:
        """Add the newest token's text, decoding no more than the tokens since the last whole character and those just before.

        The tokens before are read again because some tokenizers write a token differently where a text begins.
        """
        start, seen, before = self._window
        now = self.tokenizer.decode(self._shown[start:])
        self._text = self._text[: self._n_settled] + now[len(before) :]
        if not now.endswith(HALF):
            self._n_settled = len(self._text)
            self._window = (seen, len(self._shown), self.tokenizer.decode(self._shown[seen:]))

    def _cut(self) -> int | None:
        return first_stop(self._text, self.sampling.stop)


def first_stop(text: str, stops: tuple[str, ...]) -> int | None:
    """Where the first of some texts begins, None where none of them occurs."""
    places = [place for place in (text.find(stop) for stop in stops) if place >= 0]
    return min(places) if places else None


def settled(text: str, stops: tuple[str, ...]) -> str:
    """The part of an unfinished reply that no later token can change: no half characters, no beginning of a stop text."""
    text = text.rstrip(HALF)
    return text[: len(text) - max((_n_begun(text, stop) for stop in stops), default=0)]


def _n_begun(text: str, stop: str) -> int:
    """How many characters of a stop text, not all of them, a text ends with."""
    at = text.find(stop[0], max(len(text) - len(stop) + 1, 0))
    while at >= 0 and not stop.startswith(text[at:]):
        at = text.find(stop[0], at + 1)
    return len(text) - at if at >= 0 else 0
