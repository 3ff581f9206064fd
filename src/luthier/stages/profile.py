"""Profile: what the prepared rows are like, in a file for programs and on a page for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from luthier.core.errors import LuthierError
from luthier.core.files import file_hash, write_json, write_text
from luthier.core.jsonvalue import Json
from luthier.core.runs import Run, fingerprint
from luthier.data.kept import prepared
from luthier.data.profile.measured import Profile, profile_of
from luthier.data.profile.page import About, profile_page
from luthier.data.profile.private import PRIVACY
from luthier.data.profile.tokens import Model
from luthier.data.profile.troubles import troubles_of
from luthier.demo import clean_messages
from luthier.evaluate.metrics import TUNED
from luthier.models.load import context_of, load_config, load_tokenizer
from luthier.models.tokenizer import LoadedTokenizer
from luthier.stages.power import test_power
from luthier.stages.recipe import Recipe

PAGE = "profile.html"
N_REFERENCE = 100
"""Messages of the demo, which are plain English, by which a tokenizer's usual bytes a token are measured."""


def model_of(recipe: Recipe) -> Model | str:
    """What the profile asks of the recipe's base model, or why it cannot: the rows can be looked at without one."""
    base = recipe.model.base
    try:
        name = Path(base).name if Path(base).is_dir() else base
        return model_from(name, load_tokenizer(base), recipe.train.max_tokens or context_of(load_config(base)))
    except LuthierError as error:
        return error.problem


def model_from(name: str, tokenizer: LoadedTokenizer, max_tokens: int) -> Model:
    """What the profile asks of a model whose tokenizer is loaded."""
    unknown = tokenizer.inner.unk_token_id
    marks = {tokenizer.eos_id, tokenizer.bos_id, tokenizer.pad_id}
    # Tokenizers that know every byte name a mark of theirs as the unknown token, because something has to be named.
    known = unknown is None or unknown in marks
    reference = tuple(message.text for message in clean_messages()[:N_REFERENCE])
    return Model(name, tokenizer, max_tokens, None if known else int(unknown), tokenizer.special_texts, reference)


def profile_stage(recipe: Recipe, run: Run, prepared_rows: Mapping[str, Any]) -> tuple[str, Callable[[], dict[str, Json]]]:
    """The stage that looks at a run's prepared rows: the fingerprint of what shapes the profile, and the work."""
    model = model_of(recipe)
    said: Json = model if isinstance(model, str) else [model.name, model.context, _identity(model)]
    inputs: dict[str, Json] = {
        "rows": [file_hash(run.kept), file_hash(run.dropped)], "counted": [prepared_rows[name] for name in ("read", "added")],
        "about": asdict(about(recipe, prepared_rows, ())), "metric": _metric(recipe), "group": recipe.data.group, "seed": recipe.seed,
        "model": said, "steps": [step.kind for step in recipe.prepare.steps],
    }  # fmt: skip

    def work() -> dict[str, Json]:
        found = profiled(recipe, run.data, model)
        write_profile(found, about(recipe, prepared_rows, power_of(recipe, run.folder)), run.data)
        return {"page": PAGE, "troubles": [asdict(one) for one in troubles_of(found)]}

    return fingerprint(inputs), work


def power_of(recipe: Recipe, folder: Path) -> list[str]:
    """The smallest difference that the test rows under a run's folder can show; nothing for tasks that cannot be judged yet."""
    test = (row for row, side in prepared.read_rows(folder / "data") if side == "test")
    return [] if _metric(recipe) is None else test_power(recipe, test)


def _metric(recipe: Recipe) -> str | None:
    return recipe.goal.judged_by if recipe.goal.task in TUNED else None


def about(recipe: Recipe, prepared_rows: Mapping[str, Any], power: Sequence[str]) -> About:
    """The head of the page: the run, its source, what preparing the rows already said of them, and what the test rows can show."""
    return About(recipe.name, str(prepared_rows["recognised"]), tuple(prepared_rows["warnings"]), tuple(power))


def _identity(model: Model) -> str:
    """What tells one tokenizer from another: its own fingerprint, or what it makes of the reference."""
    own = model.coder.fingerprint if isinstance(model.coder, LoadedTokenizer) else None
    return own or fingerprint({"reference": model.coder.encode_all(model.reference)})


def profiled(recipe: Recipe, home: Path, model: Model | str) -> Profile:
    """Look at the prepared rows in a run's `data` folder."""
    return profile_of(home, recipe.seed, [step.kind for step in recipe.prepare.steps], model, PRIVACY)


def write_profile(found: Profile, about: About, home: Path) -> None:
    """Write `profile.json` and `profile.html`."""
    write_json(home / prepared.PROFILE, found.as_dict())
    write_text(home / PAGE, profile_page(found, about))
