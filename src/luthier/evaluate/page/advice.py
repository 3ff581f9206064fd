"""What to do next, by stated rules: each looks at one thing and says so where something can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from luthier.core.page.words import counted
from luthier.core.proofs import WHAT_TO_DO
from luthier.data.profile import FEW_TRAINING_ROWS
from luthier.evaluate.estimates import FEW_ROWS
from luthier.evaluate.metrics import METRICS
from luthier.evaluate.page.confidence import Confidence
from luthier.evaluate.page.curves import Curves, in_nats, learnt_nothing, overfits, still_learning
from luthier.evaluate.page.material import TUNED, Material
from luthier.evaluate.page.mistakes import Mistakes
from luthier.evaluate.page.words import difference_of, direction, number_of
from luthier.evaluate.verdict import ALPHA

FEW_OF_A_LABEL = 10
"""Training rows of a label below which it is hardly learnt."""
WIDE = 0.1
"""Half the width of an interval, as a share of the metric's range, above which small gains cannot be seen."""
MANY_LOOKS = 5
MUCH_DROPPED = 0.3
SMOOTHING = 0.1
"""The label smoothing that is usual (Szegedy and others, 2016, arXiv:1512.00567) and worth a try."""
NOT_SHOWN = "not shown yet: "
"""How the verdict's evidence begins where a number leans the right way and may be chance."""
ALIKE = 0.9
"""A cosine from which on two rows say about the same."""


@dataclass(frozen=True)
class Advice:
    """Something to do: what is the matter, how that is known, and what to do about it."""

    title: str
    because: str
    do: str


@dataclass(frozen=True)
class Findings:
    """What the rules look at."""

    material: Material
    curves: Curves
    mistakes: Mistakes
    confidence: Confidence | None


Rule = Callable[[Findings], Advice | None]


def advise(findings: Findings) -> tuple[Advice, ...]:
    """What to do next, the most pressing first; never empty."""
    found = tuple(advice for rule in RULES if (advice := rule(findings)) is not None)
    return found or (_nothing_in_the_way(findings.material),)


def leak(found: Findings) -> Advice | None:
    """Rows of one group, or nearly equal ones, stand on two sides: by the record of cleaning, or by the proof that joined them again."""
    certificate = found.material.cleaning.get("certificate", {})
    groups, alike = (int(certificate.get(name, 0)) for name in ("groups_shared", "near_duplicates_shared"))
    proof = found.material.report["proofs"].get("split_certificate", {"holds": True})
    if not groups and not alike and proof["holds"]:
        return None
    shared = [counted(groups, "group") + " of rows"] * (groups > 0) + [counted(alike, "nearly equal row")] * (alike > 0)
    told = f"Shared by two sides of the split: {' and '.join(shared)}"
    if not shared:
        told = f"Rows changed after they were split: {_found(proof)}"
    return Advice(
        "The test leaks: do not believe the scores",
        f"{told}. So the model was tested on what it had seen.",
        "Run the recipe again with a fresh folder of runs (--runs DIR), so that all rows are given sides anew: in this one they keep "
        "those that earlier runs recorded. If rows of one customer or document belong together, name that column as [data] group.",
    )


def broken_proof(found: Findings) -> Advice | None:
    """A proof fails, other than the certificate, which has a rule of its own."""
    proofs = found.material.report["proofs"].items()
    broken = {name: one for name, one in proofs if not one["holds"] and name != "split_certificate"}
    if not broken:
        return None
    named = "; ".join(f"{name.replace('_', ' ')}: {_found(one)}" for name, one in broken.items())
    fixes = dict.fromkeys(WHAT_TO_DO.get(name, "run the recipe again in a fresh folder (--runs DIR)") for name in broken)
    return Advice(
        "A proof fails: do not use this model",
        f"{named}.",
        f"{'; '.join(f'{fix[0].upper()}{fix[1:]}' for fix in fixes)}. If it fails again, leave the model alone: the numbers on this page "
        "may be about something else than what would be served.",
    )


