"""What a server holds: adapters beside one base, whole models apart, and families with an attention of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.small import tokenizer_of
from tests.unit.models.test_probe import OTHERS
from tests.unit.serve.conftest import make_bundle
from transformers import GptOssConfig, GptOssForCausalLM

from luthier.core.errors import LuthierError
from luthier.core.generator import Sampling
from luthier.generate.growing import Growing
from luthier.serve.bundle import open_bundle
from luthier.serve.limits import Limits
from luthier.serve.models import Served, open_models


def said(served: Served, prompt: list[int], n: int) -> list[int]:
    one = Growing(prompt, Sampling(n), served.tokenizer, frozenset({-1}), served.adapter)
    served.decoder.add(one)
    while not served.decoder.is_idle:
        served.decoder.step()
    return one.tokens


def test_a_family_with_its_own_attention_is_served_with_it(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("chatml")
    _, _, shape = OTHERS["gpt_oss"]
    torch.manual_seed(0)
    decoder = GptOssForCausalLM(GptOssConfig(**{**shape, "vocab_size": tokenizer.n_vocabulary}))
    decoder.save_pretrained(tmp_path / "base")
    tokenizer.inner.save_pretrained(tmp_path / "base")
    folder = make_bundle(tmp_path / "mine", tmp_path / "base", 1, layout="padded")
    models = open_models([folder], [str(tmp_path / "base")], Limits())
    served = models["mine"]
    prompt = [40, 41, 42, 43, 44, 45, 46, 47]
    tuned = open_bundle(folder)
    found = said(served, prompt, 6)
    tokens = list(prompt)
    for _ in range(6):
        with torch.no_grad():
            states = tuned.network.decoder(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1]
        tokens.append(int(states.argmax()))
    assert found == tokens[len(prompt) :]
    assert served.decoder.layout == "padded" and models["base"].decoder is served.decoder


def test_a_reply_ends_with_the_tokens_that_end_it_in_the_librarys_own_engine(bundles: dict[str, Path], model: Path) -> None:
    models = open_models(list(bundles.values()), [], Limits())
    for name, folder in bundles.items():
        wanted = open_bundle(folder).engine.stop_ids
        assert models[name].stop_ids == wanted and len(wanted) == 2


def test_replies_that_would_not_fit_the_memory_wait(bundles: dict[str, Path], model: Path) -> None:
    few, many = (open_models([], [str(model)], Limits(cache_mib=size))["tiny"].decoder.max_places for size in (1, 10))
    # Two layers, keys and values, two groups of four numbers, four bytes each.
    assert few == 2**20 // (2 * 2 * 2 * 4 * 4) and many == 10 * few


def test_a_bundle_whose_base_has_changed_is_refused(model: Path, tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "mine", model, 1)
    card = folder / "bundle.json"
    card.write_text(card.read_text().replace('"base_hash": "', '"base_hash": "0'))
    with pytest.raises(LuthierError, match="not the one that was tuned"):
        open_models([folder], [], Limits())
