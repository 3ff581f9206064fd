"""Chat: a conversation with a model in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from luthier.core.errors import Complaints, LuthierError
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

LEAVING = ("/quit", "/exit")
TALKING = "Type and press Enter. /new begins a new conversation, /quit leaves."
LABELLING = "Type a text and press Enter to see its likeliest labels. /quit leaves."
BASE_REPLY_TOKENS = 256


def chat_with(name: str, temperature: float | None, seed: int | None, runs: Path) -> None:
    """Talk until the input ends or /quit; /new forgets the conversation. A classifier answers each line with its label.

    Raises:
        LuthierError: there is no such run or base, or an option has no effect on it.

    """
    speaker, card = _speaker(name, runs)
    labels = card.labels if card is not None else ()
    _refuse_without_effect(temperature, seed, draws_nothing=bool(labels))
    if card is not None and labels:
        _classify_lines(speaker, card)
        return
    n_reply = card.max_reply_tokens if card is not None else min(BASE_REPLY_TOKENS, speaker.max_tokens // 2)
    opening = [Message("system", card.system)] if card is not None and card.system else []
    said = list(opening)
    for line in _lines(TALKING):
        if line == "/new":
            said = list(opening)
            continue
        said.append(_tidied(Message("user", line), card))
        prompt = speaker.fitted(speaker.renderer.prompt(Chat("", tuple(said))), speaker.max_tokens - n_reply)
        _tell_of_cut(speaker)
        tokens: list[int] = []
        for piece in speaker.engine.stream(prompt, Sampling(n_reply, temperature=temperature or 0.0, seed=(seed or 0) + len(said))):
            sys.stdout.write(piece.text)
            sys.stdout.flush()
            tokens += piece.tokens
        sys.stdout.write("\n")
        said.append(speaker.renderer.parse(tokens))


def _refuse_without_effect(temperature: float | None, seed: int | None, *, draws_nothing: bool) -> None:
    """Raise for options that change nothing: a classifier draws nothing, and neither does temperature 0."""
    complaints = Complaints()
    for name, value in (("--temperature", temperature), ("--seed", seed)):
        if draws_nothing and value is not None:
            complaints.add(name, "it has no effect on a classifier, which draws nothing", "leave it out")
    if not draws_nothing and seed is not None and not temperature:
        complaints.add("--seed", "it has no effect at temperature 0, where nothing is drawn", "leave it out, or give --temperature above 0")
    complaints.raise_if_any()


def _tell_of_cut(speaker: Speaker) -> None:
    """Say on stderr what the model could not read of the question that was just fitted."""
    if n_cut := speaker.shortened.n_tokens_cut[-1]:
        sys.stderr.write(f"! too long for the model: {n_cut:,} tokens after the first were left out\n")
        sys.stderr.flush()


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
    for line in _lines(LABELLING):
        (found,) = classify(speaker, Classify(card.labels), [Labelled("", _tidied(Message("user", line), card).text, None)])
        _tell_of_cut(speaker)
        best = sorted(range(len(found)), key=lambda i: -found[i])[:3]
        sys.stdout.write("   ".join(f"{card.labels[i]} {found[i]:.2f}" for i in best) + "\n")


def _tidied(message: Message, card: bundle.Card | None) -> Message:
    """What somebody typed, as the steps left what was trained."""
    if card is None:
        return message
    waiting = tidied(Chat("", (message,)), loads(Prepare, card.prepare, "bundle.json").steps)
    assert isinstance(waiting, Chat), "steps keep an example's shape"
    return waiting.messages[0]


def _lines(greeting: str) -> Iterator[str]:
    """The lines of the input, prompted for where somebody is typing."""
    if sys.stdin.isatty():
        sys.stderr.write(f"{greeting}\n")
    while True:
        if sys.stdin.isatty():
            sys.stderr.write("> ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line or line.strip() in LEAVING:
            return
        if line.strip():
            yield line.strip()