def _found(proof: Mapping[str, Any]) -> str:
    """What a proof that fails found, without what to do about it, which stands by itself."""
    return str(proof["detail"]).partition(". What to do: ")[0]


def classical_is_ahead(found: Findings) -> Advice | None:
    """A classifier that costs next to nothing does better."""
    one = found.material.comparison("classical", found.material.metric)
    if one is None or one["difference"] is None or _gain(one) >= 0:
        return None
    clearly = "" if one["p_holm"] is not None and one["p_holm"] < ALPHA else ", though not clearly"
    return Advice(
        "Consider the classical model instead",
        f"The classical baseline does better than tuned{clearly}: tuned − classical is {difference_of(one).whole}. "
        "It costs next to nothing to run.",
        "Use it as it is; or give the language model a chance to be worth its cost: a larger base ([model] base), more training rows, "
        "or more epochs if it was still learning.",
    )


def few_training_rows(found: Findings) -> Advice | None:
    """Too few rows to learn much from."""
    n = _n_rows(found.material).get("train")
    if n is None or n >= FEW_TRAINING_ROWS:
        return None
    return Advice(
        "Add training rows before anything else",
        f"There are {n:,} training rows, fewer than {FEW_TRAINING_ROWS}: the model learns the form of the answers but not much of their "
        "content, and the result changes with the seed.",
        "Collect several hundred rows, most of all of the labels and questions that go wrong below. Until then, change the seed once or "
        "twice (--set seed=1) and see how much the scores move.",
    )


def learns_nothing(found: Findings) -> Advice | None:
    """The loss did not move."""
    if not learnt_nothing(found.curves):
        return None
    return Advice(
        "It learnt next to nothing: look at the rows and the learning rate",
        "The validation loss hardly fell below that of the untrained model.",
        "Look at some rows as the model sees them (luthier show): are the right columns used, does the label fit the text? If they are "
        "sound, raise [train] learning_rate threefold, or train for more epochs.",
    )


def overfitting(found: Findings) -> Advice | None:
    """Training went on after the model had begun to memorise."""
    one = overfits(found.curves)
    if one is None:
        return None
    return Advice(
        f"Train for less long: it overfits from step {one.step:,} on",
        f"The validation loss rose from {in_nats(one.lowest)} at step {one.step:,} to {in_nats(one.last)} at step {one.last_step:,}, on "
        f"{counted(one.last.n, 'row')}, while the training loss fell. The model of the lowest loss was kept, so this cost time and no "
        "quality.",
        "Lower [train] epochs or set [train] patience. More training rows, dropout in the method or a lower learning rate would let it "
        "learn for longer before it memorises.",
    )


def underfitting(found: Findings) -> Advice | None:
    """Training stopped while it still helped."""
    late = still_learning(found.curves)
    if late is None:
        return None
    return Advice(
        "Train for longer: it was still learning",
        f"The last validation loss is the lowest, and the last quarter of the steps brought {late:.0%} of the whole fall.",
        "Double [train] epochs; the best state is kept in any case.",
    )


def rare_labels(found: Findings) -> Advice | None:
    """Labels that have hardly any training rows."""
    counts = {label: sides.get("train", 0) for label, sides in found.material.label_counts.items()}
    rare = sorted((n, label) for label, n in counts.items() if n < FEW_OF_A_LABEL)
    if not rare:
        return None
    named = ", ".join(f"{label} ({n})" for n, label in rare[:5]) + (f" and {len(rare) - 5} more" if len(rare) > 5 else "")
    return Advice(
        "Add rows of the rare labels",
        f"{counted(len(rare), 'label')} of {len(counts)} have fewer than {FEW_OF_A_LABEL} training rows: {named}.",
        "Collect more rows of them, or merge labels that nobody needs apart.",
    )


