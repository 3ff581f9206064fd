"""What is wanted of a tuned model, written before it is made, and whether it was reached."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias

from luthier.core.jsonvalue import Json
from luthier.core.options import option, required
from luthier.core.plain_words import nearest
from luthier.core.proofs import Proof
from luthier.evaluate.estimates import CONFIDENCE, Comparison, Estimate
from luthier.evaluate.metrics import METRICS, OF_LIKELIHOOD, TASK_METRICS, TUNED, Task, goal_metrics

Verdict: TypeAlias = Literal["ship", "hold"]
ALPHA = 0.05
POWER = 0.8
MOST_ROWS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The recipe's [goal] section: what is wanted, how it is measured, and what would be good enough."""

    task: Task = required(
        about='what the model is for: "classify", "answer", "chat" or "pretrain"; "prefer", "regress" and "tag" can be prepared, not tuned'
    )
    about: str = option("", about="the goal in a sentence, for people")
    metric: str | None = option(None, about="the number that decides", why="the task's own: macro_f1, exact_match, chrf or loss_nats")
    at_least: float | None = option(None, about="the bar that the low end of the interval has to reach", why="only you know what is enough")
    beat: tuple[str, ...] = option((), about="systems that tuned has to beat, paired", why="without at_least too, it is the base")

    @property
    def judged_by(self) -> str:
        """The metric that decides: the one given, or else the task's first."""
        return self.metric or next(iter(TASK_METRICS[self.task]), "")

    @property
    def to_beat(self) -> tuple[str, ...]:
        """The systems to beat, each once: those given; the base where the goal asks for nothing at all."""
        return tuple(dict.fromkeys(self.beat)) or (("base",) if self.at_least is None else ())

    @property
    def defaulted(self) -> tuple[str, ...]:
        """Which of its parts the goal left to us."""
        return (*(["metric"] if self.metric is None else []), *(["beat"] if not self.beat and self.at_least is None else []))

    def as_dict(self) -> dict[str, Json]:
        """The report's `goal`, with the defaults filled in and named."""
        return {
            "task": self.task,
            "about": self.about,
            "metric": self.judged_by,
            "at_least": self.at_least,
            "beat": list(self.to_beat),
            "defaulted": list(self.defaulted),
        }

    def complaints(self, given: frozenset[str]) -> Iterable[tuple[str, str, str]]:
        """Metrics that the task lacks, bars that cannot be reached, systems that will not be there."""
        if self.task not in TUNED:
            given_anyway = {"metric": self.metric, "at_least": self.at_least, "beat": self.beat or None}
            for name in (name for name, value in given_anyway.items() if value is not None):
                yield name, f"has no effect: rows of the task {self.task} can be prepared, and not be tuned on yet", "remove it"
            return
        known = goal_metrics(self.task)
        choices = " or ".join(f'"{name}"' for name in known)
        if self.judged_by not in known:
            close = nearest(self.judged_by, known)
            what = f"is not a metric of the task {self.task}" if self.judged_by in METRICS else "is not a metric"
            if self.judged_by in TASK_METRICS[self.task]:
                what = "only describes: neither more nor less of it is better"
            yield "metric", f'is "{self.judged_by}", which {what}', f'did you mean "{close}"?' if close else f"choose {choices}"
            return
        metric = METRICS[self.judged_by]
        least, most = metric.range
        if self.at_least is not None and not metric.higher_is_better:
            yield "at_least", f"has no meaning for {metric.name}, where lower is better", 'remove it and use beat, such as beat = ["base"]'
        elif self.at_least is not None and not least < self.at_least <= most:
            fix = f"write {self.at_least / 100:g}" if most == 1 and 1 < self.at_least <= 100 else "give a number in that range"
            yield "at_least", f"is {self.at_least:g}, and {metric.name} runs from {least:g} to {most:g}", fix
        rivals = rivals_of(self.task, self.judged_by)
        for name in self.beat:
            if name not in rivals:
                yield "beat", f'names "{name}", which is not compared by {metric.name} here', "choose from " + ", ".join(rivals)


def rivals_of(task: Task, metric: str) -> tuple[str, ...]:
    """The systems that tuned is compared with by that metric; only models have a likelihood, and plain text has no examples."""
    if task == "pretrain":
        return ("base",)
    return ("base", "few_shot") if metric in OF_LIKELIHOOD else ("base", "few_shot", "majority", "classical")


