"""The model card of a bundle: README.md, with the hub's fields in front, from what the run's files say and nothing else.

The fields are those of the hub's model cards (Mitchell et al. 2019, arXiv 1810.03993, for what a card should tell).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from luthier.evaluate.metrics import METRICS
from luthier.models.load import locate
from luthier.serve.bundle import Card
from luthier.serve.papers.licences import Licence, Outcome, base_licence, derive, licence_of
from luthier.serve.papers.running import how_to_run

_PIPELINES = {"classify": "text-classification"}
_METHODS = {"full": "full tuning", "lora": "LoRA"}
_HUB_METRICS = {"macro_f1": "f1", "rouge_l": "rouge"}
_TASKS = {
    "classify": "Tells texts apart: it answers with one of its labels and a score for each.",
    "answer": "Answers a prompt with a short text.",
    "chat": "Takes the assistant's turns of a conversation.",
    "pretrain": "Goes on with a text.",
}
_N_LABELS = 30


@dataclass(frozen=True)
class Made:
    """What the run's files say of how a bundle came about.

    `sources` are the names of the data files, `licence` what the recipe says of them; `prepared` is `cleaning.json`, `tuned`
    what the tune stage recorded, `precision` the number type of its plan and why, `few` whether the test rows are too few to
    lean on.
    """

    sources: tuple[str, ...]
    licence: str
    prepared: Mapping[str, Any]
    tuned: Mapping[str, Any]
    precision: str
    few: bool


def card_text(card: Card, report: Mapping[str, Any], made: Made, wheel: str) -> str:
    """README.md: front matter for the hub, then what it is for, its numbers, its making, its licences, limits, proofs, and use."""
    base, languages = base_licence(card.base)
    data = licence_of(made.licence, "as the recipe's [data] licence says" if made.licence != "unknown" else "the recipe does not say")
    outcome = derive(base, data)
    parts = [
        front_matter(card, report, outcome, languages),
        f"# {card.name}\n\n{_plain(card.about) or _TASKS[card.task]}\n\n{_verdict(report)}",
        _section("What it is for", _purpose(card)),
        _section("How good it is", _numbers(report)),
        _section("How it was made", _making(card, made)),
        _section("Data", _data(made)),
        _section("Licences", _licences(base, data, outcome)),
        _section("Limits", _limits(card, report, made)),
        _section("Proofs", _proofs(report)),
        _section("How to run it", how_to_run(card, wheel, _local(card.base))),
    ]
    return "\n\n".join(parts) + "\n"


def front_matter(card: Card, report: Mapping[str, Any], outcome: Outcome, languages: Sequence[str]) -> str:
    """The YAML that the hub reads, between lines of dashes; a field of which nothing is known is left out."""
    data = ModelCardData(
        license=outcome.id, license_name=outcome.name, license_link="README.md#licences" if outcome.name else None,
        language=list(languages) or None,
        base_model=_base_name(card.base),
        base_model_relation="finetune" if card.method == "full" else "adapter",
        library_name="luthier",
        pipeline_tag=_PIPELINES.get(card.task, "text-generation"),
        tags=["luthier", card.task, card.method],
        model_name=card.name,
        eval_results=[_result(card, name, one) for name, one in report["systems"]["tuned"].items() if one["value"] is not None] or None,
    )  # fmt: skip
    return f"---\n{data.to_yaml()}\n---"


def _result(card: Card, metric: str, one: Mapping[str, Any]) -> EvalResult:
    task = _PIPELINES.get(card.task, "text-generation")
    return EvalResult(
        task_type=task, dataset_type="held-out-rows", dataset_name=f"test rows of {card.name}", dataset_split="test",
        metric_type=_HUB_METRICS.get(metric, metric), metric_value=round(float(one["value"]), 6),
        metric_name=f"{metric} (95 % interval {_figure(one['low'])} to {_figure(one['high'])}, n = {one['n']})",
    )  # fmt: skip


def _base_name(base: str) -> str:
    """A base as the hub may name it; of a folder only the name, since its path is nobody else's."""
    return Path(base).name if _local(base) else base


