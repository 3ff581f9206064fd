"""Chat: a conversation with a model in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.examples import Chat, Labelled
from luthier.core.generator import Sampling
from luthier.core.loading import loads
from luthier.core.messages import Message
from luthier.core.runs import find_run, is_run
from luthier.data.pipeline import Prepare, tidied
from luthier.models.load import SPROUT, load
from luthier.models.probe import probe
from luthier.objectives import Classify
from luthier.serve import bundle
from luthier.stages.answering import Speaker, classify
from luthier.stages.predict import bundle_of
from luthier.stages.tune import device
from luthier.text.truncation import cut_prompt

LEAVING = ("/quit", "/exit")
BASE_REPLY_TOKENS = 256


def chat_with(name: str, temperature: float, seed: int, runs: Path) -> None:
    """Talk until the input ends or /quit; /new forgets the conversation. A classifier answers each line with its label.

    Raises:
        LuthierError: there is no such run or base.

    """
    speaker, card = _speaker(name, runs)
    if card is not None and card.labels:
        _classify_lines(speaker, card)
        return
    n_reply = card.max_reply_tokens if card is not None else min(BASE_REPLY_TOKENS, speaker.max_tokens // 2)
    opening = [Message("system", card.system)] if card is not None and card.system else []
    said = list(opening)
    for line in _lines():
        if line == "/new":
            said = list(opening)
            continue
        said.append(_tidied(Message("user", line), card))
        prompt = cut_prompt(speaker.renderer.prompt(Chat("", tuple(said))), speaker.max_tokens - n_reply)
        tokens: list[int] = []
        for piece in speaker.engine.stream(prompt, Sampling(n_reply, temperature=temperature, seed=seed + len(said))):
            sys.stdout.write(piece.text)
            sys.stdout.flush()
            tokens += piece.tokens
        sys.stdout.write("\n")
        said.append(speaker.renderer.parse(tokens))


def _speaker(name: str, runs: Path) -> tuple[Speaker, bundle.Card | None]:
    """The tuned model of a run, or a base model by name or folder."""
    if is_run(runs / name) or is_run(Path(name)) or (Path(name) / "bundle.json").is_file():
        tuned = bundle.open_bundle(bundle_of(name, runs), device=str(device()))
        return Speaker(tuned.network, tuned.tokenizer, tuned.card.layout, tuned.card.max_tokens), tuned.card
    if name != "sprout" and not (Path(name) / "config.json").is_file():
        find_run(runs, name)
        raise LuthierError(name, "it is neither a run nor a model", "give a run's name, a model's folder, or sprout")
    base = load(str(SPROUT) if name == "sprout" else name, device=str(device()))
    return Speaker(base.network, base.tokenizer, probe(base.network).layout, base.context), None


def _classify_lines(speaker: Speaker, card: bundle.Card) -> None:
    for line in _lines():
        (found,) = classify(speaker, Classify(card.labels), [Labelled("", _tidied(Message("user", line), card).text, None)])
        best = sorted(range(len(found)), key=lambda i: -found[i])[:3]
        sys.stdout.write("   ".join(f"{card.labels[i]} {found[i]:.2f}" for i in best) + "\n")


def _tidied(message: Message, card: bundle.Card | None) -> Message:
    """What somebody typed, as the steps left what was trained."""
    if card is None:
        return message
    waiting = tidied(Chat("", (message,)), loads(Prepare, card.prepare, "bundle.json").steps)
    assert isinstance(waiting, Chat), "steps keep an example's shape"
    return waiting.messages[0]


def _lines() -> Iterator[str]:
    """The lines of the input, prompted for where somebody is typing."""
    while True:
        if sys.stdin.isatty():
            sys.stderr.write("> ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line or line.strip() in LEAVING:
            return
        if line.strip():
            yield line.strip()
