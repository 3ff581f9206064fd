"""Proof that what is served is what was trained: the saved bundle's prompts, token for token, before the trained replies."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.core import messages
from luthier.core.draws import permutation
from luthier.core.errors import LuthierError
from luthier.core.examples import AnyExample, Chat, Labelled, Pair
from luthier.core.jsonvalue import Json
from luthier.core.proofs import Proof
from luthier.prove.rows import Units, stretches, trained_turns
from luthier.text.renderer import as_chat

MOST_PROMPTS = 2_000
"""Prompts that are rendered again: all of them up to here, beyond it the telling ones and drawn ones."""
MOST_TOKENS = 2_000_000
"""Their tokens, likewise: some seconds of tokenising, however long the conversations are."""
Serve = Callable[[Mapping[str, Any]], list[int]]
"""The prompt's tokens for the body of a chat request, as the server makes them."""
Read = Callable[[str], list[int]]
"""The tokens that the saved classifier reads for a text."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """What stood before one trained reply, and the request that asks for that reply."""

    id: str
    tokens: list[int]
    body: Mapping[str, Json]


def trained_prompts(units: Units, examples: Sequence[AnyExample], stop_id: int) -> Iterator[Prompt]:
    """Each trained reply's prompt, as the training rows have it, beside the request of a client that is to get the reply."""
    for unit, example in zip(units, examples, strict=True):
        assert isinstance(example, Pair | Chat), "only conversations have prompts"
        chat = as_chat(example)
        before = [row.tokens[:start].tolist() for row in unit for start, _ in stretches(row, stop_id)]
        yield from (
            Prompt(example.id, tokens, request_of(chat, turn)) for tokens, turn in zip(before, trained_turns(example), strict=False)
        )


def request_of(chat: Chat, turn: int) -> dict[str, Json]:
    """The body of a chat request for message `turn` of a conversation, as it comes out of JSON at the other end."""
    body: dict[str, Json] = {"messages": [_as_sent(messages.to_dict(message)) for message in chat.messages[:turn]]}
    if chat.tools:
        body["tools"] = [dict(tool) for tool in chat.tools]
    if chat.template_options:
        body["chat_template_kwargs"] = dict(chat.template_options)
    found: dict[str, Json] = json.loads(json.dumps(body))
    return found


def _as_sent(message: dict[str, Json]) -> dict[str, Json]:
    """A message without what only training knows."""
    return {name: value for name, value in message.items() if name != "weight"}


def served_prompts_equal_trained(prompts: Sequence[Prompt], serve: Serve, seed: int, n_cut: int) -> Proof:
    """Serve each prompt (of many, the telling ones and drawn ones) and compare it with the trained one token for token.

    Args:
        prompts: of the training rows, before any was cut to fit.
        serve: the server's own rendering with the saved bundle's tokenizer.
        seed: of the draw.
        n_cut: how many rows were cut to fit; they are compared as they were before.

    """
    chosen = _telling(prompts, seed)
    bad: list[str] = []
    for prompt in chosen:
        difference = _difference(prompt, serve)
        if difference:
            bad.append(f"{prompt.id} ({difference})")
    n_turns = sum(len(prompt.body["messages"]) > 2 for prompt in chosen)  # type: ignore[arg-type]
    n_tools = sum("tools" in prompt.body for prompt in chosen)
    said = f"{len(chosen) - len(bad):,} of {len(chosen):,} prompts served by the saved bundle equal the trained ones token for token"
    said += f" (of {len(prompts):,}; {n_turns:,} of several turns, {n_tools:,} with tools, the longest {_longest(chosen):,} tokens)"
    said += f"; {n_cut:,} rows were cut in training and are compared uncut" if n_cut else ""
    return Proof(not bad, said + _such(bad))


def served_texts_equal_trained(units: Units, examples: Sequence[AnyExample], read: Read) -> Proof:
    """For a classifier: what the saved bundle reads for each text is the row that was trained for it."""
    bad = []
    n_rows = 0
    for unit, example in zip(units, examples, strict=True):
        assert isinstance(example, Labelled), "classifiers are trained on labelled texts"
        for row in unit:
            n_rows += 1
            if read(example.text) != row.tokens.tolist():
                bad.append(example.id)
    said = f"{n_rows - len(bad):,} of {n_rows:,} texts are read by the saved bundle as the rows that were trained, token for token"
    return Proof(not bad, said + _such(bad))


def _difference(prompt: Prompt, serve: Serve) -> str:
    try:
        served = serve(prompt.body)
    except LuthierError as error:
        return f"refused: {error}"
    if served == prompt.tokens:
        return ""
    same = next((t for t, (one, other) in enumerate(zip(served, prompt.tokens, strict=False)) if one != other), None)
    return f"from token {same} on" if same is not None else f"{len(served)} tokens for {len(prompt.tokens)}"


def _telling(prompts: Sequence[Prompt], seed: int) -> list[Prompt]:
    """All prompts, or of many the longest, those of most turns, those with most tools, and drawn ones; at least one."""
    if len(prompts) <= MOST_PROMPTS and sum(len(prompt.tokens) for prompt in prompts) <= MOST_TOKENS:
        return list(prompts)
    everyone = range(len(prompts))
    keys: tuple[Callable[[int], int], ...] = (
        lambda i: len(prompts[i].tokens),
        lambda i: len(prompts[i].body["messages"]),  # type: ignore[arg-type]
        lambda i: len(prompts[i].body.get("tools", ())),  # type: ignore[arg-type]
    )
    first = [i for key in keys for i in sorted(everyone, key=key)[-MOST_PROMPTS // 10 :]]
    drawn = permutation(len(prompts), seed, "prompts").tolist()
    # In turn, so that where long ones take all the room there are drawn ones among them.
    in_turn = (i for both in itertools.zip_longest(first, drawn) for i in both if i is not None)
    chosen = [prompts[i] for i in list(dict.fromkeys(in_turn))[:MOST_PROMPTS]]
    so_far = itertools.accumulate(len(prompt.tokens) for prompt in chosen)
    return [prompt for i, (prompt, n) in enumerate(zip(chosen, so_far, strict=True)) if n <= MOST_TOKENS or i == 0]


def _longest(prompts: Sequence[Prompt]) -> int:
    return max((len(prompt.tokens) for prompt in prompts), default=0)


def _such(bad: Sequence[str], n_shown: int = 3) -> str:
    return f"; not so: {', '.join(bad[:n_shown])}" + (f" and {len(bad) - n_shown:,} more" if len(bad) > n_shown else "") if bad else ""
