"""What is wrong with the rows and what to do about it, by stated rules: each looks at one thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from luthier.core.page.words import counted
from luthier.data.cleaning.language import NO_LANGUAGE, UNKNOWN
from luthier.data.personal import PERSONAL_KINDS, SECRET_KINDS
from luthier.data.profile.measured import Profile
from luthier.data.profile.tokens import Density, TokenFit

FEW_OF_A_LABEL = 10
"""Training rows of a label below which it is hardly learnt."""
MUCH_DROPPED = 0.3
POOR_FIT = 0.6
"""The share of English prose's bytes a token below which rows are dear to read."""
_SEEN = 0.02
"""The share of rows below which a language's fit is not worth a word."""
_MINORITY = 0.2
_NAMED = 5
_OF_ALL_ROWS = frozenset({"copies", "much_dropped", "rare_labels"})
"""The troubles that are counted of all rows; the others are counted of those that were looked at."""
STEP_FOR: Mapping[str, str] = {
    "mojibake": "repair_encoding", "control": "whitespace", "invisible": "whitespace", "mixed_scripts": "look_alikes"
}  # fmt: skip
"""The cleaning step that mends a trouble of characters, where there is one."""


@dataclass(frozen=True)
class Trouble:
    """Something about the rows: what it is, how that is known, what to do, and in how many of the rows that were looked at."""

    kind: str
    title: str
    because: str
    do: str
    n_rows: int


Rule = Callable[[Profile], "Trouble | None"]


def troubles_of(found: Profile) -> tuple[Trouble, ...]:
    """Everything that is worth doing something about, the most pressing first."""
    troubles = tuple(trouble for rule in RULES if (trouble := rule(found)) is not None)
    if not found.gathered.is_sampled:
        return troubles
    beside = f" Counted among {found.n_looked_at:,} of {found.gathered.n_rows:,} rows, which were drawn by seed."
    return tuple(one if one.kind in _OF_ALL_ROWS else replace(one, because=one.because + beside) for one in troubles)


def over_context(found: Profile) -> Trouble | None:
    """Rows have more tokens than the model reads."""
    fit = found.tokens
    if fit is None or not fit.n_over:
        return None
    return Trouble(
        "over_context",
        f"{counted(fit.n_over, 'row is', 'rows are')} longer than the model reads",
        f"{_share(fit.n_over, found)} of the rows have more than {fit.context:,} tokens, the template’s marks not counted.",
        'Say what is to become of them: [train] too_long = "cut" or "drop"; or choose a [model] base that reads more.',
        fit.n_over,
    )


def lost_characters(found: Profile) -> Trouble | None:
    """The tokenizer cannot write some characters."""
    fit = found.tokens
    if fit is None or not (fit.n_lost or fit.n_unknown):
        return None
    unknown = f", and {counted(fit.n_unknown, 'row')} with unknown tokens" if fit.n_unknown else ""
    return Trouble(
        "lost_characters",
        "The tokenizer cannot write some of the characters",
        f"{counted(fit.n_lost, 'row has', 'rows have')} characters that it loses ({_first(fit.lost)}){unknown}: "
        "the model can neither read nor say them.",
        "Choose a [model] base whose tokenizer falls back on bytes, or replace these characters in the source.",
        max(fit.n_lost, fit.n_unknown),
    )


def poor_fit(found: Profile) -> Trouble | None:
    """Rows take far more tokens for their bytes than English prose does, all of them or those of one language."""
    fit = found.tokens
    if fit is None or fit.reference is None:
        return None
    ratios = {name: (one.bytes_per_token or fit.reference) / fit.reference for name, one in _parts(fit).items()}
    poor = {name: ratio for name, ratio in ratios.items() if ratio < POOR_FIT}
    if not poor:
        return None
    worst = min(poor, key=lambda name: poor[name])
    of = "The rows" if worst == "" else f"Rows in {worst}"
    value = _parts(fit)[worst].bytes_per_token or 0.0
    return Trouble(
        "poor_fit",
        f"{of} take {1 / poor[worst]:.1f} times as many tokens as plain English of the same size",
        f"A token holds {value:.2f} bytes of them, and {fit.reference:.2f} of plain English prose. They cost more time and memory, "
        "fill the context sooner, and are probably not what the model was trained on.",
        "Try a [model] base that was made for such text, and compare the two: luthier compare.",
        _parts(fit)[worst].n_rows,
    )


