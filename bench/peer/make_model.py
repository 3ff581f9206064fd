"""A model of random weights in the shape of Qwen 3, with a tokenizer of its own, to measure speed without a download.

    python bench/peer/make_model.py m60 WORK/models/m60 --text WORK/rows/*.jsonl

How fast a step is does not depend on what the weights have learnt. Equal arguments and texts give equal files.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

SPECIAL = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' }}"
    "{%- if message['role'] == 'assistant' %}"
    "{% generation %}{{- message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{%- else %}{{- message['content'] + '<|im_end|>' }}{%- endif %}"
    "{{- '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""ChatML; what stands between the generation marks is what TRL's `assistant_only_loss` trains."""


@dataclass(frozen=True)
class Shape:
    """What the layers look like; input and output embedding are one matrix."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    mlp_width: int
    head_width: int = 64


SHAPES = {
    "m10": Shape(8192, 256, 10, 4, 2, 768),
    "m60": Shape(32768, 512, 12, 8, 4, 1536),
    "m600": Shape(151936, 1024, 28, 16, 8, 3072, 128),
}
"""10.0, 54.5 and 596 million parameters; the last is the shape of Qwen3-0.6B."""


def texts(paths: list[Path]) -> Iterator[str]:
    """What the tokenizer learns from: every message of chat files."""
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield from (message["content"] for message in json.loads(line)["messages"])


def make_tokenizer(n_tokens: int, paths: list[Path]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer; of little text it learns fewer than `n_tokens` tokens."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=n_tokens, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(texts(paths), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<|pad|>", eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    tokenizer.chat_template = CHATML
    return tokenizer


def make_model(shape: Shape, tokenizer: PreTrainedTokenizerFast, seed: int) -> Qwen3ForCausalLM:
    """The decoder, its weights drawn from `seed`."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=shape.vocabulary, hidden_size=shape.width, intermediate_size=shape.mlp_width, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads, head_dim=shape.head_width, max_position_embeddings=4096,
        tie_word_embeddings=True, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
    )  # fmt: skip
    return Qwen3ForCausalLM(config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=sorted(SHAPES))
    parser.add_argument("out", type=Path, help="the folder to write")
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="chat files for the tokenizer to learn from")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    shape = SHAPES[args.shape]
    tokenizer = make_tokenizer(shape.vocabulary, args.text)
    model = make_model(shape, tokenizer, args.seed)
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)
    print(json.dumps({"out": str(args.out), "parameters": sum(p.numel() for p in model.parameters()), "tokens": len(tokenizer)}))


if __name__ == "__main__":
    main()
