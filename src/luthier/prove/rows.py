"""Proofs about the training rows as they were trained: each teaches something, replies end, and labels come back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from luthier.core.examples import AnyExample, Chat, Labelled, Pair
from luthier.core.proofs import Found, NotApplicable, Proof
from luthier.text.renderer import as_chat
from luthier.text.rows import Row

Units = Sequence[Sequence[Row]]
"""The rows of each example."""


def stretches(row: Row, stop_id: int) -> list[tuple[int, int]]:
    """The trained replies of a row as (first token, the one behind the last): each run of weights, ended by each stop token."""
    trained = np.flatnonzero(row.weights > 0)
    if not len(trained):
        return []
    last = np.append(np.diff(trained) > 1, True) | (row.tokens[trained] == stop_id)
    first = np.append(True, last[:-1])
    return list(zip(trained[first].tolist(), (trained[last] + 1).tolist(), strict=True))


def trained_turns(example: AnyExample) -> list[int]:
    """The numbers of the messages that a conversation trains: assistant turns of a weight above 0 that answer something."""
    if not isinstance(example, Pair | Chat):
        return []
    messages = as_chat(example).messages
    return [i for i, one in enumerate(messages) if i > 0 and one.role == "assistant" and one.trained_weight > 0]


def every_row_supervised(units: Units, n_unsupervised: int, n_dropped: int, as_trained: bool) -> Proof:
    """Each row trains at least one token or has a label, and no example gave no row for want of anything to learn.

    Args:
        units: the training rows, rendered anew.
        n_unsupervised: training examples that gave no row because nothing in them is trained.
        n_dropped: rows that were left out because they were too long, as the recipe says.
        as_trained: whether they are, token for token and weight for weight, the rows that training recorded.

    """
    rows = [row for unit in units for row in unit]
    empty = [row.id for row in rows if not row.n_supervised and row.target is None]
    least = min((row.n_supervised for row in rows if row.target is None), default=None)
    said = f"{len(rows) - len(empty):,} of {len(rows):,} rows of {len(units):,} examples have a label or a trained token"
    said += f" (at least {least:,})" if least is not None else ""
    said += f"; {n_unsupervised:,} examples gave nothing to learn" + (f"; {n_dropped:,} rows were too long" if n_dropped else "")
    said += "; rendered anew, the rows are " + ("those" if as_trained else "not those") + " whose SHA-256 training recorded"
    return Proof(as_trained and not empty and not n_unsupervised, said + _such(empty))


def stop_token_trained(units: Units, examples: Sequence[AnyExample], stop_id: int, n_dropped: int) -> Proof:
    """Each turn that is to be trained is trained to its end, with the token at which the saved bundle stops.

    `n_dropped` rows were left out for their length; an example of several rows may lack some of its replies for that alone.
    """
    n_ended = n_wanted = 0
    bad: list[str] = []
    for unit, example in zip(units, examples, strict=True):
        wanted = len(trained_turns(example))
        ends = [int(row.tokens[stop - 1]) == stop_id for row in unit for _, stop in stretches(row, stop_id)]
        n_ended, n_wanted = n_ended + sum(ends), n_wanted + wanted
        lacks_rows = n_dropped > 0 and len(ends) == len(unit) < wanted
        if not all(ends) or (len(ends) != wanted and not lacks_rows):
            bad.append(example.id)
    said = f"{n_ended:,} of {n_wanted:,} trained replies end with the trained stop token {stop_id}, at which the bundle stops"
    return Proof(not bad, said + (f"; {n_dropped:,} rows were too long" if n_dropped else "") + _such(bad))


def label_map_round_trips(units: Units, examples: Sequence[AnyExample], labels: Sequence[str], n_scores: int) -> Proof:
    """The class that each row was trained for is the place of its label in the saved bundle, whose head has a score for each."""
    pairs = [(row.target, example) for unit, example in zip(units, examples, strict=True) for row in unit]
    wrong = [
        example.id for target, example in pairs
        if not isinstance(example, Labelled) or target is None or not target < len(labels) or labels[target] != example.label
    ]  # fmt: skip
    holds = not wrong and len(set(labels)) == len(labels) == n_scores
    said = f"{len(pairs) - len(wrong):,} of {len(pairs):,} rows: label to trained class to the saved bundle's label gives the label back"
    return Proof(holds, f"{said}; {len(set(labels)):,} different labels, {n_scores:,} scores of the head{_such(wrong)}")


def without_replies_or_labels(task: str) -> Iterator[tuple[str, Found]]:
    """What does not apply to a task, of the proofs about replies and labels."""
    stop = {
        "classify": "a classifier writes no reply that would have to stop",
        "pretrain": "plain text is cut into windows, of which only the last ends the text",
    }
    if task != "classify":
        yield "label_map_round_trips", NotApplicable("there are no labels")
    if task in stop:
        yield "stop_token_trained", NotApplicable(stop[task])


def _such(ids: Sequence[str], n_shown: int = 3) -> str:
    shown = ", ".join(ids[:n_shown])
    return f"; not so: {shown}" + (f" and {len(ids) - n_shown:,} more" if len(ids) > n_shown else "") if ids else ""
