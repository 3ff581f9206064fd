"""What a network says about examples: labels with probabilities, replies, and how likely it finds the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Text
from luthier.core.generator import Sampling
from luthier.core.messages import Message
from luthier.core.progress import track
from luthier.evaluate.answers import Answer, labelled_answer
from luthier.generate.engine import Engine
from luthier.generate.likelihood import likelihoods
from luthier.models.network import Network
from luthier.models.tokenizer import LoadedTokenizer
from luthier.objectives import Classify, Imitate
from luthier.serve.bundle import engine_for
from luthier.stages.shots import Shot, most_that_fit
from luthier.text.batching import CutPlan
from luthier.text.renderer import Renderer, as_chat
from luthier.text.rows import Row, make_row
from luthier.text.truncation import Cut, Unfit, cut_prompt, cut_to
from luthier.train.decide import choose_kernel
from luthier.train.precision import type_for_use

READ_NODES = {"cpu": 1024, "cuda": 4096}
"""Nodes of one batch that is only read: on a processor no more than its caches hold, and long prompts, which share little, one by one."""
REPLY_NODES = 8192
"""Nodes of the prompts that are answered together."""


@dataclass
class Shortened:
    """What did not fit the model so far.

    `n_tokens_cut` holds, for each question in the order of asking, how many tokens were left out of it. `n_measured_cut`
    counts the rows whose true answer was measured behind a question that had to be cut, `n_unmeasured` those whose true
    answer was itself too long.
    """

    n_tokens_cut: list[int] = field(default_factory=list)
    n_measured_cut: int = 0
    n_unmeasured: int = 0

    def as_text(self) -> str:
        """The counts in words; '' where everything fitted."""
        parts = []
        if n_cut := sum(n > 0 for n in self.n_tokens_cut):
            parts.append(f"questions too long for the model, and cut: {n_cut:,} (by {sum(self.n_tokens_cut):,} tokens in all)")
        if self.n_measured_cut:
            parts.append(f"true answers measured behind a question that was cut: {self.n_measured_cut:,}")
        if self.n_unmeasured:
            parts.append(f"true answers too long to be measured: {self.n_unmeasured:,}")
        return "; ".join(parts)


class Loaded(Protocol):
    """A base model or a bundle."""

    @property
    def network(self) -> Network:
        """What computes."""
        ...

    @property
    def tokenizer(self) -> LoadedTokenizer:
        """Its tokenizer."""
        ...


@dataclass(frozen=True, eq=False)
class Speaker:
    """A network, its tokenizer, and how it may be used: everything that answering needs."""

    network: Network
    tokenizer: LoadedTokenizer
    layout: Literal["forest", "padded"]
    max_tokens: int
    shortened: Shortened = field(default_factory=Shortened)
    """What has been cut so far, so that nobody is told of answers without being told of that."""
    pause: Callable[[], None] = lambda: None
    """Called between batches; it raises where somebody has asked to stop."""
    computed: torch.dtype | None = None
    """The type in which products are taken where rows are read; None: the network's own. Replies are always generated in that."""

    @property
    def reading(self) -> AbstractContextManager[None]:
        """Within, rows are read and nothing is learnt of them."""
        return self.network.computing_in(self.computed or self.network.compute_dtype)

    def fitted(self, prompt: list[int], room: int) -> list[int]:
        """A prompt cut, as in training, to `room` tokens; the cut is counted."""
        self.shortened.n_tokens_cut.append(max(len(prompt) - room, 0))
        return cut_prompt(prompt, room)

    @property
    def renderer(self) -> Renderer:
        """Conversations to tokens."""
        return Renderer(self.tokenizer)

    @property
    def plan(self) -> CutPlan:
        """How rows that are only read are cut."""
        return CutPlan(self.layout, max(self.most_nodes, self.max_tokens), self.tokenizer.pad_id)

    @property
    def most_nodes(self) -> int:
        """Nodes of a batch of rows that are only read, unless one row has more."""
        return READ_NODES.get(self.network.device.type, READ_NODES["cuda"])

    @property
    def computing(self) -> str:
        """In which type rows are read, in words; '' for float32."""
        if self.computed in (None, torch.float32):
            return ""
        return f", rows read with products in {str(self.computed).removeprefix('torch.')}"

    @property
    def engine(self) -> Engine:
        """Its generator."""
        return engine_for(self.network, self.tokenizer, self.layout, self.max_tokens)


def speaker_of(
    loaded: Loaded, layout: Literal["forest", "padded"], max_tokens: int, trained_in: str, pause: Callable[[], None] = lambda: None
) -> Speaker:
    """A loaded model as it answers: rows are read as in training, and by the attention kernel that is the faster one here.

    Args:
        loaded: the network and its tokenizer.
        layout: what the probe settled for it.
        max_tokens: the longest row.
        trained_in: the type in which products were taken while it, or what it is compared with, was tuned.
        pause: called between batches.

    """
    network = loaded.network
    computed = type_for_use(trained_in, network.device)
    with network.computing_in(computed):
        network.attention_kernel = choose_kernel(network, layout)
    return Speaker(network, loaded.tokenizer, layout, max_tokens, pause=pause, computed=computed)


