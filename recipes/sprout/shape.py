"""sprout's shape: its sizes, its tokenizer and its template, as the folder of a model without weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SPECIAL = ("<|pad|>", "<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|turn_end|>")
HEAD = 64

TEMPLATE = (
    "{{ '<|begin|>' }}{% if tools %}{{ '<|system|>' + (tools | tojson) + '<|turn_end|>' }}{% endif %}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '<|assistant|>' }}{% generation %}{{ message['content'] }}"
    "{% for call in message['tool_calls'] or [] %}{{ '<tool_call>' + (call['function'] | tojson) + '</tool_call>' }}{% endfor %}"
    "{{ '<|turn_end|>' }}{% endgeneration %}"
    "{% elif message['role'] in ('system', 'developer') %}{{ '<|system|>' + message['content'] + '<|turn_end|>' }}"
    "{% elif message['role'] == 'tool' %}{{ '<|tool|>' + message['content'] + '<|turn_end|>' }}"
    "{% else %}{{ '<|user|>' + message['content'] + '<|turn_end|>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """The sizes that ablations choose: pieces of the vocabulary, width, layers, and whether the output layer is the embedding."""

    vocabulary: int = 8192
    width: int = 256
    layers: int = 7
    tied: bool = True

    @property
    def inner(self) -> int:
        """Width of the gated inner layer: about 8/3 of the width, in steps of 64, as in Llama."""
        return -(-self.width * 8 // 3 // HEAD) * HEAD

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values: half as many as of queries where that goes, else one."""
        heads = self.width // HEAD
        return heads // 2 if heads % 2 == 0 else 1

    @property
    def n_layer(self) -> int:
        """Parameters of one layer."""
        return 2 * self.width**2 + 2 * self.width * self.kv_heads * HEAD + 3 * self.width * self.inner + 2 * self.width

    @property
    def n_parameters(self) -> int:
        """All parameters; tied ones once."""
        return (1 if self.tied else 2) * self.vocabulary * self.width + self.layers * self.n_layer + self.width

    @property
    def n_computed(self) -> int:
        """Parameters that each token is multiplied with: all but the embedding, which is looked up."""
        return self.vocabulary * self.width + self.layers * self.n_layer

    def config(self) -> dict[str, object]:
        """`config.json`, for `transformers`."""
        return {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": self.width, "intermediate_size": self.inner,
            "num_hidden_layers": self.layers, "num_attention_heads": self.width // HEAD, "num_key_value_heads": self.kv_heads,
            "head_dim": HEAD, "vocab_size": self.vocabulary, "max_position_embeddings": 2048, "rope_theta": 10000.0, "rms_norm_eps": 1e-5,
            "hidden_act": "silu", "tie_word_embeddings": self.tied, "attention_bias": False, "mlp_bias": False,
            "initializer_range": 0.02, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "dtype": "bfloat16",
        }  # fmt: skip


def train_tokenizer(texts: Iterable[str], n_vocabulary: int) -> Tokenizer:
    """Byte-level BPE with GPT-2's split pattern."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocabulary, special_tokens=list(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator((re.sub(r"<\|\w+\|>", "\n", text) for text in texts), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", SPECIAL.index("<|begin|>"))]
    )
    return tokenizer


def write_shape(folder: Path, tokenizer: Tokenizer, shape: Shape) -> None:
    """The folder of a model without weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps(shape.config(), indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE + "\n", encoding="utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "eos_token": "<|end|>", "pad_token": "<|pad|>",
        "additional_special_tokens": list(SPECIAL[3:]), "clean_up_tokenization_spaces": False, "model_max_length": 2048,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
