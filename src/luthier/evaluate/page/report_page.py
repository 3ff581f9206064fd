"""The report as a page: the verdict in words, what to do next, and one section for each question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from luthier.core.page.figure import Figure
from luthier.core.page.words import counted
from luthier.evaluate.page import figures as drawings
from luthier.evaluate.page.advice import Findings, advise
from luthier.evaluate.page.confidence import Confidence, confidence_of
from luthier.evaluate.page.curves import RULE, Curves, curves_of, in_words
from luthier.evaluate.page.html import rendered
from luthier.evaluate.page.material import TUNED, Material
from luthier.evaluate.page.mistakes import Mistakes, mistakes_of
from luthier.evaluate.page.nearest import searched
from luthier.evaluate.page.words import Number, difference_of, digits_for, direction, metric_about, number_of
from luthier.evaluate.verdict import ALPHA

QUESTIONS = (
    ("verdict", "Verdict"), ("next", "What to do next"), ("better", "Is it better?"), ("learnt", "Did it learn?"),
    ("wrong", "Where is it wrong?"), ("confidence", "Can its confidence be trusted?"), ("rows", "What was in the data?"),
    ("proven", "What was proven?"),
)  # fmt: skip
N_DROPPED = 10
PROOFS_S, PROOFS_FRAC = 60, 0.1
"""How long all proofs together are meant to take: so many seconds, or this share of training, whichever is more."""


def report_page(material: Material) -> tuple[str, tuple[Figure, ...]]:
    """The page, and its figures; a function of the material alone."""
    report = material.report
    curves, mistakes, confidence = curves_of(material.journal), mistakes_of(material), confidence_of(material)
    systems = _systems(material)
    figures = _figures(material, systems, curves, mistakes, confidence)
    context = {
        "material": material,
        "questions": QUESTIONS,
        "headline": _headline(report),
        "summary": _summary(material),
        "facts": [reason for reason in report["reasons"] if _is_about_classical(reason)],
        "looks": _looks(int(report["looks"])),
        "advice": advise(Findings(material, curves, mistakes, confidence)),
        "systems": systems,
        "metrics": list(dict.fromkeys(name for found in systems.values() for name in found)),
        "differences": [(one, difference_of(one, material.is_few(one["a"], one["metric"]))) for one in report["comparisons"]],
        "made": [(name, one.get("about", ""), one.get("shortened", "")) for name, one in material.details.items()],
        "better_words": _better(material),
        "learnt_words": in_words(curves),
        "rule": RULE,
        "curves": curves,
        "mistakes": mistakes,
        "wrong_words": _wrong(material, mistakes),
        "worst_words": _worst(material),
        "confidence": confidence,
        "no_confidence": _no_confidence(material),
        "cleaning": material.cleaning,
        "data_words": _data(material.cleaning),
        "certificate_words": _certificate(material.cleaning.get("certificate", {}), report["proofs"].get("split_certificate")),
        "labels_by_side": dict(sorted(material.label_counts.items())),
        "sides": ("train", "validation", "test"),
        "dropped": list(_dropped(material)),
        "proven_words": _proven(report) + _over_time(material),
        "arithmetic": _arithmetic(material.plan),
        "figures": figures,
    }
    return rendered("report.html.jinja", context), tuple(one for one in figures.values() if one is not None)


def _systems(material: Material) -> dict[str, dict[str, Number]]:
    """System → metric → number; each system has every metric that any has, all with as many digits as the largest asks for."""
    found = material.report["systems"]
    metrics = dict.fromkeys(name for one in found.values() for name in one)
    digits = {name: digits_for(*(one[name]["high"] for one in found.values() if name in one)) for name in metrics}
    return {
        system: {name: number_of(one.get(name), material.is_few(system, name), digits[name]) for name in metrics}
        for system, one in found.items()
    }


def _figures(
    material: Material, systems: Mapping[str, Mapping[str, Number]], curves: Curves, mistakes: Mistakes, confidence: Confidence | None
) -> dict[str, Figure | None]:
    bar = material.report["goal"]["at_least"]
    judged = {name: found[material.metric] for name, found in systems.items() if material.metric in found}
    return {
        "systems": drawings.systems(material.metric, judged, bar=bar),
        "learning": drawings.learning(curves) if curves.train else None,
        "wrong": drawings.confusions(mistakes) or drawings.row_scores(material.metric, mistakes),
        "reliability": drawings.reliability(confidence) if confidence is not None else None,
        "data": drawings.data(material.cleaning["split"], material.cleaning["dropped"]) if material.cleaning else None,
    }


def _headline(report: Mapping[str, Any]) -> str:
    """The verdict; that a cheap rival is ahead stands in it, for whoever reads one line only."""
    said = "Ship: every claim holds" if report["verdict"] == "ship" else "Hold: not every claim holds"
    ahead = next((reason["claim"] for reason in report["reasons"] if _is_about_classical(reason)), None)
    return said if ahead is None else f"{said}{', but' if report['verdict'] == 'ship' else ', and'} {ahead}"


def _is_about_classical(reason: Mapping[str, Any]) -> bool:
    """Whether a reason is no claim of the goal's but the warning that `verdict.judge` puts first."""
    return bool(reason["claim"].startswith("the classical baseline"))


