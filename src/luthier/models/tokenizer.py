"""The tokenizer of a loaded model, as the text layer needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import jinja2
from transformers import PreTrainedTokenizerFast

from luthier.core.jsonvalue import Json
from luthier.text.tokenizer import PLAIN_TEMPLATE


@dataclass(frozen=True)
class LoadedTokenizer:
    """A `transformers` tokenizer behind the `Tokenizer` protocol."""

    inner: PreTrainedTokenizerFast

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
        return list(self.inner(text, add_special_tokens=False)["input_ids"])

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