@dataclass(frozen=True)
class Reason:
    """A claim of the verdict: what it says, whether it holds, and what that rests on."""

    claim: str
    holds: bool
    evidence: str

    def as_dict(self) -> dict[str, Json]:
        """The three fields of the report contract."""
        return {"claim": self.claim, "holds": self.holds, "evidence": self.evidence}


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on.

    `tuned` is the goal's metric at the confidence that `looks` asks for, and `comparisons` are tuned against each system,
    both with rows that tuned kept silent on counted against it. `n_silent` says how many those were and `silent_fail`
    whether the metric could count them so. `proofs` are the run's proofs that apply, by name.
    """

    tuned: Estimate
    comparisons: tuple[Comparison, ...]
    proofs: Mapping[str, Proof]
    looks: int = 1
    n_silent: int = 0
    silent_fail: bool = True


def judge(goal: Goal, evidence: Evidence) -> tuple[Verdict, tuple[Reason, ...]]:
    """Ship if every claim holds, else hold; with the reasons, the most important first.

    The k-th look at a test set is held to 0.05 / k: tests to that p value, intervals to that confidence. Whoever takes
    the best of k tries is thereby no likelier to be fooled than by one (Bonferroni).
    """
    reasons = [
        *_classical_ahead(evidence.comparisons),
        *([_reaches(goal.judged_by, goal.at_least, evidence)] if goal.at_least is not None else []),
        *(_beats(name, evidence) for name in goal.to_beat),
        *_silent(goal, evidence),
        *(Reason(f"proof: {name.replace('_', ' ')}", False, one.detail) for name, one in evidence.proofs.items() if not one.holds),
    ]
    return ("ship" if all(reason.holds for reason in reasons) else "hold"), tuple(reasons)


def _classical_ahead(comparisons: Sequence[Comparison]) -> list[Reason]:
    """Said first, as a fact and not as a bar: a cheap classifier that does better makes tuning pointless."""
    found = next((one for one in comparisons if one.b == "classical" and one.gain is not None and one.gain < 0), None)
    if found is None:
        return []
    clearly = found.p_holm is not None and found.p_holm < ALPHA
    claim = "the classical baseline beats tuned" if clearly else "the classical baseline is ahead of tuned, though not clearly"
    return [Reason(claim, True, f"{_in_words(found)}; it costs next to nothing to run")]


def _silent(goal: Goal, evidence: Evidence) -> list[Reason]:
    if not evidence.n_silent:
        return []
    claim = "tuned answered every test row"
    if evidence.silent_fail:
        text = f"tuned was not judged on {evidence.n_silent:,} rows; the claims count them as its worst answers"
        return [Reason("silence gains nothing", True, text)]
    return [Reason(claim, False, f"{evidence.n_silent:,} rows have no {goal.judged_by}, and there is no worst value to put in their place")]


def _reaches(metric: str, bar: float, evidence: Evidence) -> Reason:
    claim = f"{metric} is at least {bar:g}"
    tuned = evidence.tuned
    if tuned.value is None or tuned.low is None or tuned.high is None:
        return Reason(claim, False, "no test row could be judged")
    confidence = 1 - ALPHA / evidence.looks
    interval = f"{_percent(confidence)} interval {tuned.low:.3f} to {tuned.high:.3f}"
    text = f"{metric} {tuned.value:.3f}, {interval} on {_rows(tuned.n, tuned.n_groups)}{_looks(evidence.looks)}"
    if tuned.low >= bar:
        return Reason(claim, True, text + _few(tuned.few))
    if tuned.value <= bar:
        return Reason(claim, False, f"{text}: the value itself does not exceed it")
    needed = rows_to_show(tuned.n, tuned.value - bar, tuned.value - tuned.low, 1 - confidence)
    return Reason(claim, False, f"not shown yet: {text}; {_needed(needed)}, were the value to stay")


def _beats(name: str, evidence: Evidence) -> Reason:
    claim = f"tuned beats {name}"
    found = next((one for one in evidence.comparisons if one.b == name), None)
    if found is None or found.gain is None or found.p_holm is None or found.low is None or found.high is None:
        return Reason(claim, False, f"tuned and {name} have no judged row in common")
    alpha = ALPHA / evidence.looks
    text = _in_words(found) + _looks(evidence.looks)
    if found.gain > 0 and found.p_holm < alpha:
        return Reason(claim, True, text + _few(found.few))
    if found.gain <= 0:
        return Reason(claim, False, f"{text}: tuned is not better")
    half = found.gain - found.low if found.higher_is_better else found.gain + found.high
    needed = rows_to_show(found.n, found.gain, half, alpha, len(evidence.comparisons))
    return Reason(claim, False, f"not shown yet: {text}; {_needed(needed)}, were the difference to stay")


def rows_to_show(n: int, gap: float, half_width: float, alpha: float, n_tests: int = 1) -> int:
    """About how many rows would show a gap, four times in five, given an interval's half-width on `n` rows.

    The half-width shrinks with the square root of the rows; `alpha` is the error that the interval and the test allow,
    shared among `n_tests`. Never fewer than there are, for they did not show it.
    """
    normal = NormalDist()
    seen = normal.inv_cdf(1 - alpha / 2)
    wanted = normal.inv_cdf(1 - alpha / 2 / n_tests) + normal.inv_cdf(POWER)
    needed = n * (half_width / gap * wanted / seen) ** 2
    return max(n + 1, math.ceil(min(needed, 10.0 * MOST_ROWS)))


def _in_words(found: Comparison) -> str:
    assert found.difference is not None and found.low is not None, "there are judged rows"
    assert found.high is not None and found.p_holm is not None, "there are judged rows"
    p = f"p = {found.p_holm:.2g}" if found.p_holm >= 1e-4 else "p < 0.0001"
    return (
        f"{found.a} − {found.b} = {found.difference:+.3f} {found.metric}, interval {found.low:+.3f} to {found.high:+.3f},"
        f" {p} after Holm's correction, on {_rows(found.n, found.n_groups)}"
    )


def _rows(n: int, n_groups: int | None) -> str:
    return f"{n:,} rows" if n_groups is None else f"{n:,} rows in {n_groups:,} groups"


def _looks(looks: int) -> str:
    bars = f"held to p < {ALPHA / looks:.3g} and {_percent(1 - ALPHA / looks)} intervals"
    return "" if looks == 1 else f" (look {looks} at this test set: {bars})"


def _few(few: bool) -> str:
    return "; few rows, so lean on it lightly" if few else ""


def _needed(n: int) -> str:
    if n > MOST_ROWS:
        return f"even {MOST_ROWS:,} rows would hardly show it"
    digits = max(0, len(str(n)) - 2)
    return f"about {-(-n // 10**digits) * 10**digits:,} rows would show it four times in five"


def _percent(confidence: float) -> str:
    return f"{100 * confidence:.3g} %" if confidence != CONFIDENCE else "95 %"
