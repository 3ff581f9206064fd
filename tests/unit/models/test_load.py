"""Loading: folders, what is refused, and what a loaded base tells of itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.small import CONTEXT, decoder_of, tokenizer_of
from transformers import MambaConfig

from luthier.core.errors import LuthierError
from luthier.models.load import base_hash, context_of, load, load_config, load_tokenizer, locate


def saved(folder: Path, kind: str = "llama", **options: object) -> str:
    tokenizer = tokenizer_of("chatml")
    decoder_of(kind, torch.float32, vocab_size=tokenizer.n_vocabulary, **options).save_pretrained(folder)
    tokenizer.inner.save_pretrained(folder)
    return str(folder)


def test_a_saved_model_is_loaded_with_its_weights_template_and_context(tmp_path: Path) -> None:
    source = saved(tmp_path)
    base = load(source)
    own = decoder_of("llama", torch.float32, vocab_size=base.tokenizer.n_vocabulary)
    assert {name: p.sum().item() for name, p in base.network.decoder.named_parameters()} == {
        name: p.sum().item() for name, p in own.named_parameters()
    }
    assert base.context == CONTEXT and base.folder == tmp_path
    assert base.n_parameters == sum(p.numel() for p in own.parameters())
    assert base.tokenizer.template_text == tokenizer_of("chatml").template_text
    assert base.tokenizer.encode("The cat<|im_end|>") == tokenizer_of("chatml").encode("The cat<|im_end|>")
    assert not base.network.decoder.training and base.network.n_vocabulary == base.tokenizer.n_vocabulary


def test_tied_weights_are_counted_once(tmp_path: Path) -> None:
    base = load(saved(tmp_path, tie_word_embeddings=True))
    names = dict(base.network.decoder.named_parameters())
    assert base.n_parameters == sum(p.numel() for p in names.values())
    assert base.network.decoder.lm_head.weight is base.network.decoder.model.embed_tokens.weight


def test_random_weights_are_settled_by_the_seed_and_leave_the_worlds_draws_alone(tmp_path: Path) -> None:
    source = saved(tmp_path)
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    one, same, other = (load(source, weights="random", seed=seed).network.decoder.lm_head.weight for seed in (4, 4, 5))
    assert torch.equal(torch.rand(3), wanted)
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("dropouts", [{"attn_pdrop": 0.5, "resid_pdrop": 0.5, "embd_pdrop": 0.5}])
def test_a_models_own_dropout_is_silenced(tmp_path: Path, dropouts: dict[str, float]) -> None:
    base = load(saved(tmp_path, "gpt2", **dropouts))
    base.network.train()
    tokens, places = torch.tensor([[5, 6, 7]]), torch.tensor([[0, 1, 2]])
    from luthier.models.attention import Sequences

    assert torch.equal(base.network.states(tokens, places, Sequences()), base.network.states(tokens, places, Sequences()))


@pytest.mark.parametrize("source", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all", "nowhere"])
def test_a_place_without_a_model_is_named(source: str) -> None:
    with pytest.raises(LuthierError, match="no model here") as caught:
        locate(source)
    assert source in caught.value.where


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match=r"no config\.json"):
        load(str(tmp_path))


def test_an_owner_and_a_name_are_a_hub_id() -> None:
    assert locate("Qwen/Qwen3-0.6B") is None


def test_what_is_no_decoder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(LuthierError, match="no decoder"):
        load_config(str(tmp_path))


def test_a_model_of_an_unknown_kind_is_refused_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "never-heard-of"}))
    with pytest.raises(LuthierError, match="could not be loaded"):
        load_config(str(tmp_path))


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00\x00"])
def test_a_broken_configuration_is_refused_without_a_traceback(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(LuthierError):
        load_config(str(tmp_path))


def test_broken_and_missing_weights_are_refused_without_a_traceback(tmp_path: Path) -> None:
    source = saved(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(LuthierError, match="model could not be loaded"):
        load(source)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(LuthierError, match="model could not be loaded"):
        load(source)


def test_pickled_weights_are_never_read(tmp_path: Path) -> None:
    source = saved(tmp_path)
    torch.save(decoder_of("llama", torch.float32).state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(LuthierError):
        load(source)


def test_a_models_own_code_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}})
    )
    (tmp_path / "mine.py").write_text(f"open({str(mark)!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    with pytest.raises(LuthierError):
        load_config(str(tmp_path))
    assert not mark.exists()


def test_a_tokenizer_without_an_end_token_is_refused(tmp_path: Path) -> None:
    source = saved(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "eos_token"}))
    (tmp_path / "special_tokens_map.json").unlink(missing_ok=True)
    with pytest.raises(LuthierError, match="no end-of-text token"):
        load_tokenizer(source)


def test_a_base_is_known_by_the_content_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = saved(tmp_path / "a"), saved(tmp_path / "b")
    assert base_hash(first) == base_hash(second)
    (tmp_path / "b" / "notes.md").write_text("of no consequence")
    assert base_hash(first) == base_hash(second)
    weights = tmp_path / "b" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert base_hash(first) != base_hash(second)
    assert base_hash("some/id") != base_hash("other/id")


def test_a_configuration_without_positions_allows_2048() -> None:
    assert context_of(decoder_of("llama", torch.float32).config) == CONTEXT
    assert context_of(MambaConfig()) == 2048
