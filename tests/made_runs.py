"""Whole runs without a model: made-up rows, answers and curves, written as the stages write theirs."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from luthier.core.examples import AnyExample, Labelled, Pair
from luthier.core.files import write_json, write_jsonl, write_text
from luthier.core.jsonvalue import Json
from luthier.core.runs import Run
from luthier.data.kept.prepared import kept_record
from luthier.data.pipeline import KeptRow
from luthier.evaluate.answers import Answer, Gold, System, labelled_answer
from luthier.evaluate.report import Evaluation, Proof, RunFacts, evaluate, write_evaluation
from luthier.evaluate.verdict import Goal

Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Made:
    """What a made-up run is like; `right` is each system's share of right answers, `sure` the probability of its answers."""

    labels: Sequence[str] = ("repair", "rental", "lesson")
    n_train: int = 300
    n_test: int = 150
    right: Mapping[str, float] = field(default_factory=lambda: {"tuned": 0.9, "base": 0.4, "majority": 0.34, "classical": 0.6})
    sure: float = 0.9
    train: Curve = tuple((step, 1.1 * 0.98**step) for step in range(1, 61))
    validation: Curve = ((0, 1.1), (20, 0.8), (40, 0.6), (60, 0.59))
    certificate: tuple[int, int] = (0, 0)
    proofs: Mapping[str, Proof] = field(default_factory=lambda: {"split_certificate": Proof(True, "nothing is shared")})
    looks: int = 1
    dropped: int = 4
    words: Sequence[str] = ()
    seed: int = 0


def rows_of(made: Made) -> dict[str, list[Labelled]]:
    """Labelled rows by side; each text has a word of its label and words of its own, or is one of `words`."""
    draw = random.Random(made.seed)
    sizes = {"train": made.n_train, "validation": 30, "test": made.n_test}
    found: dict[str, list[Labelled]] = {}
    for side, n in sizes.items():
        found[side] = []
        for i in range(n):
            label = made.labels[i % len(made.labels)]
            text = f"{label} {' '.join(draw.choices('abcdefghijklmnop', k=3))} {draw.randrange(10**6)}"
            if side == "test" and i < len(made.words):
                text = made.words[i]
            found[side].append(Labelled(f"{side}-{i:04}", text, label, source=f"rows.csv:{len(found) * 1000 + i}"))
    return found


def classified(made: Made, test: Sequence[Labelled], goal: Goal) -> Evaluation:
    """The evaluation of made-up answers."""
    gold = [Gold(row.id, row.label or "") for row in test]
    systems = []
    for name, share in made.right.items():
        draw = random.Random(f"{made.seed} {name}")
        answers = []
        for row in gold:
            said = row.text if draw.random() < share else draw.choice([label for label in made.labels if label != row.text])
            rest = (1 - made.sure) / max(1, len(made.labels) - 1)
            answers.append(labelled_answer(row.id, {label: made.sure if label == said else rest for label in made.labels}, row.text))
        systems.append(System(name, tuple(answers), f"made-up {name}"))
    return evaluate(goal, gold, systems, facts(made))


def facts(made: Made) -> RunFacts:
    """What a made-up report says besides."""
    return RunFacts(
        run="made", data_hash="0" * 64, seed=made.seed, looks=made.looks, proofs=made.proofs,
        not_applicable={"stop_token_trained": "a classifier writes no reply"}, versions={"luthier": "0"}, seconds={"tune": 1.0},
    )  # fmt: skip


def write_run(folder: Path, made: Made | None = None, goal: Goal | None = None) -> Run:
    """A whole run of a classifier."""
    made = made or Made()
    goal = goal or Goal(task="classify", metric="accuracy", at_least=0.6, beat=("base",), about="Route a message")
    rows = rows_of(made)
    run = Run(folder)
    write_evaluation(classified(made, rows["test"], goal), run.evaluation)
    write_files(run, rows, made)
    return run


def write_replies(folder: Path, made: Made | None = None) -> Run:
    """A whole run of a model that writes replies; every third of them is wrong."""
    made = made or Made()
    sides = {"train": made.n_train, "validation": 30, "test": made.n_test}
    rows = {side: [Pair(f"{side}-{i:04}", f"how much is {i} and {i}", f"it is {2 * i}") for i in range(n)] for side, n in sides.items()}
    gold = [Gold(row.id, row.completion) for row in rows["test"]]
    systems = [
        System("tuned", tuple(Answer(row.id, row.text if i % 3 else "it is none", None, 1.0 + i % 5, 4, 9) for i, row in enumerate(gold))),
        System("base", tuple(Answer(row.id, "what?", None, 9.0, 4, 9) for row in gold)),
        System("majority", tuple(Answer(row.id, "it is 2") for row in gold)),
    ]
    run = Run(folder)
    write_evaluation(evaluate(Goal(task="answer", metric="chrf", beat=("base",)), gold, systems, facts(made)), run.evaluation)
    write_files(run, rows, made)
    return run


def write_files(run: Run, rows: Mapping[str, Sequence[AnyExample]], made: Made) -> None:
    """Everything of a run but its evaluation."""
    write_jsonl(run.kept, (kept_record(KeptRow(row, ()), side) for side, some in rows.items() for row in some))
    gone: list[Json] = [
        {"id": f"gone-{i}", "text": "", "source": f"rows.csv:{9000 + i}", "step": "length", "reason": "empty text"}
        for i in range(made.dropped)
    ]
    write_jsonl(run.dropped, gone)
    n_kept = sum(map(len, rows.values()))
    groups, alike = made.certificate
    write_json(run.cleaning, {
        "read": n_kept + made.dropped, "kept": n_kept, "dropped": {"length": {"empty text": made.dropped}} if made.dropped else {},
        "changed": {"whitespace": 3}, "added": {}, "split": {side: len(some) for side, some in rows.items()},
        "certificate": {"groups_shared": groups, "near_duplicates_shared": alike, "threshold": 0.8, "group_column": None},
        "recognised": "CSV in UTF-8", "warnings": ["Something to know."], "test_hash": "0" * 64,
    })  # fmt: skip
    lines: list[Json] = [{"event": "step", "step": step, "loss_nats": loss, "seconds": 0.1} for step, loss in made.train]
    spread: dict[str, Json] = {"n_examples": 30, "n_effective": 30.0, "loss_se": 0.02, "n_rows": 30, "seconds": 0.1}
    lines += [{"event": "validation", "step": step, "loss_nats": loss, **spread} for step, loss in made.validation]
    write_jsonl(run.metrics, lines)
    write_json(run.plan, {"precision": {"name": "float32", "why": "it is small"}, "surroundings": {"device": "cpu"}})
    write_text(run.recipe, f'name = "made"\nseed = {made.seed}\n\n[goal]\ntask = "classify"\n\n[train]\nepochs = 3.0\n')
    write_text(run.lock_file, "luthier run, process 1\n")
