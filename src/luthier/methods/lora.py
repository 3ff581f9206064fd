"""LoRA: a frozen base, and beside each chosen linear layer a trained product of two thin matrices.

    y = W x + b + (alpha / rank) · B A dropout(x)        A (rank, in), B (out, rank); B starts at zero

Hu and others, 2021, arXiv:2106.09685, section 4.1; A is drawn as the authors' code draws it (Kaiming-uniform, a = √5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Annotated, Any, Literal

import pydantic
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from luthier.core.draws import seed_of
from luthier.core.errors import Complaints, LuthierError
from luthier.core.options import option
from luthier.core.plain_words import nearest
from luthier.methods.low_rank import low_rank_linear
from luthier.methods.peft_files import PeftFiles, read_peft, write_peft
from luthier.models.network import Network


class Delta(nn.Module):
    """What LoRA adds to one linear layer. A and B are float32 (float64 over a float64 base); products are in x's type."""

    def __init__(self, n_in: int, n_out: int, method: LoRA, dtype: torch.dtype) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.zeros(method.rank, n_in, dtype=dtype))
        self.B = nn.Parameter(torch.zeros(n_out, method.rank, dtype=dtype))
        self.scale = method.alpha / method.rank
        self.dropout = method.dropout

    def forward(self, x: Tensor) -> Tensor:
        """The addition (…, out) for an input (…, in), of plain operations."""
        x = functional.dropout(x, self.dropout, self.training)
        inner = functional.linear(x, self.A.to(x.dtype))
        return functional.linear(inner, self.B.to(inner.dtype)) * self.scale

    @torch.no_grad()
    def matrix(self) -> Tensor:
        """The addition as one matrix (out, in)."""
        return self.B @ self.A * self.scale


@dataclass(frozen=True)
class LoRA:
    """Low-rank adaptation of the base's linear layers, the output layer left out; files are in PEFT's format."""

    kind: Literal["lora"] = option("lora", about="thin trained matrices beside the frozen linear layers")
    rank: Annotated[int, pydantic.Field(ge=1, le=4096)] = option(
        16, about="rows of A and columns of B", why="enough for thousands of rows; more costs little and rarely helps"
    )
    alpha: Annotated[float, pydantic.Field(gt=0)] = option(
        32.0, about="the addition is scaled by alpha / rank", why="twice the default rank, so that the usual learning rates fit"
    )
    dropout: Annotated[float, pydantic.Field(ge=0, lt=1)] = option(
        0.0, about="share of a layer's inputs hidden from A while training", why="above 0, rows cannot share their beginnings"
    )
    targets: Literal["all-linear"] | tuple[str, ...] = option(
        "all-linear",
        about='the layers to adapt: "all-linear", or names or ends of names such as "q_proj"',
        why="all layers learn more than attention alone",
    )

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """An empty list of layers, beside which nothing would be trained."""
        if not self.targets:
            yield "targets", "names no layer, so nothing would be trained", 'name layers, such as ["q_proj", "v_proj"], or remove it'

    @property
    def starts_as_identity(self) -> bool:
        """B is zero."""
        return True

    @property
    def moves_base(self) -> bool:
        """The base is frozen."""
        return False

    @property
    def mergeable(self) -> bool:
        """W + (alpha / rank) · B A has W's own shape."""
        return True

    @property
    def is_random(self) -> bool:
        """Only dropout draws."""
        return self.dropout > 0

    def attach(self, network: Network, seed: int) -> None:
        """Freeze the base and add a `Delta` beside each target; A depends on (seed, layer name) alone. A head is trained.

        Raises:
            LuthierError: a target names no linear layer.

        """
        chosen = list(self._chosen(network))
        network.decoder.requires_grad_(False)
        for name, layer in chosen:
            weight = layer.weight
            n_in, n_out = weight.shape if isinstance(layer, Conv1D) else weight.shape[::-1]
            delta = Delta(n_in, n_out, self, torch.promote_types(weight.dtype, torch.float32))
            draw = torch.Generator().manual_seed(seed_of(seed, "lora", name))
            nn.init.kaiming_uniform_(delta.A, a=5**0.5, generator=draw)
            layer.lora = delta.to(weight.device)
            layer.forward = MethodType(_forward, layer)
        if network.head is not None:
            network.head.requires_grad_(True)

    @torch.no_grad()
    def merge(self, network: Network) -> None:
        """Fold each addition into its layer's weight, computed in float32 or better, and take the additions away."""
        for _, layer in list(adapted(network)):
            matrix = layer.lora.matrix()
            weight = layer.weight
            weight.copy_(weight.to(matrix.dtype) + (matrix.T if isinstance(layer, Conv1D) else matrix))
            _remove(layer)

    def save(self, network: Network, folder: Path) -> None:
        """Write `adapter_config.json` and `adapter_model.safetensors` as PEFT does."""
        layers = dict(adapted(network))
        tensors = {name: tensor.detach() for name, tensor in _tensors(network).items()}
        files = PeftFiles(
            self.rank, self.alpha, self.dropout, _target_names(network, tuple(layers)),
            any(isinstance(layer, Conv1D) for layer in layers.values()), str(network.decoder.config._name_or_path), tensors,
        )  # fmt: skip
        write_peft(files, folder)

    @torch.no_grad()
    def load(self, network: Network, folder: Path) -> None:
        """Read an adapter that `save` or PEFT wrote into a network to which this method is attached.

        Raises:
            LuthierError: it is no LoRA adapter, or one of another rank, scale or set of layers.

        """
        files = read_peft(folder)
        where, fix = str(folder), "attach the method that the adapter was trained with: LoRA.of(folder)"
        if (files.rank, files.alpha) != (self.rank, self.alpha):
            raise LuthierError(where, f"its rank is {files.rank} and its alpha {files.alpha:g}, not {self.rank} and {self.alpha:g}", fix)
        wanted = _tensors(network)
        complaints = Complaints()
        for name in sorted(wanted.keys() ^ files.tensors.keys()):
            complaints.add(where, f"{name} is {'missing' if name in wanted else 'not in this network'}", fix)
        for name in sorted(wanted.keys() & files.tensors.keys()):
            if wanted[name].shape != files.tensors[name].shape:
                complaints.add(where, f"{name} has the shape {tuple(files.tensors[name].shape)}, not {tuple(wanted[name].shape)}", fix)
        complaints.raise_if_any()
        for name, tensor in wanted.items():
            tensor.copy_(files.tensors[name])

    @classmethod
    def of(cls, folder: Path) -> LoRA:
        """The method that an adapter in PEFT's format was trained with."""
        files = read_peft(folder)
        ends = ".lora_A.weight"
        layers = tuple(sorted(name.removesuffix(ends) for name in files.tensors if name.endswith(ends)))
        return cls(rank=files.rank, alpha=files.alpha, dropout=files.dropout, targets=layers)

    def _chosen(self, network: Network) -> Iterator[tuple[str, Any]]:
        """The layers that `targets` means. A name means every layer that is called so, or whose name ends with `.name`."""
        layers = dict(_linear_layers(network))
        if self.targets == "all-linear":
            yield from layers.items()
            return
        complaints = Complaints()
        for target in self.targets:
            if not any(_means(target, name) for name in layers):
                ends = sorted({name.rpartition(".")[2] for name in layers})
                close = nearest(target, ends)
                fix = f'did you mean "{close}"?' if close else f"the layers are called {', '.join(ends[:12])}"
                complaints.add("[method] targets", f"no linear layer is called {target}", fix)
        complaints.raise_if_any()
        yield from ((name, layer) for name, layer in layers.items() if any(_means(target, name) for target in self.targets))


