"""How fast one step could be on this processor if it were matrix products alone, how far we are from it, and where the rest goes.

    python bench/limits.py WORK/models/m60 WORK/rows/gsm8k.jsonl

Every product that a step cannot do without is counted from its shape: of each linear layer at each node (in the last layer, what only
the sources need at the sources alone), of attention at each pair of a node and one that it sees, of the head at each source; forward,
backward to the states, and backward to what is trained. Each shape is then timed by itself in float32 and in bfloat16, the fastest of
several rounds; the sum of the faster ones is the limit. Norms, activations, copies and the optimizer count nothing in it.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from luthier.models.network import Network
from luthier.stages.bench import RANK, Asked, in_file_order, read_chats, started
from luthier.text.forest import Forest
from luthier.train.allocator import keep_freed_memory
from luthier.train.loop import take_step

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ROUNDS, ENOUGH_S = 7, 0.3
THIN = 4 * RANK
"""A product with a side this short belongs to LoRA, whose matrices may be laid side by side."""


@dataclass(frozen=True)
class Product:
    """`copies` products of (m, k) and (k, n) at once; `part` is what they are for."""

    part: str
    m: int
    k: int
    n: int
    copies: int = 1

    @property
    def flops(self) -> int:
        return 2 * self.copies * self.m * self.k * self.n


def products_of(network: Network, batch: Forest, full: bool) -> Iterator[Product]:
    """The products of one micro-batch, forward and backward."""
    n_sources = len(batch.source_S.unique())
    layers = network.decoder.model.layers
    for index, layer in enumerate(layers):
        for name, module in layer.named_modules():
            if isinstance(module, nn.Linear):
                reads_all = index < len(layers) - 1 or name.endswith(("k_proj", "v_proj"))
                reads_embedding = index == 0 and name.endswith(("q_proj", "k_proj", "v_proj"))
                yield from linear(batch.n_nodes if reads_all else n_sources, module, full, full or not reads_embedding)
    yield from attention(network, batch)
    head = network.decoder.get_output_embeddings()
    width, vocabulary = head.in_features, head.out_features
    yield Product("head", n_sources, width, vocabulary)
    yield Product("head", n_sources, vocabulary, width)
    if full:
        yield Product("head", vocabulary, n_sources, width)


def linear(m: int, module: nn.Linear, full: bool, backward: bool) -> Iterator[Product]:
    """The layer's own products and, beside a frozen one, LoRA's; `backward` where the gradient goes on to what was read."""
    n_in, n_out = module.in_features, module.out_features
    yield Product("linear layers", m, n_in, n_out)
    if backward:
        yield Product("linear layers", m, n_out, n_in)
    if full:
        yield Product("linear layers", n_out, m, n_in)
        return
    yield from (Product("LoRA", m, n_in, RANK), Product("LoRA", m, RANK, n_out), Product("LoRA", m, n_out, RANK))
    yield from (Product("LoRA", n_out, m, RANK), Product("LoRA", RANK, m, n_in))
    if backward:
        yield Product("LoRA", m, RANK, n_in)


def attention(network: Network, batch: Forest) -> Iterator[Product]:
    """Two products forward and four backward at each visible pair, as batches of 128 queries with as many keys as the mean one sees.

    Of the last layer, only the sources ask.
    """
    config = network.decoder.config
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    depth = batch.depth_N.double() + 1
    pairs = float(depth.sum()) * (layers - 1) + float(depth[batch.source_S.unique()].sum())
    n_keys, n_queries = max(1, round(float(depth.mean()))), 128
    copies = max(1, round(pairs * heads / (n_queries * n_keys)))
    for m, k, n in ((n_queries, width, n_keys), (n_queries, n_keys, width)):
        yield Product("attention", m, k, n, 3 * copies)


def seconds_of(product: Product, rounds: int = ROUNDS) -> tuple[float, str]:
    """The fastest of several rounds in the better type, and which that is; copies are timed eight at a time, and scaled."""
    found = []
    copies = min(product.copies, 8)
    for name, dtype in TYPES.items():
        a, b = torch.ones(copies, product.m, product.k, dtype=dtype), torch.ones(copies, product.k, product.n, dtype=dtype)
        out = torch.empty(copies, product.m, product.n, dtype=dtype)
        times: list[float] = []
        while len(times) < 2 or (len(times) < rounds and sum(times) < ENOUGH_S):
            began = time.perf_counter()
            torch.bmm(a, b, out=out) if copies > 1 else torch.mm(a[0], b[0], out=out[0])
            times.append(time.perf_counter() - began)
        found.append((min(times) * product.copies / copies, name))
    return min(found)


def limit_table(products: Counter[Product]) -> tuple[str, float]:
    """The limit of each part as a Markdown table, and the sum in seconds."""
    timed = {product: seconds_of(product) for product in products}
    lines = ["| part | GFLOP | GFLOP/s, best type at these shapes | type | least seconds |", "|---|---|---|---|---|"]
    total = 0.0
    for part in dict.fromkeys(product.part for product in products):
        mine = {product: count for product, count in products.items() if product.part == part}
        seconds = math.fsum(timed[product][0] * count for product, count in mine.items())
        flops = sum(product.flops * count for product, count in mine.items())
        types = ", ".join(sorted({timed[product][1] for product in mine}))
        lines.append(f"| {part} | {flops / 1e9:.1f} | {flops / seconds / 1e9:.0f} | {types} | {seconds:.3f} |")
        total += seconds
    return "\n".join(lines), total


def part_of(name: str, shapes: list[list[int]], vocabulary: int) -> str:
    """What an operation of the profile is for, by its name and the shapes of what it reads."""
    sides = {side for shape in shapes for side in shape if isinstance(side, int)}
    if "adam" in name.lower() or "Optimizer" in name or "_foreach" in name or "vector_norm" in name:
        return "optimizer and clipping"
    if vocabulary in sides or "log_softmax" in name or "logsumexp" in name or "nll_loss" in name:
        return "head and embedding"
    if name in ("aten::mm", "aten::addmm", "aten::addmm_", "mkldnn::_linear_pointwise"):
        return "LoRA" if min((side for side in sides if side > 1), default=0) <= THIN else "linear layers"
    if "bmm" in name or "scaled_dot_product" in name or "softmax" in name or "flash" in name:
        return "attention"
    if any(word in name for word in ("copy_", "cat", "index", "gather", "zero", "fill_", "empty", "resize", "select", "slice", "view")):
        return "copies and memory"
    return "norms, rotary, activations, additions"


def profile_table(step: Any, vocabulary: int) -> str:
    """Where one step's time goes, as a Markdown table of shares."""
    began = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as found:
        step()
    wall_s = time.perf_counter() - began
    parts: Counter[str] = Counter()
    for event in found.key_averages(group_by_input_shape=True):
        parts[part_of(event.key, event.input_shapes, vocabulary)] += event.self_cpu_time_total
    busy = sum(parts.values())
    lines = ["| where the time goes | share of the operations' time |", "|---|---|"]
    lines += [f"| {part} | {spent / busy:.1%} |" for part, spent in parts.most_common()]
    return "\n".join([*lines, "", f"Outside all operations (Python, and the making of batches): {max(0.0, 1 - busy / 1e6 / wall_s):.1%}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("rows", type=Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--steps", type=int, default=8, help="steps that are timed; the limit is that of the last one")
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    keep_freed_memory()
    asked = Asked(args.model, args.rows, batch=args.batch, full=args.full)
    ready, training = started(asked, read_chats(args.rows))
    plan = training.plan
    network = training.state.network.train()
    seconds = []

    def one(step: int) -> None:
        rows = [row for unit in in_file_order(ready.train.units, args.batch, step) for row in unit]
        take_step(training.state, ready.objective, rows, plan.cuts, asked.learning_rate, 1.0)

    for step in range(args.steps):
        began = time.perf_counter()
        one(step)
        seconds.append(time.perf_counter() - began)
    last = [row for unit in in_file_order(ready.train.units, args.batch, args.steps - 1) for row in unit]
    began = time.perf_counter()
    batches = list(plan.cuts.batches(last))
    data_s = time.perf_counter() - began
    products: Counter[Product] = Counter()
    for batch in batches:
        products.update(products_of(network, batch, args.full))
    table, least_s = limit_table(products)
    print(f"{Path(args.model).name}, {args.rows.stem}, {'full' if args.full else 'LoRA'}, {torch.get_num_threads()} thread(s), ", end="")
    print(f"{plan.precision.name}: {sum(batch.n_nodes for batch in batches):,} nodes in {len(batches)} micro-batch(es)\n")
    print(table)
    usual = statistics.median(seconds[1:] or seconds)
    print(f"\nLeast {least_s:.3f} s; the last step took {seconds[-1]:.3f} s, {seconds[-1] / least_s:.2f} times that. ", end="")
    print(f"Median step {usual:.3f} s, least {min(seconds):.3f}; making the batches {data_s:.4f} s of it.\n")
    print(profile_table(lambda: one(args.steps - 1), network.n_vocabulary))


if __name__ == "__main__":
    main()
