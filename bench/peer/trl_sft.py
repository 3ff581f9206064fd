"""The peer: the same training with TRL's SFTTrainer, measured from outside; prints one JSON line, as `luthier bench` does.

    python bench/peer/trl_sft.py WORK/models/m60 WORK/rows/gsm8k.jsonl --layout padding_free --micro 4

Rows come in the file's order, the assistant's tokens alone are trained, the learning rate is constant, nothing is logged to disk or
saved. So `first_loss` must equal ours, since batch and mask are the same. Needs trl, peft, accelerate, datasets: an environment of
its own, see docs/bench.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

BEGAN_S = time.perf_counter()  # whoever trains waits for the imports too

import torch  # noqa: E402
import trl  # noqa: E402
from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback  # noqa: E402
from transformers.utils import logging  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402


class CountingTrainer(SFTTrainer):
    """TRL's trainer, untouched but for noting what each micro-batch holds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counts: list[tuple[int, int, int]] = []

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        labels = inputs["labels"]
        if "position_ids" in inputs:  # rows laid end to end: each begins at 0
            n_rows, n_tokens = int((inputs["position_ids"] == 0).sum()), labels.numel()
        else:
            n_rows, n_tokens = labels.shape[0], int(inputs["attention_mask"].sum())
        self.counts.append((n_rows, n_tokens, int((labels[..., 1:] != -100).sum())))
        return super().training_step(model, inputs, *args, **kwargs)


class Clock(TrainerCallback):
    """When each step ended, and the losses."""

    def __init__(self) -> None:
        self.ended_s: list[float] = []
        self.losses: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ended_s.append(time.perf_counter())

    def on_log(self, *_: Any, logs: dict[str, float] | None = None, **__: Any) -> None:
        if logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))


def has_bfloat16() -> bool:
    """Whether the processor multiplies matrices of bfloat16 in hardware."""
    listing = Path("/proc/cpuinfo")
    flags = listing.read_text(errors="ignore") if listing.is_file() else ""
    return torch.cuda.is_available() or "amx_bf16" in flags or "avx512_bf16" in flags


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("rows", type=Path)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--warmup", type=int, default=3, help="steps, at least 1, that the rates leave out")
    parser.add_argument("--batch", type=int, default=16, help="rows of a step")
    parser.add_argument("--micro", type=int, default=0, help="rows of a forward pass (default: all of the step)")
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true", help="train all weights instead of LoRA")
    parser.add_argument("--precision", choices=["auto", "bf16", "bf16_base", "fp32"], default="auto",
                        help="bf16: autocast over float32 weights; bf16_base: over a frozen bfloat16 base")  # fmt: skip
    parser.add_argument("--layout", choices=["padded", "padding_free", "packing"], default="padding_free")
    parser.add_argument("--pack-length", type=int, default=1024, help="of a packed sequence; a step then takes as many as hold a batch")
    parser.add_argument("--attention", default="sdpa")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--liger", action="store_true", help="Liger's fused kernels (an accelerator only)")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--checkpointing", action="store_true")
    return parser.parse_args()


def trainer_of(args: argparse.Namespace, precision: str, micro: int, clock: Clock, folder: str) -> CountingTrainer:
    on_gpu = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(
        args.model, dtype=torch.bfloat16 if precision == "bf16_base" else torch.float32, attn_implementation=args.attention
    )
    rows = [json.loads(line) for line in args.rows.read_text(encoding="utf-8").splitlines() if line]
    packing = args.layout == "packing"
    config = SFTConfig(
        output_dir=folder, max_steps=args.steps, per_device_train_batch_size=micro, gradient_accumulation_steps=max(1, args.batch // micro),
        learning_rate=args.lr, lr_scheduler_type="constant", weight_decay=0.0, max_grad_norm=1.0, optim="adamw_torch_fused",
        seed=args.seed, bf16=precision != "fp32", use_cpu=not on_gpu, gradient_checkpointing=args.checkpointing,
        packing=packing, padding_free=args.layout == "padding_free", max_length=args.pack_length if packing else None,
        assistant_only_loss=True, train_sampling_strategy="sequential", torch_compile=args.compile, use_liger_kernel=args.liger,
        dataloader_num_workers=args.workers, dataloader_pin_memory=on_gpu, logging_steps=1, save_strategy="no", report_to="none",
        disable_tqdm=True,
    )  # fmt: skip
    lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    return CountingTrainer(
        model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=AutoTokenizer.from_pretrained(args.model),
        peft_config=None if args.full else lora, callbacks=[clock],
    )  # fmt: skip


def main() -> None:
    args = arguments()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    precision = args.precision
    if precision == "auto":
        precision = ("bf16" if args.full else "bf16_base") if has_bfloat16() else "fp32"
    micro = args.micro or args.batch
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(args, precision, micro, clock, folder)
        ready_s = time.perf_counter()
        trainer.train()
    done_s = time.perf_counter()
    counted = trainer.counts[args.warmup * max(1, args.batch // micro) :]
    rows, tokens, supervised = (sum(column) for column in zip(*counted, strict=True))
    ended = clock.ended_s[args.warmup - 1 :]
    span_s = ended[-1] - ended[0]
    found = {
        "peer": "trl",
        "versions": {"trl": trl.__version__, "torch": torch.__version__},
        "workload": args.rows.stem,
        "model": Path(args.model).resolve().name,
        "method": "full" if args.full else "lora16",
        "precision": precision,
        "layout": args.layout,
        "options": {"micro": micro, "compile": args.compile, "workers": args.workers, "attention": args.attention, "liger": args.liger},
        "rows_per_s": round(rows / span_s, 3),
        "supervised_tokens_per_s": round(supervised / span_s, 1),
        "tokens_per_s": round(tokens / span_s, 1),
        "step_s_median": round(statistics.median(after - before for before, after in pairwise(ended)), 4),
        "first_loss": round(clock.losses[0], 4),
        "last_loss": round(clock.losses[-1], 4),
        "wall_s": round(done_s - ready_s, 3),
        "setup_s": round(ready_s - BEGAN_S, 3),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    if torch.cuda.is_available():
        found["peak_gpu_mb"] = round(torch.cuda.max_memory_allocated() / 2**20)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
