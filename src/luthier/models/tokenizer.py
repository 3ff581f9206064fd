"""The tokenizer of a loaded model, as the text layer needs it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jinja2
import tokenizers
import transformers
from transformers import PreTrainedTokenizerFast

from luthier.core.jsonvalue import Json
from luthier.text.tokenizer import PLAIN_TEMPLATE

MOST_KNOWN = 2**22
"""Characters of the stretches of text whose tokens are kept in memory; when there are more, all are forgotten."""
_LOOKS_AT_EACH_STRETCH = frozenset({
    "ByteLevel", "Split", "Digits", "Punctuation", "Whitespace", "WhitespaceSplit", "CharDelimiterSplit", "BertPreTokenizer",
    "UnicodeScripts",
})  # fmt: skip
"""Pre-tokenizers that treat a stretch of text alike wherever it stands between marks."""
_CHANGES = re.compile(r"strftime_now|lipsum|random")
"""What a template may write differently each time: the day, or something drawn."""


@dataclass
class _Known:
    """The tokens of stretches of text that were met before. It is forgotten as a whole, so that a look into it costs nothing."""

    tokens: dict[str, list[int]] = field(default_factory=dict)
    n_characters: int = 0

    def learn(self, texts: Sequence[str], tokens: Sequence[list[int]]) -> None:
        """Keep the tokens of some texts. Threads may do this at once: what one of them loses is only made again."""
        if self.n_characters > MOST_KNOWN:
            self.tokens, self.n_characters = {}, 0
        self.tokens.update(zip(texts, tokens, strict=True))
        self.n_characters += sum(map(len, texts))


@dataclass(frozen=True)
class LoadedTokenizer:
    """A `transformers` tokenizer behind the `Tokenizer` protocol.

    Text is cut at the tokenizer's marks (`<|im_end|>` and the like), where that is known to change no token, and the
    tokens of a stretch between two marks are remembered: what conversations have in common is tokenised once.
    """

    inner: PreTrainedTokenizerFast
    _known: _Known = field(default_factory=_Known, init=False, repr=False, compare=False)

    @cached_property
    def eos_id(self) -> int:
        """The token that ends a text."""
        return int(self.inner.eos_token_id)

    @cached_property
    def bos_id(self) -> int | None:
        """The token that begins a text, where the model was trained with one."""
        begun = self.inner("a")["input_ids"]
        bos = self.inner.bos_token_id
        return int(bos) if bos is not None and begun and begun[0] == bos else None

    @cached_property
    def pad_id(self) -> int:
        """The token that fills up padded rows; which one is of no consequence."""
        pad = self.inner.pad_token_id
        return self.eos_id if pad is None else int(pad)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Tokens that are marks rather than text."""
        added = {i for i, token in self.inner.added_tokens_decoder.items() if token.special}
        return frozenset(added | set(self.inner.all_special_ids))

    @cached_property
    def special_texts(self) -> frozenset[str]:
        """How those tokens are spelled."""
        added = {token.content for token in self.inner.added_tokens_decoder.values() if token.special}
        return frozenset(added | set(self.inner.all_special_tokens))

    @cached_property
    def n_vocabulary(self) -> int:
        """The number of token ids."""
        return len(self.inner)

    @cached_property
    def has_template(self) -> bool:
        """Whether the model brought a chat template of its own."""
        return bool(self.inner.chat_template)

    @cached_property
    def template_text(self) -> str:
        """The source of the template in use: the model's own, or a plain one for models without."""
        own = self.inner.chat_template
        return own if isinstance(own, str) and own else PLAIN_TEMPLATE

    def encode(self, text: str) -> list[int]:
        """Token ids of a stretch of text; nothing is added."""
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of several texts, each by itself; the Rust library is called once for all that is new."""
        known, cut = self._known.tokens, [list(self._stretches(text)) for text in texts]
        new = list(dict.fromkeys(one for parts in cut for one in parts if isinstance(one, str) and one not in known))
        found: Mapping[str, list[int]] = {}
        if new:
            said = self.inner(new, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False)
            found = dict(zip(new, said["input_ids"], strict=True))
            self._known.learn(new, said["input_ids"])
        whole = []
        for parts in cut:
            tokens: list[int] = []
            for one in parts:
                if isinstance(one, int):
                    tokens.append(one)
                else:
                    tokens += found[one] if one in found else known[one]
            whole.append(tokens)
        return whole

    def _stretches(self, text: str) -> Iterator[str | int]:
        """A text in parts that can be tokenised apart: marks as their tokens, and the stretches of text between them."""
        marks = self._marks
        at = 0
        for found in marks[0].finditer(text) if marks is not None else ():
            if found.start() > at:
                yield text[at : found.start()]
            yield marks[1][found[0]]  # type: ignore[index]
            at = found.end()
        if at < len(text):
            yield text[at:]

    @cached_property
    def _marks(self) -> tuple[re.Pattern[str], Mapping[str, int]] | None:
        """The marks that the Rust library itself cuts a text at before anything else is done to it, with their tokens.

        None where a cut might change a token: a mark takes in spaces beside it or must stand alone, or the pre-tokenizer
        asks where in the text a stretch stands (as SentencePiece's does, which writes a space before the very first).
        """
        backend = getattr(self.inner, "backend_tokenizer", None)
        usual = all(getattr(type(self.inner), name) is getattr(PreTrainedTokenizerFast, name) for name in ("__call__", "_encode_plus"))
        if backend is None or not usual or self.inner.split_special_tokens or not _is_local(backend.pre_tokenizer):
            return None
        added = {token.content: i for i, token in self.inner.added_tokens_decoder.items() if not token.normalized}
        if any(one.lstrip or one.rstrip or one.single_word for one in self.inner.added_tokens_decoder.values()) or "" in added:
            return None
        names = sorted(added, key=len, reverse=True)  # of two that begin at one place, the library takes the longer
        return (re.compile("|".join(map(re.escape, names))), added) if names else None

    @cached_property
    def fingerprint(self) -> str | None:
        """Equal for two tokenizers only if they give equal tokens for equal conversations; None where that cannot be known."""
        backend = getattr(self.inner, "backend_tokenizer", None)
        if backend is None or _CHANGES.search(self.template_text):
            return None
        versions = (transformers.__version__, tokenizers.__version__, jinja2.__version__)
        said = (type(self.inner).__name__, self.inner.special_tokens_map, self.inner.split_special_tokens, self.bos_id, self.eos_id)
        text = "\0".join((backend.to_str(), self.template_text, repr(said), repr(versions)))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids, special tokens by their names."""
        return str(self.inner.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def piece(self, token: int) -> str:
        """One token as a person may read it."""
        name = str(self.inner.convert_ids_to_tokens(token))
        # SentencePiece tokenizers write a space before a word as this mark, and drop it where a text begins.
        return name.replace("\u2581", " ") if name.startswith("\u2581") else self.decode([token]) or name

    def apply_template(
        self,
        messages: Sequence[Mapping[str, Json]],
        tools: Sequence[Mapping[str, Json]],
        add_generation_prompt: bool,
        options: Mapping[str, Json],
    ) -> str:
        """The conversation as text. `transformers` runs templates in a sandbox: they cannot reach files or names.

        Raises:
            ValueError: the template refuses the conversation, with its own reason.

        """
        try:
            text = self.inner.apply_chat_template(
                [dict(message) for message in messages],
                tools=[dict(tool) for tool in tools] or None,
                chat_template=self.template_text,
                add_generation_prompt=add_generation_prompt,
                tokenize=False,
                **dict(options),
            )
        except (jinja2.TemplateError, TypeError) as error:
            raise ValueError(str(error)) from error
        return str(text)


def _is_local(pre_tokenizer: Any) -> bool:
    """Whether a pre-tokenizer of the Rust library treats a stretch of text alike wherever in the text it stands."""
    if pre_tokenizer is None:
        return True
    return _all_local(json.loads(pre_tokenizer.__getstate__()))


def _all_local(said: Mapping[str, Any]) -> bool:
    if said["type"] == "Sequence":
        return all(map(_all_local, said["pretokenizers"]))
    if said["type"] == "Metaspace":
        return said.get("prepend_scheme") in ("always", "never")
    return said["type"] in _LOOKS_AT_EACH_STRETCH
