"""Predict: the same rows back, each with answer, score and whether the model abstains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from luthier.core.errors import Complaints, LuthierError
from luthier.core.examples import AnyExample, Labelled
from luthier.core.interrupts import Interruption, interruptible
from luthier.core.jsonvalue import Json
from luthier.core.loading import loads
from luthier.core.progress import progress
from luthier.core.runs import find_run
from luthier.data.files.record import OR_DROP, BadRow
from luthier.data.pipeline import Prepare, tidied
from luthier.data.source.questions import Waiting, read_questions
from luthier.objectives import Classify
from luthier.serve import bundle
from luthier.stages import answering
from luthier.stages.answering import Speaker
from luthier.stages.answers_file import AnswersFile
from luthier.stages.tune import device

CHUNK = 256
"""Rows that are answered, and saved, at once."""
COLUMNS = ("answer", "score", "abstain")
"""What each row gets; a column of the file that has one of these names is kept as `given_answer` and the like."""


def predict_file(name: str, file: Path, out: Path, abstain_below: float, runs: Path) -> dict[str, Json]:
    """Answer each row of `file`; `out` appears when the last one is answered, and an interrupted call goes on.

    Raises:
        LuthierError: no such run, a file that cannot be read, rows that cannot be answered, or an `out` that exists.

    """
    folder = bundle_of(name, runs)
    card = bundle.read_card(folder)
    if card.task == "pretrain":
        raise LuthierError(name, "a model of plain text has nothing to answer", "use a run whose task is classify, answer or chat")
    if abstain_below and card.task != "classify":
        raise LuthierError("--abstain-below", f"it has no effect on the task {card.task}, whose answers have no score", "leave it out")
    with interruptible() as interruption:
        return _answer_all(folder, card, file, out, abstain_below, interruption)


def _answer_all(
    folder: Path, card: bundle.Card, file: Path, out: Path, abstain_below: float, interruption: Interruption
) -> dict[str, Json]:
    """Read the file once to see that all of it can be read, and again to answer it."""
    for _ in _readable(file, card):
        interruption.check()
    answers = AnswersFile.begin(out, file, folder, {"abstain_below": abstain_below, "training": card.training})
    tuned = bundle.open_bundle(folder, device=str(device()))
    speaker = Speaker(tuned.network, tuned.tokenizer, card.layout, card.max_tokens)
    steps = loads(Prepare, card.prepare, "bundle.json").steps
    rows = _readable(file, card)
    for _ in islice(rows, answers.n_done):
        pass
    with progress(None, "predicting", "rows", start=answers.n_done) as bar:
        while part := list(islice(rows, CHUNK)):
            interruption.check()
            said = _said([tidied(row.example, steps) for row in part], card, speaker, abstain_below)
            answered = [{**_aside(row.record), **one} for row, one in zip(part, said, strict=True)]
            answers.add(answered, speaker.shortened.n_tokens_cut[-len(part) :])
            bar.advance(len(part))
    return {"out": str(out), "n_rows": answers.finish(), **answers.counts}


def bundle_of(name: str, runs: Path) -> Path:
    """The bundle that a user means: a run's, by name or folder, or a bundle's own folder.

    Raises:
        LuthierError: there is neither.

    """
    return Path(name) if (Path(name) / "bundle.json").is_file() else find_run(runs, name).bundle


def _aside(record: Mapping[str, Json]) -> dict[str, Json]:
    """The record, its own columns of our names put aside under others."""
    kept: dict[str, Json] = {}
    for name, value in record.items():
        new = name
        while new in COLUMNS or (new != name and new in record):
            new = f"given_{new}"
        kept[new] = value
    return kept


def _readable(file: Path, card: bundle.Card) -> Iterator[Waiting]:
    """The rows to answer; those that cannot be read are collected and, at the end, refused."""
    complaints = Complaints()
    for row in read_questions(str(file), card.rows_layout, dict(card.rows_fields), card.rows_format):
        if isinstance(row, BadRow):
            complaints.add(row.source, row.problem, row.fix.removesuffix(OR_DROP))
        else:
            yield row
    complaints.raise_if_any()


def _said(part: Sequence[AnyExample], card: bundle.Card, speaker: Speaker, abstain_below: float) -> list[dict[str, Json]]:
    """Answer, score (the answer's probability) and abstain of each row; open answers have no score."""
    if card.task != "classify":
        return [{"answer": text, "score": None, "abstain": False} for text in answering.reply(speaker, part, card.max_reply_tokens)]
    found = answering.classify(speaker, Classify(card.labels), [row for row in part if isinstance(row, Labelled)])
    best, score = found.argmax(1), found.max(1)
    return [
        {"answer": card.labels[i], "score": round(float(p), 6), "abstain": bool(p < abstain_below)}
        for i, p in zip(best, score, strict=True)
    ]