def one_pair(found: Findings) -> Advice | None:
    """Most errors are between two labels."""
    pairs: dict[tuple[str, ...], int] = {}
    for one in found.mistakes.confusions:
        pair = tuple(sorted((one.gold, one.said)))
        pairs[pair] = pairs.get(pair, 0) + one.n
    n_wrong = found.mistakes.n_wrong or 0
    # Two labels can only be confused with each other, and a handful of errors is no pattern.
    if len(found.mistakes.labels) < 3 or n_wrong < 5 or not pairs:
        return None
    pair, n = max(pairs.items(), key=lambda item: item[1])
    if 2 * n <= n_wrong:
        return None
    return Advice(
        f"Look at “{pair[0]}” and “{pair[1]}”",
        f"{n:,} of the {n_wrong:,} errors take one of these two labels for the other.",
        "Read some rows of both. If people would not agree either, merge them or write down where the border is and relabel; "
        "else add rows that tell them apart.",
    )


def doubtful_labels(found: Findings) -> Advice | None:
    """Errors whose nearest training row says almost the same and has another label than the test row."""
    beside = [(row, row.neighbours[0]) for row in found.mistakes.worst if row.neighbours]
    doubtful = [(row, near) for row, near in beside if near.likeness >= ALIKE and near.reply != row.gold]
    if found.material.task != "classify" or not doubtful:
        return None
    row, near = doubtful[0]
    return Advice(
        "Check some labels",
        f"{len(doubtful)} of the worst errors below have a training row that says almost the same under another label than the test row's "
        f"(for example {row.source or row.id} and {near.source or near.id}).",
        "One of the two is likely to be wrong: correct it in the source and run again.",
    )


def not_shown_yet(found: Findings) -> Advice | None:
    """A claim that the numbers lean to, and that more test rows might show."""
    leaning = [one for one in found.material.report["reasons"] if not one["holds"] and one["evidence"].startswith(NOT_SHOWN)]
    if not leaning:
        return None
    return Advice(
        "Get more test rows: it may be good enough, but that is not shown yet",
        " ".join(f"{one['claim']}: {one['evidence'].removeprefix(NOT_SHOWN)}." for one in leaning),
        "Add rows to the source; new rows are given sides as before, about as many of them to the test as [data.split] says. "
        "A better model would need fewer.",
    )


def wide_interval(found: Findings) -> Advice | None:
    """The number that decides is known only roughly."""
    material = found.material
    one, metric = material.estimate(TUNED, material.metric), METRICS.get(material.metric)
    if one is None or one["value"] is None or metric is None or not_shown_yet(found) is not None:
        return None
    width = metric.range[1] - metric.range[0]
    half = (one["high"] - one["low"]) / 2
    if not half / width > WIDE:
        return None
    shown = number_of(one)
    return Advice(
        "The scores are rough: add test rows",
        f"{material.metric} lies somewhere from {shown.interval} on {one['n']:,} test rows.",
        f"About {_rounded(4 * one['n']):,} test rows would halve that width. Read differences smaller than it as no difference.",
    )


def few_test_rows(found: Findings) -> Advice | None:
    """Too few rows to judge by, where nothing more telling was said of it."""
    n = len(found.material.scores)
    if not 0 < n < FEW_ROWS or wide_interval(found) is not None or not_shown_yet(found) is not None:
        return None
    return Advice(
        "Add test rows",
        f"There are {n:,} test rows. Below {FEW_ROWS}, intervals hold the truth a little less often than they say.",
        "Add rows to the source, or give [data.split] test a larger share.",
    )


def too_sure(found: Findings) -> Advice | None:
    """Its probabilities promise more than they keep."""
    one = found.confidence
    if one is None or one.gap.low is None or one.gap.low <= 0:
        return None
    return Advice(
        "Do not take its probabilities for chances",
        f"Its answers have a mean probability of {one.sure.as_text}, and {one.right.as_text} of them are right (n = {one.right.n:,}).",
        f"{_smoother(found.material)} or choose the bar of --abstain-below from the figure on confidence, not from what the number seems "
        "to promise.",
    )