def _summary(material: Material) -> str:
    """The number that decides, in a sentence; and the classical baseline where it is ahead, which comes first."""
    number = number_of(material.estimate(TUNED, material.metric), material.is_few(TUNED, material.metric))
    about = metric_about(material.metric)
    words = f"On the test rows tuned reaches {material.metric}{f' ({about})' if about else ''} {number.whole}."
    if any(_is_about_classical(reason) for reason in material.report["reasons"]):
        other = number_of(material.estimate("classical", material.metric), material.is_few("classical", material.metric))
        return f"{words} The classical baseline reaches {other.whole}, and costs next to nothing to run."
    return words


def _looks(looks: int) -> str:
    if looks == 1:
        return "This is the first look at these test rows."
    return (
        f"This is look {looks:,} at these test rows: the claims are held to p < {ALPHA / looks:.3g} and "
        f"{100 * (1 - ALPHA / looks):.3g} % intervals, so that luck is not mistaken for progress."
    )


def _better(material: Material) -> str:
    """Tuned against each system in words, by the same bar as the verdict's: a further look asks for a smaller p."""
    said = []
    alpha = ALPHA / int(material.report["looks"])
    for one in material.report["comparisons"]:
        if one["metric"] != material.metric or one["difference"] is None:
            continue
        difference = difference_of(one)
        if one["p_holm"] is None or one["p_holm"] >= alpha:
            said.append(f"no difference from {one['b']} is shown ({difference.whole})")
            continue
        word = "better" if one["difference"] * direction(material.metric) > 0 else "worse"
        said.append(f"tuned is {word} than {one['b']} by {difference.whole}")
    if not said:
        return f"There is nothing to compare tuned with by {material.metric}."
    return f"By {material.metric}: {'; '.join(said)}."


def _wrong(material: Material, mistakes: Mistakes) -> str:
    if not mistakes.n:
        return "The scores of the single rows are not there."
    if mistakes.n_wrong is not None:
        if not mistakes.n_wrong:
            return f"None of {mistakes.n:,} test rows got a wrong label."
        kinds = counted(mistakes.n_confusions, "kind")
        return f"{mistakes.n_wrong:,} of {mistakes.n:,} test rows got a wrong label, in {kinds} of confusion."
    return f"There are no labels to confuse. Each of {mistakes.n:,} test rows has a {material.metric} of its own, shown below."


def _worst(material: Material) -> str:
    first = "Those that it was surest of come first." if material.task == "classify" else "The worst scores come first."
    training = material.rows.get("train", ())
    n = len(searched(training))
    some = f" ({n:,} of {len(training):,} were searched)" if n < len(training) else ""
    return f"{first} Below each: the training rows that are most like it (cosine of TF-IDF), from which it may have learnt the error{some}."