def question_of(example: AnyExample) -> Chat:
    """What is asked: the conversation before its last assistant turn."""
    assert isinstance(example, Pair | Chat), "only conversations ask"
    chat = as_chat(example)
    last = max((i for i, message in enumerate(chat.messages) if message.role == "assistant"), default=len(chat.messages))
    return Chat(chat.id, chat.messages[:last], chat.tools, chat.template_options, source=chat.source)


def truth_of(example: AnyExample) -> str:
    """What is right: the label, the last reply, or the text itself."""
    if isinstance(example, Labelled):
        return example.label or ""
    if isinstance(example, Text):
        return example.text
    assert isinstance(example, Pair | Chat), "rows of other shapes are not tuned, and so not judged"
    replies = [message.text for message in as_chat(example).messages if message.role == "assistant"]
    return replies[-1] if replies else ""


def asked_text(example: AnyExample) -> str:
    """What is asked, as one text, for baselines that read words only."""
    if isinstance(example, Labelled | Text):
        return example.text
    return "\n".join(message.text for message in question_of(example).messages)


def classify(speaker: Speaker, objective: Classify, examples: Sequence[Labelled], progress_label: str = "") -> NDArray[np.float64]:
    """Probabilities (rows, labels) from the network's head; a long text is cut as in training."""
    rows = []
    for i, example in enumerate(examples):
        fitted = cut_to(objective.rows(Labelled(str(i), example.text, None), speaker.renderer)[0], speaker.max_tokens)
        assert not isinstance(fitted, Unfit), "a text to classify can always be cut"
        speaker.shortened.n_tokens_cut.append(fitted.n_removed if isinstance(fitted, Cut) else 0)
        rows.append(fitted.row if isinstance(fitted, Cut) else fitted)
    found = np.zeros((len(rows), len(objective.labels)))
    parts = speaker.plan.cut(rows)
    with speaker.reading:
        for part in track(parts, len(parts), progress_label, "batches") if progress_label else parts:
            speaker.pause()
            batch = speaker.plan.make(part).to(speaker.network.device)
            scores = speaker.network(batch).row_scores(batch).double().softmax(-1)
            found[[int(name) for name in batch.ids]] = scores.cpu().numpy()
    return found


def label_answers(objective: Classify, examples: Sequence[Labelled], probabilities: NDArray[np.float64]) -> tuple[Answer, ...]:
    """The classifier's answers, each with the loss of the true label."""
    return tuple(
        labelled_answer(example.id, dict(zip(objective.labels, map(float, line), strict=True)), example.label)
        for example, line in zip(examples, probabilities, strict=True)
    )


def reply(speaker: Speaker, examples: Sequence[AnyExample], max_reply_tokens: int, progress_label: str = "") -> list[str]:
    """Greedy replies to what the examples ask; a question that leaves no room for the longest reply is cut as in training."""
    room = max(1, speaker.max_tokens - max_reply_tokens)
    prompts = [speaker.fitted(speaker.renderer.prompt(question_of(example)), room) for example in examples]
    engine = speaker.engine
    size = engine.max_sequences
    # Long prompts in fewer numbers, so that reading them takes no more than so much memory; those that begin alike together.
    plan = replace(speaker.plan, max_nodes=max(REPLY_NODES, speaker.max_tokens))
    together = plan.cut([make_row(list(prompt), id=str(i)) for i, prompt in enumerate(prompts)])
    parts = [[int(row.id) for row in rows[low : low + size]] for rows in together for low in range(0, len(rows), size)]
    found = [""] * len(prompts)
    for part in track(parts, len(parts), progress_label, "batches") if progress_label else parts:
        speaker.pause()
        replies = engine([prompts[i] for i in part], Sampling(max_reply_tokens))
        for i, said in zip(part, replies, strict=True):
            found[i] = speaker.renderer.parse(list(said.tokens)).text
    return found


