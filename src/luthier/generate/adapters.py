"""Several LoRA adapters beside one base, each token with its own: one forward pass serves them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from luthier.core.errors import LuthierError
from luthier.methods.peft_files import read_peft
from luthier.models.network import Network


@dataclass(frozen=True, eq=False)
class _Stack:
    """The adapters' matrices beside one layer: A (ΣR, in), B (out, ΣR) with their scales, and whose each rank is (ΣR,)."""

    A: Tensor
    B: Tensor
    owner_R: Tensor

    def of(self, present: Tensor) -> _Stack:
        """Only the ranks of some adapters."""
        wanted = torch.isin(self.owner_R, present)
        return _Stack(self.A[wanted], self.B[:, wanted], self.owner_R[wanted])


@dataclass(eq=False)
class Adapters:
    """The adapters of one network. Number 0 is the base itself; the others are given by `add`.

    Beside each layer the adapters' thin matrices stand next to one another, and a token keeps the ranks of its own:

        y = W x + B (mask · A x)          mask (tokens, ΣR): 1 where the rank belongs to the token's adapter

    so the base is computed once for all, and a mixed batch costs two thin products a layer. The idea of batching
    adapters is that of Chen and others, 2023 (Punica, arXiv:2310.18547); the mask takes the place of their kernel.
    """

    network: Network
    n_adapters: int = 0
    _stacks: dict[str, _Stack] = field(default_factory=dict)
    _present: tuple[int, ...] = ()
    _chosen: dict[str, _Stack] = field(default_factory=dict)
    _adapter: Tensor | None = None

    def __post_init__(self) -> None:
        self._n_vocabulary = self.network.n_vocabulary

    def add(self, folder: Path) -> int:
        """Read an adapter in PEFT's format; gives its number.

        Raises:
            LuthierError: it does not fit the network's layers.

        """
        files = read_peft(folder)
        layers: dict[str, Any] = dict(self.network.decoder.named_modules())
        number = self.n_adapters + 1
        names = sorted({name.rpartition(".lora_")[0] for name in files.tensors})
        for name in names:
            layer = layers.get(name)
            A, B = files.tensors.get(f"{name}.lora_A.weight"), files.tensors.get(f"{name}.lora_B.weight")
            if layer is None or A is None or B is None or (A.shape[1], B.shape[0]) != _shape(layer):
                problem = f"its layer {name} does not fit the base model"
                raise LuthierError(str(folder), problem, "serve it on the base that it was tuned on")
            self._stack(name, layer, A, B * (files.alpha / files.rank), number)
        self.n_adapters = number
        self._present, self._chosen = (), {}
        return number

    def _stack(self, name: str, layer: nn.Module, A: Tensor, B: Tensor, number: int) -> None:
        weight: Any = layer.weight
        dtype = torch.promote_types(weight.dtype, torch.float32)
        new = _Stack(A.to(weight.device, dtype), B.to(weight.device, dtype), torch.full((len(A),), number, device=weight.device))
        before = self._stacks.get(name)
        if before is None:
            layer.register_forward_hook(lambda layer, args, output, name=name: self._added(name, args[0], output))
        else:
            new = _Stack(torch.cat([before.A, new.A]), torch.cat([before.B, new.B], 1), torch.cat([before.owner_R, new.owner_R]))
        self._stacks[name] = new

    @contextmanager
    def using(self, adapter: Tensor) -> Iterator[None]:
        """Within the block, tokens are computed with these adapters: numbers of the tokens' shape, or of one that spreads to it."""
        present = tuple(sorted({number for number in adapter.flatten().tolist() if number}))
        if present != self._present:
            wanted = torch.tensor(present, dtype=torch.long, device=self.network.device)
            self._chosen = {name: found for name, stack in self._stacks.items() if len((found := stack.of(wanted)).owner_R)}
            self._present = present
        self._adapter = adapter.to(self.network.device)[..., None] if present else None
        try:
            yield
        finally:
            self._adapter = None

    def _added(self, name: str, x: Tensor, output: Tensor) -> Tensor:
        stack = self._chosen.get(name)
        if self._adapter is None or stack is None:
            return output
        inner = nn.functional.linear(x, stack.A.to(x.dtype))
        inner = inner * (self._adapter == stack.owner_R)
        return output + nn.functional.linear(inner, stack.B.to(inner.dtype)).to(output.dtype)

    def coded(self, tokens: Sequence[int], adapter: int) -> list[int]:
        """Tokens that say which adapter reads them: token + adapter · vocabulary."""
        return [token + adapter * self._n_vocabulary for token in tokens]

    def decoded(self, coded: Tensor) -> tuple[Tensor, Tensor]:
        """Coded tokens as tokens and adapters."""
        return coded % self._n_vocabulary, coded // self._n_vocabulary


def _shape(layer: Any) -> tuple[int, int]:
    """(in, out) of a linear layer."""
    n_out, n_in = layer.weight.shape[::-1] if isinstance(layer, Conv1D) else layer.weight.shape
    return int(n_in), int(n_out)