def _no_confidence(material: Material) -> str:
    if material.task == "classify":
        return "The answers have no recorded probabilities."
    return f"Not applicable: the task {material.task} has open answers, which carry no probability of being right."


def _data(cleaning: Mapping[str, Any]) -> str:
    if not cleaning:
        return ""
    dropped = sum(sum(reasons.values()) for reasons in cleaning["dropped"].values())
    split = ", ".join(f"{n:,} {side}" for side, n in cleaning["split"].items())
    return f"{cleaning['read']:,} rows were read, {cleaning['kept']:,} kept and {dropped:,} dropped, each with a reason. Split: {split}."


def _certificate(certificate: Mapping[str, Any], proof: Mapping[str, Any] | None) -> str:
    """What the split shares; where rows were joined again since and that proof fails, what it found and not what was recorded."""
    if not certificate:
        return "There is none."
    groups, alike = certificate["groups_shared"], certificate["near_duplicates_shared"]
    column = certificate["group_column"]
    by_group = f"{counted(groups, 'value')} of {column}" if column else "No column groups the rows"
    joined = "stand on two sides" if column else "on two sides"
    first = f"{by_group} {joined}" if column else f"{by_group}; {counted(alike, 'nearly equal row')} {joined}"
    second = f", and so do {counted(alike, 'nearly equal row')}" if column else ""
    if not groups and not alike and proof is not None and not proof["holds"]:
        return f"Violated, though it held when the rows were split: {proof['detail']}."
    word = "Violated." if groups or alike else "It holds."
    return f"{word} {first}{second} (Jaccard of character 5-grams from {certificate['threshold']:g}), counted from the files as written."


def _dropped(material: Material) -> Iterator[tuple[str, str, str, str]]:
    """Some of the dropped rows, of each step and reason in turn."""
    seen: dict[tuple[str, str], int] = {}
    for row in material.dropped:
        key = (str(row.get("step")), str(row.get("reason")))
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= 3 and sum(min(n, 3) for n in seen.values()) <= N_DROPPED:
            text = row.get("text") or row.get("prompt") or ""
            yield str(row.get("source") or row.get("id")), *key, str(text)


def _proven(report: Mapping[str, Any]) -> str:
    n, n_held = len(report["proofs"]), sum(proof["holds"] for proof in report["proofs"].values())
    n_beside = len(report["not_applicable"])
    rest = f"; {counted(n_beside, 'does', 'do')} not apply, with reasons" if n_beside else ""
    if not n:
        return f"Nothing was proven{rest}."
    return f"{n_held} of {counted(n, 'proof')} {'holds' if n == 1 else 'hold'}{rest}."


def _over_time(material: Material) -> str:
    """That the proofs took longer than they are meant to, where they did; '' else, and where nobody took the time."""
    took = material.report["seconds"].get("prove", 0.0)
    trained = sum(float(entry["seconds"]) for entry in material.journal if entry["event"] in ("step", "validation"))
    most = max(PROOFS_S, PROOFS_FRAC * trained)
    if took <= most:
        return ""
    return (
        f" They took {took:,.0f} s, which is longer than they are meant to: {PROOFS_S} s, or {PROOFS_FRAC:.0%} of the "
        f"{trained:,.0f} s of training, whichever is more. What they found is no less true."
    )


def _arithmetic(plan: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What shaped the arithmetic of training, in a few lines."""
    found = []
    if "cuts" in plan:
        found.append(("layout", f"{plan['cuts']['layout']}, at most {plan['cuts']['max_nodes']:,} tokens at once"))
    if "precision" in plan:
        found.append(("number type", f"{plan['precision']['name']}: {plan['precision']['why']}"))
    if "surroundings" in plan:
        found.append(("computed on", ", ".join(f"{name} {value}" for name, value in plan["surroundings"].items())))
    return found