def _smoother(material: Material) -> str:
    """What in the recipe makes a classifier less sure of itself, as far as it is not done yet."""
    now = float(material.options.get("head", {}).get("label_smoothing", 0.0))
    if now >= SMOOTHING:
        return f"The recipe has label_smoothing = {now:g} already, and much more costs accuracy. Train for fewer epochs,"
    return f"Set [head] label_smoothing to {SMOOTHING:g}, train for fewer epochs,"


def silent(found: Findings) -> Advice | None:
    """Rows that tuned gave no answer to."""
    one = found.material.estimate(TUNED, found.material.metric)
    if one is None or not one["n_unjudged"]:
        return None
    return Advice(
        "Find out why some rows were not judged",
        f"tuned could not be judged on {one['n_unjudged']:,} of {one['n'] + one['n_unjudged']:,} test rows.",
        "Look them up in evaluation/scores.jsonl.gz; rows that are too long for the model are the usual reason.",
    )


def much_dropped(found: Findings) -> Advice | None:
    """Cleaning took a large part of the rows."""
    read, dropped = int(found.material.cleaning.get("read", 0)), found.material.cleaning.get("dropped", {})
    n = sum(sum(reasons.values()) for reasons in dropped.values())
    if not read or n / read < MUCH_DROPPED:
        return None
    most = max(((count, step, reason) for step, reasons in dropped.items() for reason, count in reasons.items()), key=lambda one: one[0])
    return Advice(
        "Look at what cleaning dropped",
        f"{n:,} of {read:,} rows were dropped, most of them ({most[0]:,}) by {most[1]}: {most[2]}.",
        "Read some of them in data/dropped.jsonl.gz. If good rows are among them, change or remove that step under [prepare] steps.",
    )


def worn_test(found: Findings) -> Advice | None:
    """The test set has been looked at often."""
    looks = int(found.material.report["looks"])
    if looks < MANY_LOOKS:
        return None
    return Advice(
        "Get fresh test rows",
        f"This is look {looks:,} at the same test rows; each look is a chance to be fooled by luck, and claims are held to p < "
        f"{ALPHA / looks:.2g} to make up for it.",
        "Choose between recipes on the validation rows, and keep new rows aside for a last test.",
    )


RULES: tuple[Rule, ...] = (
    leak, broken_proof, classical_is_ahead, few_training_rows, learns_nothing, overfitting, underfitting, rare_labels, one_pair,
    doubtful_labels, not_shown_yet, wide_interval, few_test_rows, too_sure, silent, much_dropped, worn_test,
)  # fmt: skip
"""In the order in which a person should act on them."""


def _nothing_in_the_way(material: Material) -> Advice:
    name = material.report["run"]
    if material.report["verdict"] == "ship":
        use = f"luthier predict {name} FILE -o OUT answers a file of rows."
        return Advice("Use it", "Every claim holds, and no rule found anything to mend.", use)
    return Advice(
        "Try something stronger",
        "Not every claim holds, and no rule found what to mend.",
        "Read the worst rows below; then try a larger base ([model] base), another method, or a bar that fits what you need.",
    )


def _gain(comparison: Mapping[str, Any]) -> float:
    """A difference in the direction that is better."""
    return float(comparison["difference"]) * (direction(comparison["metric"]) or 1)


def _n_rows(material: Material) -> Mapping[str, int]:
    """Rows by side, from whichever file says so."""
    split: Mapping[str, int] = material.cleaning.get("split", {})
    return split or {side: len(rows) for side, rows in material.rows.items()}


def _rounded(n: int) -> int:
    """Up to two digits, as nobody knows more."""
    digits = max(0, len(str(n)) - 2)
    return int(-(-n // 10**digits) * 10**digits)
