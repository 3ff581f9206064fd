"""Which layout and forward pass a model may use is settled by trying: forest against padded rows, ours against the family's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from inspect import signature
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from luthier.core.errors import LuthierError
from luthier.models.attention import SEAM
from luthier.models.blocks import Blocks, NotUsual
from luthier.models.network import Network
from luthier.text.batching import Batch
from luthier.text.forest import make_forest
from luthier.text.padded import Padded, make_padded
from luthier.text.rows import Row, make_row

_N_COMPARED = 12
"""Tokens at the end of each row that are compared: they see all that stands before them."""
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4, torch.bfloat16: 0.08, torch.float16: 0.02}
"""The largest relative difference (of norms) that rounding alone explains, by the type of the weights.

Most families take their norms in float32 whatever the weights are, hence the one for float64.
"""
_OURS = "Luthier's own, for blocks of the usual shape"
_WINDOWS = ("sliding_window", "attention_chunk_size", "attention_window_size", "window_size")


@dataclass(frozen=True)
class Probed:
    """What the probe found: the layout to use, why, and the relative differences that it saw; and whose forward pass is used."""

    layout: Literal["forest", "padded"]
    reason: str
    logits_difference: float
    gradient_difference: float
    computed_by: str = "the family's own"


def probe(network: Network, seed: int = 0) -> Probed:
    """Compare, on random rows that share beginnings longer than any window, the family's own computation with ours.

    First our padded rows against the family's own attention: where they differ, the family's attention is kept and rows
    are padded. Then the forest against padded rows, in logits and in one gradient, and at last our own forward pass
    against the family's; where these are equal, the network is given ours. Long rows are compared at their ends, so that
    no tensor is rows × vocabulary long.

    Raises:
        LuthierError: even padded rows under the family's own attention give other logits than the model itself.

    """
    network.blocks = None
    rows = _rows(network, seed)
    padded, forest = make_padded(rows, 0).to(network.device), make_forest(rows).to(network.device)
    limit = TOLERANCE[next(network.decoder.parameters()).dtype]
    own = _own_logits(network, padded)
    try:
        plain, plain_gradient = _logits_and_gradient(network, padded)
        seam_difference, reason = _relative(plain, own), "its attention does more than the seam knows"
    except TypeError as error:
        seam_difference, reason = float("inf"), str(error)
    if not seam_difference <= limit:
        network.decoder.set_attn_implementation(_own_attention(network))
        with torch.no_grad():
            difference = _relative(_logits(network, padded), own)
        if not difference <= limit:
            raise LuthierError(
                "[model] base", f"the model's logits differ from Luthier's by {difference:.1e}", "choose a model of another family"
            )
        return Probed("padded", reason, difference, 0.0)
    tree, tree_gradient = _logits_and_gradient(network, forest)
    differences = _relative(tree, plain), _relative(tree_gradient, plain_gradient)
    if all(difference <= limit for difference in differences):
        why = "shared beginnings are computed once; the same logits and gradient as padded rows"
        found = Probed("forest", why, *differences)
        return replace(found, computed_by=_settle_blocks(network, forest, (tree, tree_gradient), limit))
    why = f"a forest gives other logits or gradients than padded rows (by {max(differences):.1e})"
    found = Probed("padded", why, *differences)
    return replace(found, computed_by=_settle_blocks(network, padded, (plain, plain_gradient), limit))


def _settle_blocks(network: Network, batch: Batch, wanted: tuple[Tensor, Tensor], limit: float) -> str:
    """Give the network our own forward pass if it gives the family's logits and gradient; says whose is used, and why."""
    try:
        network.blocks = Blocks(network.body)
    except NotUsual as error:
        return f"the family's own: {error}"
    found = _logits_and_gradient(network, batch)
    difference = max(_relative(one, other) for one, other in zip(found, wanted, strict=True))
    if difference <= limit:
        return _OURS
    network.blocks = None
    return f"the family's own: Luthier's differs from it by {difference:.1e}"


def compute_as(network: Network, computed_by: str) -> None:
    """Give a network of a model that was probed before the forward pass that was settled then, as `Probed.computed_by` says it."""
    network.blocks = Blocks(network.body) if computed_by == _OURS else None


def _rows(network: Network, seed: int) -> list[Row]:
    """Five rows: three share a beginning longer than any window, two of them more; one is a beginning itself; one shares nothing."""
    config = network.decoder.config.get_text_config()
    window = max(found if isinstance(found := getattr(config, name, None), int) else 0 for name in _WINDOWS)
    context = int(getattr(config, "max_position_embeddings", None) or 2048)
    trunk = min(max(24, window + 8), context - 16)
    draw = np.random.default_rng(seed)

    def tokens(n: int) -> list[int]:
        return [int(token) for token in draw.integers(0, network.n_vocabulary, max(1, n))]

    stem, branch = tokens(trunk), tokens(6)
    lists = [stem + branch + tokens(5), stem + branch + tokens(3), stem + tokens(7), stem, tokens(9)]
    return [make_row(one, [0.0] * (len(one) - n) + [1.0] * n) for one in lists for n in (min(_N_COMPARED, len(one) - 1),)]


def _logits(network: Network, batch: Batch) -> Tensor:
    """Logits (S, V) of the rows' last tokens, in the order of the rows."""
    return network.logits(network(batch).at(batch.source_S)).double()


def _own_logits(network: Network, batch: Padded) -> Tensor:
    """The same from the model as its family wrote it, a row at a time."""
    network.decoder.set_attn_implementation(_own_attention(network))
    try:
        with torch.no_grad():
            found = [_own_row(network, batch, b) for b in range(batch.n_rows)]
    finally:
        network.decoder.set_attn_implementation(SEAM)
    return torch.cat(found).double()


def _own_row(network: Network, batch: Padded, b: int) -> Tensor:
    width = batch.tokens_BT.shape[1]
    wanted = batch.source_S[batch.row_S == b] - b * width
    tokens = batch.tokens_BT[b : b + 1, : int(batch.length_B[b])]
    kept = {"logits_to_keep": wanted} if "logits_to_keep" in signature(network.decoder.forward).parameters else {}
    logits: Tensor = network.decoder(input_ids=tokens, use_cache=False, **kept).logits[0]
    return logits if kept else logits[wanted]


def _own_attention(network: Network) -> str:
    return "sdpa" if getattr(network.decoder, "_supports_sdpa", False) and _soft_cap(network) is None else "eager"


def _soft_cap(network: Network) -> float | None:
    cap: float | None = getattr(network.decoder.config, "attn_logit_softcapping", None)
    return cap


def _logits_and_gradient(network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits of the rows, and the gradient of their summed log-probabilities at the first matrix of the first layer."""
    watched = next(
        p for name, p in network.decoder.base_model.named_parameters() if p.ndim == 2 and "embed" not in name and "wte" not in name
    )
    before = watched.requires_grad
    watched.requires_grad_(True)
    try:
        outputs = network(batch)
        logits = network.logits(outputs.at(batch.source_S)).double()
        (gradient,) = torch.autograd.grad(outputs.token_logps(batch).sum(), watched)
    finally:
        watched.requires_grad_(before)
    return logits.detach(), gradient.double()


def _relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm().clamp_min(1e-300))