def _parts(fit: TokenFit) -> dict[str, Density]:
    """All rows (''), and those of each language that many have."""
    told = {name: one for name, one in fit.by_language.items() if name not in (UNKNOWN, NO_LANGUAGE)}
    many = {name: one for name, one in told.items() if one.n_rows >= _SEEN * fit.density.n_rows}
    return {"": fit.density, **(many if len(fit.by_language) > 1 else {})}


def private_data(found: Profile) -> Trouble | None:
    """Rows hold personal data or secrets."""
    sure = [one for one in found.private.kinds if one.n_sure]
    if not sure:
        return None
    named = ", ".join(f"{one.kind.replace('_', ' ')} in {counted(one.n_sure, 'row')}" for one in sure[:_NAMED])
    wanted = {"secrets": SECRET_KINDS, "personal_data": PERSONAL_KINDS}
    missing = [step for step, kinds in wanted.items() if step not in found.steps and any(one.kind in kinds for one in sure)]
    do = f"Add {_steps(missing)} to [prepare] steps, which mask it, or replace it or drop such rows if you say so."
    do = do if missing else f"Look at {', '.join(sure[0].places)}: the step that should have found it was told to leave such things."
    return Trouble(
        "private_data",
        f"{counted(found.private.n_rows, 'row holds', 'rows hold')} personal data or secrets",
        f"Found: {named}. A model can repeat what it was trained on.",
        do,
        found.private.n_rows,
    )


def wrong_characters(found: Profile) -> Trouble | None:
    """Texts look wrongly decoded, or hold what nobody can see."""
    if not found.characters:
        return None
    most = max(found.characters, key=lambda one: one.n_rows)
    named = "; ".join(f"{counted(one.n_rows, 'row')} with {one.about}" for one in found.characters)
    steps = dict.fromkeys(STEP_FOR[one.kind] for one in found.characters if one.kind in STEP_FOR)
    missing = [step for step in steps if step not in found.steps]
    where = ", ".join(dict.fromkeys(where for where, _ in most.examples))
    do = f"Add {_steps(missing)} to [prepare] steps. " if missing else ""
    lost = any(one.kind in ("replacement", "mojibake") for one in found.characters)
    do += f"Look at {where}" + (" and, if the source file is at fault, name its encoding: [data] encoding." if lost else ".")
    return Trouble("wrong_characters", "Some texts are damaged or hold characters that nobody sees", f"There are {named}.", do, most.n_rows)


def copies(found: Profile) -> Trouble | None:
    """Rows that are exact copies of others are still there."""
    n = found.gathered.n_copies
    if not n:
        return None
    there = "exact_duplicates" in found.steps
    do = "If they are no accident, leave them; else remove them from the source."
    do = do if there else f"Add {_steps(['exact_duplicates'])} to [prepare] steps."
    return Trouble("copies", f"{counted(n, 'row is a copy', 'rows are copies')} of another row", "Copies count twice in training.", do, n)


def much_dropped(found: Profile) -> Trouble | None:
    """One step drops a large part of the rows."""
    totals = {step: sum(reasons.values()) for step, reasons in found.gathered.dropped.items()}
    read = found.gathered.n_read
    step = max(totals, key=lambda name: totals[name], default="")
    if not step or totals[step] < MUCH_DROPPED * read:
        return None
    reason = max(found.gathered.dropped[step], key=lambda one: found.gathered.dropped[step][one])
    return Trouble(
        "much_dropped",
        f"{step} drops {totals[step] / read:.0%} of the rows",
        f"{totals[step]:,} of {read:,} rows, most often because: {reason}.",
        f"Look at some of them (luthier show): if they are good rows, loosen {step} or leave it out of [prepare] steps.",
        totals[step],
    )


