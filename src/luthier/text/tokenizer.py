"""What the text layer needs of a tokenizer; `luthier.models.tokenizer` gives it for a loaded model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from luthier.core.jsonvalue import Json

PLAIN_TEMPLATE = (
    "{{ bos_token or '' }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""ChatML in the characters that any tokenizer has; the model's own end-of-text token ends a turn."""


class Tokenizer(Protocol):
    """Text to token ids and back, and the template that turns a conversation into text."""

    @property
    def eos_id(self) -> int:
        """The token that ends a text."""
        ...

    @property
    def bos_id(self) -> int | None:
        """The token that begins a text, where the model was trained with one."""
        ...

    @property
    def pad_id(self) -> int:
        """The token that fills up padded rows."""
        ...

    @property
    def special_ids(self) -> frozenset[int]:
        """Tokens that are marks rather than text."""
        ...

    @property
    def special_texts(self) -> frozenset[str]:
        """How those tokens are spelled."""
        ...

    @property
    def n_vocabulary(self) -> int:
        """The number of token ids."""
        ...

    @property
    def fingerprint(self) -> str | None:
        """Equal for two tokenizers only if they give equal tokens for equal conversations; None where that cannot be known."""
        ...

    @property
    def template_text(self) -> str:
        """The template's source: what it does not mention, it cannot render."""
        ...

    def encode(self, text: str) -> list[int]:
        """Token ids of a stretch of text; nothing is added, and the names of special tokens are read as such."""
        ...

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of several texts, each as if it stood alone."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids, special tokens by their names, nothing tidied."""
        ...

    def piece(self, token: int) -> str:
        """One token as a person may read it."""
        ...

    def apply_template(
        self,
        messages: Sequence[Mapping[str, Json]],
        tools: Sequence[Mapping[str, Json]],
        add_generation_prompt: bool,
        options: Mapping[str, Json],
    ) -> str:
        """The conversation as the model's template writes it.

        Raises:
            ValueError: the template refuses the conversation; the text is the template's own reason.

        """
        ...
