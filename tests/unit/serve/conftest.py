"""Bundles of each kind on one tiny base, and a server over them in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import uvicorn
from openai import OpenAI
from tests.made_models import make_model

from luthier.core.files import write_json
from luthier.methods import Full, LoRA
from luthier.methods.lora import adapted
from luthier.models.load import Base, base_hash, load
from luthier.serve import bundle
from luthier.serve.app import Service
from luthier.serve.bundle import Card
from luthier.serve.keys import Keys
from luthier.serve.limits import Limits
from luthier.serve.models import open_models
from luthier.serve.server import Address, gated

CONTEXT = 96


def make_bundle(folder: Path, model: Path, seed: int = 0, report: str | None = "ship", **said: object) -> Path:
    """A bundle that was never trained, only shaken: an adapter, or a whole model, and a head where there are labels."""
    base: Base = load(str(model))
    method = Full() if said.get("method") == "full" else LoRA(rank=4)
    method.attach(base.network, seed)
    torch.manual_seed(seed)
    if isinstance(method, LoRA):
        for _, layer in adapted(base.network):
            layer.lora.B.data.normal_(0, 0.5)
    else:
        for parameter in base.network.decoder.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.05)
    labels = said.get("labels", ())
    if labels:
        bundle.new_head(base.network, len(labels), said.get("pooling", "mean"))  # type: ignore[arg-type]
        base.network.head.linear.weight.data.normal_(0, 1)
    card = Card(
        **{
            "name": folder.name, "task": "chat", "base": str(model), "base_hash": base_hash(str(model)), "method": "lora",
            "layout": "forest", "max_tokens": CONTEXT, "max_reply_tokens": 12, **said,
        }
    )  # fmt: skip
    bundle.save(card, method, base.network, base.tokenizer, folder)
    if report is not None:
        write_json(folder / "report.json", {"schema": 1, "verdict": report})
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model's folder."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def bundles(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two adapters, a whole model, and two classifiers that pool differently."""
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "first": make_bundle(folder / "first", model, 1),
        "second": make_bundle(folder / "second", model, 2, report="hold"),
        "whole": make_bundle(folder / "whole", model, 3, method="full"),
        "sorter": make_bundle(folder / "sorter", model, 4, task="classify", labels=("repair", "rental", "lesson"), pooling="mean"),
        "other-sorter": make_bundle(folder / "other-sorter", model, 5, task="classify", labels=("yes", "no"), pooling="last"),
        "text": make_bundle(folder / "text", model, 6, task="pretrain"),
    }


@dataclass(frozen=True)
class Running:
    """A server that listens."""

    service: Service
    url: str

    def client(self, key: str = "none", **options: object) -> OpenAI:
        """The unmodified client."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=key, **{"max_retries": 0, "timeout": 60, **options})


Serving = Callable[..., "contextmanager[Running]"]


@contextmanager
def running(service: Service, keys: Keys | None = None) -> Iterator[Running]:
    """Listen at a free port until the block ends."""
    address = Address(port=0)
    with address.bind() as listening:
        config = uvicorn.Config(gated(service, address.host, keys), log_level="error", access_log=False, lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        # The socket listens already: what arrives before the app is up waits in its backlog.
        yield Running(service, f"http://127.0.0.1:{listening.getsockname()[1]}")
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def service_of(bundles: dict[str, Path], model: Path, **limits: float) -> Service:
    """A service over all the bundles and their base."""
    return Service(open_models(list(bundles.values()), [str(model)], Limits(**limits)), Limits(**limits))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def server(bundles: dict[str, Path], model: Path) -> Iterator[Running]:
    """One server for all tests that only ask."""
    with running(service_of(bundles, model)) as found:
        yield found