def rare_labels(found: Profile) -> Trouble | None:
    """Labels have too few training rows to be learnt."""
    few = {label: sides["train"] for label, sides in found.gathered.labels.items() if sides["train"] < FEW_OF_A_LABEL}
    if not few:
        return None
    named = ", ".join(f"“{label}” ({n})" for label, n in sorted(few.items(), key=lambda item: (item[1], item[0]))[:_NAMED])
    more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
    return Trouble(
        "rare_labels",
        f"{counted(len(few), 'label has', 'labels have')} fewer than {FEW_OF_A_LABEL} training rows",
        f"Training rows: {named}{more}.",
        "Add rows of these labels, or merge them with others in the source.",
        sum(sum(found.gathered.labels[label].values()) for label in few),
    )


def other_languages(found: Profile) -> Trouble | None:
    """Most rows are in one language, and a few are not."""
    told = [one for one in found.languages if one.code not in (UNKNOWN, NO_LANGUAGE)]
    if "languages" in found.steps:
        return None
    if "languages" in found.steps or len(told) < 2 or told[0].n_rows < found.n_looked_at / 2:
        return None
    others = [one for one in told[1:] if one.n_rows < _MINORITY * told[0].n_rows]
    n = sum(one.n_rows for one in others)
    if not others or len(others) < len(told) - 1 or n < max(2, 0.005 * found.n_looked_at):
        return None
    named = ", ".join(f"{one.code} {one.n_rows:,}" for one in others[:_NAMED])
    return Trouble(
        "other_languages",
        f"{counted(n, 'row is', 'rows are')} in other languages than {told[0].code}",
        f"Rows by language, besides {told[0].n_rows:,} in {told[0].code}: {named}.",
        f'If they are not wanted, add {{ kind = "languages", keep = ["{told[0].code}"] }} to [prepare] steps; if they are, see that each '
        "language has enough rows.",
        n,
    )


def spelled_marks(found: Profile) -> Trouble | None:
    """Texts spell special tokens of the model, mostly leftovers of another program's export."""
    fit = found.tokens
    if fit is None or not fit.n_marks:
        return None
    return Trouble(
        "spelled_marks",
        f"{counted(fit.n_marks, 'row spells', 'rows spell')} out a special token of the model",
        "They are read as plain characters and end no turn, but they are mostly what is left of another program’s template.",
        "Export the conversations as messages instead of finished prompts, or remove the marks in the source.",
        fit.n_marks,
    )


def strange_rows(found: Profile) -> Trouble | None:
    """Rows are unlike the others."""
    if not found.n_strange:
        return None
    first = ", ".join(one.row.source or one.row.id for one in found.strange[:3])
    return Trouble(
        "strange_rows",
        "Some rows are unlike the others",
        f"The strangest of {found.n_strange:,} stand at {first}.",
        "Read the ten strangest: each says why. Mend or remove those that are mistakes; a rare but true row is worth keeping.",
        found.n_strange,
    )


RULES: tuple[Rule, ...] = (
    over_context, lost_characters, private_data, wrong_characters, copies, much_dropped, rare_labels, poor_fit, other_languages,
    spelled_marks, strange_rows,
)  # fmt: skip


def _share(n: int, found: Profile) -> str:
    share = n / max(1, found.n_looked_at)
    return f"{share:.1%}" if share >= 0.001 else "less than 0.1%"


def _steps(kinds: list[str]) -> str:
    return " and ".join(f'{{ kind = "{kind}" }}' for kind in kinds)


def _first(lost: Mapping[str, int]) -> str:
    """The characters that are lost most often, with their numbers, since some cannot be seen."""
    return ", ".join(f"{one} U+{ord(one):04X}" if one.isprintable() else f"U+{ord(one):04X}" for one in list(lost)[:_NAMED]) or "none alone"
