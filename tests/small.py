"""Small things for tests: a random decoder of each family, a byte-level tokenizer trained on the spot, and chat templates of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from luthier.models.load import prepare
from luthier.models.network import Network
from luthier.models.tokenizer import LoadedTokenizer
from luthier.text.rows import Row, make_row

torch.set_num_threads(1)

N_VOCABULARY = 61
CONTEXT = 128

_SAME: Mapping[str, object] = {
    "vocab_size": N_VOCABULARY, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": CONTEXT, "initializer_range": 0.3,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_GPT2 = {
    "vocab_size": N_VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT, "initializer_range": 0.3,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_GEMMA = {"head_dim": 4, "sliding_window": 6, "query_pre_attn_scalar": 4}

FAMILIES: Mapping[str, tuple[str, str, Mapping[str, object]]] = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", _SAME),
    "llama_one_head": (
        "LlamaForCausalLM",
        "LlamaConfig",
        {**_SAME, "num_attention_heads": 1, "num_key_value_heads": 1, "tie_word_embeddings": True},
    ),
    "mistral_window": ("MistralForCausalLM", "MistralConfig", {**_SAME, "sliding_window": 8}),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", _SAME),
    "qwen2_window": ("Qwen2ForCausalLM", "Qwen2Config", {**_SAME, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}),
    "qwen3": ("Qwen3ForCausalLM", "Qwen3Config", {**_SAME, "head_dim": 4}),
    "gemma2": ("Gemma2ForCausalLM", "Gemma2Config", {**_SAME, **_GEMMA, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}),
    "gemma3": ("Gemma3ForCausalLM", "Gemma3TextConfig", {**_SAME, **_GEMMA, "sliding_window_pattern": 2}),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", _GPT2),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", {**_SAME, "sliding_window": 7}),
    "granite": (
        "GraniteForCausalLM",
        "GraniteConfig",
        {**_SAME, "logits_scaling": 3.0, "attention_multiplier": 0.3, "embedding_multiplier": 2.0},
    ),
    "cohere": ("CohereForCausalLM", "CohereConfig", {**_SAME, "logit_scale": 0.3}),
    "olmo2": ("Olmo2ForCausalLM", "Olmo2Config", _SAME),
}
"""Families that a forest must fit, with the options that make their attention or their logits peculiar."""


def decoder_of(kind: str, dtype: torch.dtype = torch.float64, seed: int = 0, **options: object) -> Any:
    """A random decoder of a family, as `transformers` builds it."""
    model, config, said = FAMILIES[kind]
    torch.manual_seed(seed)
    return getattr(transformers, model)(getattr(transformers, config)(**{**said, **options})).to(dtype).eval()


def network_of(kind: str, dtype: torch.dtype = torch.float64, seed: int = 0, **options: object) -> Network:
    """The same with our attention, wrapped as a network; in float64 its norms are exact too, where the families round them to float32."""
    decoder = decoder_of(kind, dtype, seed, **options)
    if dtype == torch.float64:
        _exact_norms(decoder)
    return Network(prepare(decoder), dtype)


class _ExactNorm(nn.Module):
    """The root-mean-square norm (or Cohere's, which takes the mean off first) without the families' detour over float32."""

    def __init__(self, weight: nn.Parameter, eps: float, centred: bool, above_one: bool) -> None:
        super().__init__()
        self.weight, self.eps, self.centred, self.above_one = weight, eps, centred, above_one

    def forward(self, states: Tensor) -> Tensor:
        if self.centred:
            states = states - states.mean(-1, keepdim=True)
        weight = 1 + self.weight if self.above_one else self.weight
        return states * (states.square().mean(-1, keepdim=True) + self.eps).rsqrt() * weight


def _exact_norms(decoder: nn.Module) -> None:
    for parent in list(decoder.modules()):
        for name, module in list(parent.named_children()):
            kind = type(module).__name__
            if kind.endswith("RMSNorm") or kind == "CohereLayerNorm":
                eps = float(getattr(module, "variance_epsilon", None) or getattr(module, "eps", 1e-6))
                setattr(parent, name, _ExactNorm(module.weight, eps, kind == "CohereLayerNorm", kind.startswith("Gemma")))  # type: ignore[arg-type]


def random_row(draw: np.random.Generator, before: list[int], n_context: int, n_reply: int, **other: object) -> Row:
    """A row of given context, some more of it, and a trained reply of unlike weights."""
    tokens = [*before, *draw.integers(3, N_VOCABULARY, n_context + n_reply).tolist()]
    trained = draw.choice([0.5, 1.0, 2.0], n_reply).tolist()
    n_untrained = len(tokens) - n_reply
    if n_untrained == 0:
        n_untrained, trained = 1, trained[1:]
    return make_row(tokens, [0.0] * n_untrained + trained, **other)


SPECIAL = (
    "<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
    "[INST]", "[/INST]",
)  # fmt: skip

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
THINKING = (
    "{%- if tools %}{{ '<|im_start|>system\nTools:\n' }}{% for tool in tools %}{{ tool | tojson }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endif %}"
    "{%- set ns = namespace(last=-1) %}"
    "{%- for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{%- for m in messages %}"
    "{%- if m.role == 'assistant' %}{{ '<|im_start|>assistant\n' }}"
    "{%- if loop.index0 > ns.last and (loop.last or m.reasoning_content) %}"
    "{{ '<think>\n' + (m.reasoning_content or '').strip('\n') + '\n</think>\n\n' }}{% endif %}"
    "{{- m.content.lstrip('\n') }}"
    "{%- for call in m.tool_calls or [] %}"
    "{{ '\n<tool_call>\n{\"name\": \"' + call.function.name + '\", \"arguments\": '"
    " + (call.function.arguments | tojson) + '}\n</tool_call>' }}{% endfor %}"
    "{{- '<|im_end|>\n' }}"
    "{%- elif m.role == 'tool' %}{{ '<|im_start|>user\n<tool_response>\n' + m.content + '\n</tool_response><|im_end|>\n' }}"
    "{%- else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}"
    "{%- endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""Like Qwen 3's: the newest turn is written with its thoughts, even empty ones; earlier turns lose them."""
LLAMA3 = (
    "{{ '<|begin_of_text|>' }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n'"
    " + (m.content | trim) + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ ' ' + m.content + eos_token }}{% else %}"
    "{{ raise_exception('Only user and assistant roles are supported!') }}"
    "{% endif %}{% endfor %}"
)
STRICT = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
NO_STOP = (
    "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
PLAIN = None
TEMPLATES: Mapping[str, str | None] = {
    "chatml": CHATML, "thinking": THINKING, "llama3": LLAMA3, "mistral": MISTRAL, "strict": STRICT, "no_stop": NO_STOP, "plain": PLAIN,
}  # fmt: skip
TAKES_SYSTEM = frozenset({"chatml", "thinking", "llama3", "no_stop", "plain"})

_PROSE = (
    "The cat sat on the mat and the dog lay by the door. What is the capital of France? The capital of France is Paris, of course. "
    "user assistant system hello hello thank you you are welcome I do not know the answer to that question. The quick brown fox. "
    'one two three {"name": "look", "arguments": {"x": 1}} think naïve café Grüße 日本語 text with spaces  and\nlines\n\n'
)


@cache
def tokenizer_of(template: str) -> LoadedTokenizer:
    """A byte-level tokenizer with merges, and one of `TEMPLATES` as its chat template."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=list(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    inner.train_from_iterator([_PROSE] * 3, trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    wrapped.add_special_tokens({"additional_special_tokens": list(SPECIAL[3:])})
    wrapped.chat_template = TEMPLATES[template]
    return LoadedTokenizer(wrapped)
