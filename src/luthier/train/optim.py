"""AdamW with the usual decay groups, and its state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from luthier.models.network import Network

BETAS = (0.9, 0.99)
"""The second moment forgets over about 100 steps: with the customary 0.999 it would still be warming up when most tunings end."""
EPS = 1e-8


def trained_parameters(network: Network) -> dict[str, nn.Parameter]:
    """The parameters that are trained, by name; tied ones once."""
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def make_optimizer(network: Network, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, 2019, arXiv:1711.05101) over the trained parameters; the loop sets the learning rate.

    Matrices decay. Embeddings (the tied output layer with them) and everything of fewer than two dimensions (norms,
    biases) do not: shrinking them towards zero means nothing.
    """
    spared = {id(parameter) for module in network.modules() if isinstance(module, nn.Embedding) for parameter in module.parameters()}
    parameters = list(trained_parameters(network).values())
    decayed = [parameter for parameter in parameters if parameter.ndim >= 2 and id(parameter) not in spared]
    kept = {id(parameter) for parameter in decayed}
    others = [parameter for parameter in parameters if id(parameter) not in kept]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=0.0, betas=BETAS, eps=EPS, fused=fused)


def optimizer_tensors(network: Network, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as `<what>/<parameter>`: both moments and the number of steps of each trained parameter."""
    found: dict[str, Tensor] = {}
    for name, parameter in trained_parameters(network).items():
        for what, value in optimizer.state.get(parameter, {}).items():
            found[f"{what}/{name}"] = value
    return found


def load_optimizer_tensors(network: Network, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave; the steps are counted where the optimizer counts them."""
    optimizer.state.clear()
    parameters = trained_parameters(network)
    for key, tensor in tensors.items():
        what, _, name = key.partition("/")
        parameter = parameters[name]
        optimizer.state[parameter][what] = tensor.to(parameter.device).clone()