def truth_nats(
    speaker: Speaker, examples: Sequence[AnyExample], window: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """For each example, the summed loss in nats of its trained tokens, their number, and the UTF-8 bytes that they spell.

    Without special tokens, of which no byte is written; 0 tokens where none fits.
    """
    objective = Imitate(window=window)
    rows: list[Row] = []
    owner: list[int] = []
    for i, example in enumerate(examples):
        for row in objective.rows(example, speaker.renderer):
            fitted = cut_to(row, speaker.max_tokens)
            speaker.shortened.n_unmeasured += isinstance(fitted, Unfit)
            speaker.shortened.n_measured_cut += isinstance(fitted, Cut)
            if not isinstance(fitted, Unfit):
                kept = fitted.row if isinstance(fitted, Cut) else fitted
                rows.append(Row(kept.tokens, (kept.weights > 0).astype(np.float32), id=str(len(rows))))
                owner.append(i)
    nats, n_tokens, n_bytes = np.zeros(len(examples)), *(np.zeros(len(examples), dtype=np.int64) for _ in range(2))
    for i, row in zip(owner, rows, strict=True):
        spelled = [int(token) for token in row.tokens[row.weights > 0] if token not in speaker.tokenizer.special_ids]
        n_bytes[i] += len(speaker.tokenizer.decode(spelled).encode())
    with speaker.reading:
        for batch in speaker.plan.batches(rows):
            speaker.pause()
            moved = batch.to(speaker.network.device)
            logps = speaker.network(moved).token_logps(moved).double().cpu()
            owners = torch.tensor([owner[int(name)] for name in batch.ids])[batch.row_S].numpy()
            np.add.at(nats, owners, -logps.numpy())
            np.add.at(n_tokens, owners, 1)
    return nats, n_tokens, n_bytes


def label_nats(
    speaker: Speaker,
    labels: Sequence[str],
    about: str,
    texts: Sequence[str],
    progress_label: str = "",
    shots: Sequence[Sequence[Shot]] | None = None,
) -> NDArray[np.float64]:
    """Log-likelihoods (texts, labels) of each label as the reply to the question which label fits, in the model's template.

    The labels are listed in the question where that takes at most a quarter of the context; a text that leaves no room
    is cut at its end. Labels come first and the text last, so that all texts share the beginning. `shots` are examples for
    each text, which stand before it as earlier turns; where there is no room for all of them, the first are left out.
    """
    renderer = speaker.renderer
    answers = [renderer.reply(_labelling(about, labels, "", label)) for label in labels]
    listed = len(renderer.prompt(_labelling(about, labels, ""))) <= speaker.max_tokens // 4
    shown = labels if listed else ()
    room = speaker.max_tokens - max(map(len, answers))
    prompts = [_fit(speaker, about, shown, text, room, one) for text, one in zip(texts, shots or [()] * len(texts), strict=True)]
    found = np.zeros((len(texts), len(labels)))
    size = 16
    order = sorted(range(len(texts)), key=lambda i: len(prompts[i]))
    starts = range(0, len(texts), size)
    for low in track(starts, len(starts), progress_label, "batches") if progress_label else starts:
        speaker.pause()
        part = order[low : low + size]
        pairs = [(prompts[i], answer) for i in part for answer in answers]
        # A prompt and all its labels go into one batch, or it would be read again.
        longest = len(prompts[part[-1]]) + sum(map(len, answers))
        plan = replace(speaker.plan, max_nodes=max(speaker.most_nodes, longest))
        with speaker.reading:
            said = likelihoods(speaker.network, [prompt for prompt, _ in pairs], [answer for _, answer in pairs], plan)
        found[part] = said.logp_nats.reshape(len(part), len(labels))
    return found


def n_label_tokens(speaker: Speaker, labels: Sequence[str]) -> NDArray[np.int64]:
    """How many tokens each label has as a reply, the stop token included."""
    return np.asarray([len(speaker.renderer.reply(_labelling("", (), "", label))) for label in labels], dtype=np.int64)


def _fit(speaker: Speaker, about: str, labels: Sequence[str], text: str, room: int, shots: Sequence[Shot]) -> list[int]:
    """The prompt for one text behind the last `shots` that leave it room; else the text is shortened, which is counted."""
    if shots:
        found = most_that_fit(shots, lambda kept: speaker.renderer.prompt(_labelling(about, labels, text, shots=kept)), room)
        if found is not None:
            speaker.shortened.n_tokens_cut.append(0)
            return found[1]
    tokens = speaker.renderer.prompt(_labelling(about, labels, text))
    speaker.shortened.n_tokens_cut.append(max(len(tokens) - room, 0))
    while len(tokens) > room and text:
        text = text[: len(text) * room // (2 * len(tokens))] if len(tokens) > 2 * room else text[: int(len(text) * 0.8)]
        tokens = speaker.renderer.prompt(_labelling(about, labels, text))
    return cut_prompt(tokens, room)


def _labelling(about: str, labels: Sequence[str], text: str, label: str | None = None, shots: Sequence[Shot] = ()) -> Chat:
    task = (about.strip().rstrip(".") or "Say which label fits the text") + "."
    choices = f" The labels are: {', '.join(labels)}." if labels else ""
    turns: list[Message] = []
    for asked, answer in (*shots, (text, label)):
        opening = "" if turns else f"{task}{choices} Answer with the label alone.\n\n"
        turns.append(Message("user", f"{opening}Text: {asked}\n\nLabel:"))
        if answer is not None:
            turns.append(Message("assistant", answer))
    return Chat("", tuple(turns))