def _local(base: str) -> str | None:
    """The folder of a base that is neither embedded nor on the hub."""
    return None if base == "sprout" or locate(base) is None else base


def _verdict(report: Mapping[str, Any]) -> str:
    said = "every claim holds" if report["verdict"] == "ship" else "not every claim holds, so it should not be put to use as it is"
    lines = [f"**Verdict: {report['verdict']}** ({said}).", ""]
    for one in report["reasons"]:
        word = "note" if _is_note(one) else "holds" if one["holds"] else "does not hold"
        lines.append(f"- {word}: {_plain(one['claim'])} ({_plain(one['evidence'])})")
    return "\n".join(lines).rstrip()


def _is_note(reason: Mapping[str, Any]) -> bool:
    """Whether a reason is no claim of the goal's but the warning that a cheap rival is ahead."""
    return str(reason["claim"]).startswith("the classical baseline")


def _purpose(card: Card) -> list[str]:
    lines = [_TASKS[card.task]]
    if card.labels:
        shown = ", ".join(f"`{_plain(label)}`" for label in card.labels[:_N_LABELS])
        more = f", and {len(card.labels) - _N_LABELS:,} more (`bundle.json`)" if len(card.labels) > _N_LABELS else ""
        lines += ["", f"Its {len(card.labels):,} labels: {shown}{more}."]
    return lines


def _numbers(report: Mapping[str, Any]) -> list[str]:
    metrics = list(dict.fromkeys(name for found in report["systems"].values() for name in found))
    lines = ["On test rows that nothing had seen; each number with its 95 % interval and the rows that it rests on.", ""]
    lines += ["| system | metric | value | 95 % interval | n |", "|---|---|---|---|---|"]
    for system, found in report["systems"].items():
        for metric in metrics:
            one = found.get(metric)
            if one is not None and one["value"] is not None:
                better = {True: "", False: " (lower is better)", None: ""}[METRICS[metric].higher_is_better]
                numbers = f"{_figure(one['value'])} | {_figure(one['low'])} to {_figure(one['high'])} | {_n(one)}"
                lines.append(f"| {_plain(system)} | {metric}{better} | {numbers} |")
    compared = [one for one in report["comparisons"] if one["difference"] is not None]
    if compared:
        lines += ["", "| paired difference | metric | value | 95 % interval | p (Holm) | n |", "|---|---|---|---|---|---|"]
        for one in compared:
            interval = f"{_figure(one['low'])} to {_figure(one['high'])}"
            names = f"{_plain(one['a'])} − {_plain(one['b'])}"
            lines.append(f"| {names} | {one['metric']} | {_figure(one['difference'])} | {interval} | {one['p_holm']:.2g} | {one['n']:,} |")
    return lines


def _n(one: Mapping[str, Any]) -> str:
    return f"{one['n']:,}" + (f" ({one['n_unjudged']:,} not judged)" if one["n_unjudged"] else "")


def _making(card: Card, made: Made) -> list[str]:
    fit, rows = made.tuned["fit"], made.tuned["train"]
    stopped = ", stopped early" if fit["stopped_early"] else ""
    where = "embedded in Luthier" if card.base == "sprout" else "from the hub"
    where = "a folder of the machine that it was tuned on" if _local(card.base) else where
    rate = f", learning rate {made.tuned['learning_rate']:g}" if made.tuned["learning_rate"] else ""
    lines = [
        f"`{_base_name(card.base)}` ({where}, {made.tuned['n_parameters']:,} parameters), tuned by {_METHODS[card.method]}: "
        f"{fit['last_step']:,} steps of {fit['n_steps']:,}{stopped}{rate}. Its number type: {made.precision}.",
        f"It learnt from {rows['n_rows']:,} rows of {rows['n_tokens']:,} tokens in all; rows were at most {card.max_tokens:,} tokens long.",
    ]
    if rows["n_too_long"]:
        lines.append(f"{rows['n_too_long']:,} rows were too long: {rows['n_cut']:,} were cut, {rows['n_dropped']:,} left out.")
    return [*lines, "Everything that shaped it stands in `recipe.toml`; the same recipe, rows and seed make it again."]


