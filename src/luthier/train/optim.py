"""The optimizers that a recipe may choose from, and their state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import pydantic
import torch
from torch import Tensor, nn

from luthier.core.options import option
from luthier.models.network import Network

BETAS = (0.9, 0.99)
"""The second moment forgets over about 100 steps: with the customary 0.999 it would still be warming up when most tunings end."""
EPS = 1e-8
MOMENTUM = 0.95

Decay: TypeAlias = Annotated[float, pydantic.Field(ge=0, lt=1)]


@dataclass(frozen=True)
class AdamW:
    """Each number by its own moments (Loshchilov & Hutter, 2019, arXiv:1711.05101).

    Matrices decay. Embeddings (the tied output layer with them) and everything of fewer than two dimensions (norms,
    biases) do not: shrinking them towards zero means nothing.
    """

    kind: Literal["adamw"] = "adamw"
    weight_decay: Decay = option(
        0.01, about="how strongly matrices shrink, times the step size", why="slight; embeddings, norms and biases are spared"
    )

    def over(self, network: Network) -> tuple[torch.optim.Optimizer, ...]:
        """The optimizer of the trained parameters; the loop sets the learning rate."""
        matrices, others = _parted(network, _embeddings(network))
        return (_adamw((matrices, self.weight_decay), (others, 0.0)),)


@dataclass(frozen=True)
class Muon:
    """The matrices between embedding and output by orthogonal steps, everything else by AdamW, both at one learning rate.

    The momentum of a matrix is replaced by the nearest half-orthogonal one (Jordan and others, 2024, "Muon: an optimizer for
    hidden layers in neural networks"), scaled so that its numbers are as large as AdamW's are by experience: 0.2 · √(longer side),
    after Liu and others (2025, arXiv:2502.16982, section 2.2). It learns more of each token where all weights are trained from the
    beginning; for the thin factors of an adapter nothing of the kind was shown.
    """

    kind: Literal["muon"] = "muon"
    weight_decay: Decay = option(
        0.01, about="how strongly matrices shrink, times the step size", why="slight; embeddings, norms and biases are spared"
    )

    def over(self, network: Network) -> tuple[torch.optim.Optimizer, ...]:
        """One optimizer for the matrices and one for the others; the loop sets the learning rate of both."""
        outputs = _outputs(network)
        matrices, others = _parted(network, _embeddings(network) | outputs)
        hidden = torch.optim.Muon(
            matrices, lr=0.0, weight_decay=self.weight_decay, momentum=MOMENTUM, nesterov=True, adjust_lr_fn="match_rms_adamw"
        )
        decayed, rest = [one for one in others if id(one) in outputs], [one for one in others if id(one) not in outputs]
        return hidden, _adamw((decayed, self.weight_decay), (rest, 0.0))


AnyOptimizer: TypeAlias = AdamW | Muon


def trained_parameters(network: Network) -> dict[str, nn.Parameter]:
    """The parameters that are trained, by name; tied ones once."""
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def _parted(network: Network, spared: set[int]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The trained matrices that are not among `spared`, and all other trained parameters."""
    parameters = list(trained_parameters(network).values())
    matrices = [one for one in parameters if one.ndim >= 2 and id(one) not in spared]
    kept = {id(one) for one in matrices}
    return matrices, [one for one in parameters if id(one) not in kept]


def _embeddings(network: Network) -> set[int]:
    return {id(one) for module in network.modules() if isinstance(module, nn.Embedding) for one in module.parameters()}


def _outputs(network: Network) -> set[int]:
    """The matrices that give logits or scores: each of their rows stands for a token or a label of its own."""
    layers = [network.decoder.get_output_embeddings(), *(() if network.head is None else (network.head,))]
    found = {id(one) for layer in layers if layer is not None for one in layer.parameters() if one.ndim >= 2}
    return found - _embeddings(network)


def _adamw(*groups: tuple[list[nn.Parameter], float]) -> torch.optim.AdamW:
    """AdamW over groups of parameters, each with its decay."""
    given = [{"params": parameters, "weight_decay": decay} for parameters, decay in groups if parameters]
    fused = all(one.device.type in ("cpu", "cuda") for parameters, _ in groups for one in parameters)
    return torch.optim.AdamW(given, lr=0.0, betas=BETAS, eps=EPS, fused=fused)


def optimizer_tensors(network: Network, optimizers: tuple[torch.optim.Optimizer, ...]) -> dict[str, Tensor]:
    """The optimizers' state as `<what>/<parameter>`: moments, and the number of steps where it is counted, of each trained parameter."""
    found: dict[str, Tensor] = {}
    for name, parameter in trained_parameters(network).items():
        for optimizer in optimizers:
            for what, value in optimizer.state.get(parameter, {}).items():
                found[f"{what}/{name}"] = value
    return found


def load_optimizer_tensors(network: Network, optimizers: tuple[torch.optim.Optimizer, ...], tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave; the steps are counted where the optimizer counts them."""
    parameters = trained_parameters(network)
    keepers = {id(one): optimizer for optimizer in optimizers for group in optimizer.param_groups for one in group["params"]}
    for optimizer in optimizers:
        optimizer.state.clear()
    for key, tensor in tensors.items():
        what, _, name = key.partition("/")
        parameter = parameters[name]
        keepers[id(parameter)].state[parameter][what] = tensor.to(parameter.device).clone()
