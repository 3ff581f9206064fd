"""Prove: what a run shows about itself, on its own model and rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.core.examples import Labelled
from luthier.core.proofs import Proof
from luthier.data.prepared import rows_hash
from luthier.serve.bundle import Card
from luthier.stages.evaluate import Sides


def proofs_so_far(
    card: Card, cleaning: Mapping[str, Any], tuned: Mapping[str, Any], sides: Sides
) -> tuple[dict[str, Proof], dict[str, str]]:
    """The proofs that the files of the stages before evaluation give, and why others do not apply."""
    certificate, counts = cleaning["certificate"], tuned["train"]
    shared = {name: certificate[name] for name in ("groups_shared", "near_duplicates_shared")}
    now = rows_hash(sides.test)
    proofs = {
        "split_certificate": Proof(not any(shared.values()), ", ".join(f"{name}: {value}" for name, value in shared.items())),
        "test_untouched": Proof(now == cleaning["test_hash"], f"SHA-256 of the test rows: first {cleaning['test_hash']}, now {now}"),
        "every_row_supervised": Proof(
            counts["n_unsupervised"] == 0, f"{counts['n_unsupervised']} of {counts['n_examples']} training examples give nothing to learn"
        ),
    }
    not_applicable = {"merged_equals_adapter": "full tuning has nothing to merge"} if card.method == "full" else {}
    stop, labels = "stop_token_trained", "label_map_round_trips"
    if card.labels:
        used = {row.label for side in (sides.train, sides.validation, sides.test) for row in side if isinstance(row, Labelled)}
        holds = card.labels == tuple(sorted(set(card.labels))) and used <= set(card.labels)
        proofs[labels] = Proof(holds, f"{len(card.labels)} labels, each one class and back")
        not_applicable[stop] = "a classifier writes no reply that would have to stop"
        return proofs, not_applicable
    not_applicable[labels] = "there are no labels"
    if card.task == "pretrain":
        not_applicable[stop] = "plain text is cut into windows, of which only the last ends the text"
    else:
        n_stop, n_rows = counts["n_stop_trained"], counts["n_rows"]
        proofs[stop] = Proof(n_stop == n_rows, f"{n_stop} of {n_rows} rows train the stop token at their end")
    return proofs, not_applicable
