"""Full: every tensor of the model is trained, in float32."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from luthier.core.errors import LuthierError
from luthier.core.options import option
from luthier.models.network import Network


@dataclass(frozen=True)
class Full:
    """Full tuning. A half-precision base becomes float32 first, since its steps would vanish in the rounding."""

    kind: Literal["full"] = option("full", about="every tensor of the model is trained")

    @property
    def starts_as_identity(self) -> bool:
        """Nothing is added, so nothing changes before the first step."""
        return True

    @property
    def moves_base(self) -> bool:
        """That is all it does."""
        return True

    @property
    def mergeable(self) -> bool:
        """Nothing stands beside the base's weights, so there is nothing to merge."""
        return False

    @property
    def is_random(self) -> bool:
        """The method itself draws nothing."""
        return False

    def attach(self, network: Network, seed: int) -> None:
        """Make every tensor float32 (float64 stays) and trained. Tied tensors stay tied; nothing depends on the seed."""
        if next(network.decoder.parameters()).dtype != torch.float64:
            network.decoder.to(torch.float32)
        network.requires_grad_(True)

    def merge(self, network: Network) -> None:
        """Leave the network as it is."""

    def save(self, network: Network, folder: Path) -> None:
        """Write `config.json` and `model.safetensors` as `transformers` writes and reads them."""
        network.decoder.save_pretrained(folder)

    def load(self, network: Network, folder: Path) -> None:
        """Read the tensors of a `transformers` folder into a network of the same architecture.

        Raises:
            LuthierError: the folder cannot be read, or its tensors have other names or shapes.

        """
        decoder = network.decoder
        try:
            found = type(decoder).from_pretrained(folder, dtype=next(decoder.parameters()).dtype, local_files_only=True).state_dict()
            decoder.load_state_dict(found)
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0].rstrip(":.")
            fix = "name a folder that was saved from the same base"
            raise LuthierError(str(folder), f"its tensors do not fit this model: {reason}", fix) from error
