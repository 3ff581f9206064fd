"""Texts to vectors, by any model that gives states: an encoder that was made for it, or a decoder where there is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from luthier.core.errors import LuthierError
from luthier.models.load import locate, quiet

Pooled = Literal["mean", "cls", "last"]
AT_ONCE = 32
"""Windows of text that are read together."""
_POOLED: dict[str, Pooled] = {
    "pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "last",
}  # fmt: skip
_LONGEST = 8192


@dataclass(frozen=True, eq=False)
class Embedder:
    """A model, its tokenizer, and how the states of a text become one vector.

    `pooled` is the mean of the states of all tokens, or the state of the first or the last one, as the folder of a
    sentence-transformers model says (`1_Pooling/config.json`); the mean where nothing is said. A text longer than `context`
    tokens is read in windows, whose vectors are added up by their numbers of tokens. `before` and `after` are the special
    tokens around each window.
    """

    model: Any
    tokenizer: Any
    pooled: Pooled
    context: int
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to vectors (texts, width) of length 1; a text without tokens gets zeros."""
        windows: list[tuple[int, list[int]]] = []
        room = self.context - len(self.before) - len(self.after)
        for i, tokens in enumerate(self.tokenizer(list(texts), add_special_tokens=False)["input_ids"] if len(texts) else []):
            windows += [(i, tokens[low : low + room]) for low in range(0, len(tokens), room)]
        found = np.zeros((len(texts), int(self.model.config.hidden_size)), np.float64)
        windows.sort(key=lambda one: len(one[1]))
        for low in range(0, len(windows), AT_ONCE):
            part = windows[low : low + AT_ONCE]
            for (i, tokens), vector in zip(part, self._states([tokens for _, tokens in part]), strict=True):
                found[i] += len(tokens) * vector
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return (found / np.where(lengths > 0, lengths, 1)).astype(np.float32)

    @torch.no_grad()
    def _states(self, windows: Sequence[list[int]]) -> NDArray[np.float64]:
        """The pooled states (windows, width), each of length 1."""
        whole = [[*self.before, *tokens, *self.after] for tokens in windows]
        longest = max(map(len, whole))
        # Padding stands behind the tokens, where a decoder's states cannot see it either.
        tokens_BT = torch.zeros((len(whole), longest), dtype=torch.long)
        mask_BT = torch.zeros((len(whole), longest), dtype=torch.long)
        for row, one in enumerate(whole):
            tokens_BT[row, : len(one)] = torch.tensor(one)
            mask_BT[row, : len(one)] = 1
        device = next(self.model.parameters()).device
        states_BTD = self.model(input_ids=tokens_BT.to(device), attention_mask=mask_BT.to(device)).last_hidden_state.double().cpu()
        if self.pooled == "mean":
            pooled_BD = (states_BTD * mask_BT[:, :, None]).sum(1) / mask_BT.sum(1, keepdim=True)
        else:
            at_B = torch.zeros(len(whole), dtype=torch.long) if self.pooled == "cls" else mask_BT.sum(1) - 1
            pooled_BD = states_BTD[torch.arange(len(whole)), at_B]
        found: NDArray[np.float64] = torch.nn.functional.normalize(pooled_BD, dim=-1).numpy()
        return found


def load_embedder(source: str, device: str = "cpu") -> Embedder:
    """Load what embeds texts from a folder, the hub, or (`"sprout"`) inside the package.

    Raises:
        LuthierError: there is no model, it cannot be loaded, or its vectors are made in a way that is not known here.

    """
    folder = locate(source)
    with quiet(source, "model"):
        tokenizer = AutoTokenizer.from_pretrained(str(folder or source), trust_remote_code=False)
        model = AutoModel.from_pretrained(
            str(folder or source), dtype=torch.float32, trust_remote_code=False, use_safetensors=True
        )  # fmt: skip
    tokenizer.model_max_length = 10**30  # windows are cut here, so the tokenizer need not warn of long texts
    positions = int(getattr(model.config, "max_position_embeddings", None) or _LONGEST)
    # Models of RoBERTa's kind number positions from behind the padding token's.
    from_behind = model.config.model_type in ("roberta", "xlm-roberta", "camembert")
    first = int(model.config.pad_token_id or 0) + 1 if from_behind else 0
    context = min(positions - first, _LONGEST)
    return Embedder(model.to(device).eval(), tokenizer, _pooling(source, folder), context, *_special_tokens(tokenizer))


def _special_tokens(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the tokenizer puts before and behind a text."""
    inside, whole = tokenizer("a", add_special_tokens=False)["input_ids"], tokenizer("a")["input_ids"]
    start = next(i for i in range(len(whole)) if whole[i : i + len(inside)] == inside)
    return tuple(whole[:start]), tuple(whole[start + len(inside) :])


def _pooling(source: str, folder: Path | None) -> Pooled:
    """What the model's folder says about pooling."""
    if folder is None:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RemoteEntryNotFoundError

        try:
            path = Path(hf_hub_download(source, "1_Pooling/config.json"))
        except RemoteEntryNotFoundError:
            return "mean"
        except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
            fix = "check that the hub can be reached, or give a folder with the whole model"
            raise LuthierError(source, "it could not be asked how the model's states become a vector", fix) from error
    else:
        path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "mean"
    said = json.loads(path.read_text(encoding="utf-8"))
    chosen = [name for name, value in said.items() if name.startswith("pooling_mode_") and value is True]
    if len(chosen) != 1 or chosen[0] not in _POOLED:
        raise LuthierError(
            str(path), f"it asks for {' and '.join(chosen) or 'no pooling'}", f"choose a model with one of {', '.join(_POOLED)}"
        )
    return _POOLED[chosen[0]]