def _data(made: Made) -> list[str]:
    found, certificate = made.prepared, made.prepared["certificate"]
    names = ", ".join(f"`{_plain(name)}`" for name in made.sources)
    lines = [f"From {names}: {found['read']:,} rows read, {found['kept']:,} kept.", ""]
    lines += [f"- {side}: {n:,} rows" for side, n in found["split"].items()]
    lines += [f"- dropped by {step}: {n:,} ({_plain(why)})" for step, reasons in found["dropped"].items() for why, n in reasons.items()]
    lines += [f"- changed by {step}: {n:,}" for step, n in found["changed"].items() if n]
    grouped = f"{certificate['groups_shared']:,} groups (`{certificate['group_column']}`) and " if certificate["group_column"] else ""
    lines += ["", f"On two sides of the split stand {grouped}{certificate['near_duplicates_shared']:,} near-duplicates."]
    return lines


def _licences(base: Licence, data: Licence, outcome: Outcome) -> list[str]:
    own = outcome.id if outcome.name is None else f"{outcome.id} ({outcome.name})"
    lines = ["| part | licence |", "|---|---|", f"| base | {_plain(base.in_words())} |", f"| data | {_plain(data.in_words())} |"]
    lines += [f"| this bundle | {_plain(own)}: no more than both allow |", ""]
    lines += [f"- **Conflict:** {_plain(one)}." for one in outcome.conflicts]
    lines += [f"- Condition: {_plain(one)}." for one in outcome.conditions]
    careful = "The careful view is taken, that a model is made from its rows; it is not settled everywhere. This is no legal advice."
    return [*lines, "", careful]


def _limits(card: Card, report: Mapping[str, Any], made: Made) -> list[str]:
    tuned = report["systems"]["tuned"][report["goal"]["metric"]]
    found = ["The verdict is hold: see the reasons above."] if report["verdict"] != "ship" else []
    ahead = [one for one in report["reasons"] if _is_note(one)]
    found += [f"T{one['claim'][1:]}: {one['evidence']}." for one in ahead]
    if made.few:
        found.append(f"Few rows: it was judged on {tuned['n']:,}. Intervals are wide and hold the truth a little less often than they say.")
    if report["looks"] > 1:
        found.append(f"This was look {report['looks']} at these test rows; the claims are held to a stricter bar for it.")
    if tuned["n_unjudged"]:
        found.append(f"{tuned['n_unjudged']:,} test rows could not be judged.")
    found += [str(one) for one in made.prepared["warnings"]]
    found.append(f"It reads {card.max_tokens:,} tokens; longer texts are cut.")
    found.append("Nothing was measured but the numbers above: not safety, not bias, not other kinds of text than its test rows.")
    return [f"- {_plain(one)}" for one in found]


def _proofs(report: Mapping[str, Any]) -> list[str]:
    lines = ["What the run showed of itself, on its own model and rows (`proofs.json`):", ""]
    for name, one in report["proofs"].items():
        lines.append(f"- {'holds' if one['holds'] else '**fails**'}: {_words(name)} ({_plain(one['detail'])})")
    return [*lines, *(f"- does not apply: {_words(name)} ({_plain(why)})" for name, why in report["not_applicable"].items())]


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *lines]).rstrip()


def _words(name: str) -> str:
    return name.replace("_", " ")


def _figure(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _plain(text: str) -> str:
    """Text of the user's that neither ends a table's cell nor becomes markup."""
    return " ".join(str(text).split()).replace("<", "&lt;").replace("|", "\\|").replace("`", "'")