def adapted(network: Network) -> Iterator[tuple[str, Any]]:
    """The layers that have a `Delta`, by name."""
    for name, layer in network.decoder.named_modules():
        if isinstance(getattr(layer, "lora", None), Delta):
            yield name, layer


def _tensors(network: Network) -> dict[str, Tensor]:
    """What is trained, by the names that PEFT's files have for it."""
    return {f"{name}.lora_{matrix}.weight": getattr(layer.lora, matrix) for name, layer in adapted(network) for matrix in "AB"}


def _linear_layers(network: Network) -> Iterator[tuple[str, Any]]:
    """All linear layers but the output layer, as PEFT's `all-linear` takes them."""
    output = network.decoder.get_output_embeddings()
    for name, layer in network.decoder.named_modules():
        if isinstance(layer, nn.Linear | Conv1D) and layer is not output:
            yield name, layer


def _forward(layer: Any, x: Tensor) -> Tensor:
    """What an adapted layer computes: its type and its tensors' names stay the family's own."""
    delta: Delta = layer.lora
    if delta.dropout > 0 or layer.weight.requires_grad:
        # Dropout hides other inputs from A than from W, and a weight that is trained too needs a gradient of its own.
        output: Tensor = type(layer).forward(layer, x)
        added: Tensor = delta(x)
        return output + added.to(output.dtype)
    weight = layer.weight.t() if isinstance(layer, Conv1D) else layer.weight
    return low_rank_linear(x, weight, layer.bias, delta.A, delta.B, delta.scale)


def _remove(layer: Any) -> None:
    del layer.forward, layer.lora


def _means(target: str, name: str) -> bool:
    return name == target or name.endswith("." + target)


def _target_names(network: Network, adapted_names: tuple[str, ...]) -> tuple[str, ...]:
    """The shortest names that mean the adapted layers and no others to PEFT, which looks at every module."""
    ends = sorted({name.rpartition(".")[2] for name in adapted_names})
    meant = [name for name, _ in network.decoder.named_modules() if any(_means(end, name) for end in ends)]
    return tuple(ends) if set(meant) == set(adapted_names) else tuple(sorted(adapted_names))
