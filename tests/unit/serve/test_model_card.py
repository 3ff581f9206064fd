"""What travels with a bundle: the card and its front matter, licences, the lock, the wheel and the container file."""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import io
import json
import re
import sys
import zipfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.conftest import ROOT

from luthier.serve.bundle import Card
from luthier.serve.papers.container import container_text
from luthier.serve.papers.licences import base_licence, derive, licence_of
from luthier.serve.papers.lock import lock_text, locked
from luthier.serve.papers.model_card import Made, card_text
from luthier.serve.papers.wheel import write_wheel

WHEEL = "luthier-0.1.0-py3-none-any.whl"
CARD = Card("mail", "classify", "sprout", "0", "lora", "forest", 512, 16, ("bill", "other"), "mean", "Sort the mail")


def number(value: float | None, n: int = 150, n_unjudged: int = 0) -> dict[str, Any]:
    known = value is not None
    return {
        "value": value, "low": value - 0.05 if known else None, "high": value + 0.04 if known else None, "n": n,
        "n_unjudged": n_unjudged, "method": "bca",
    }  # fmt: skip


def report(**other: Any) -> dict[str, Any]:
    numbers = {"difference": 0.5, "low": 0.4, "high": 0.6, "p": 1e-4, "p_holm": 2e-4, "n": 150}
    compared = {"a": "tuned", "b": "base", "metric": "macro_f1", **numbers}
    return {
        "goal": {"metric": "macro_f1"}, "verdict": "ship", "looks": 1,
        "reasons": [{"claim": "tuned beats base", "holds": True, "evidence": "p < 0.001"}],
        "systems": {"tuned": {"macro_f1": number(0.81), "accuracy": number(0.9)}, "base": {"macro_f1": number(0.31)}},
        "comparisons": [compared], "proofs": {"any_cut_same_gradient": {"holds": True, "detail": "1e-7"}},
        "not_applicable": {"stop_token_trained": "no reply"}, **other,
    }  # fmt: skip


def made(**other: Any) -> Made:
    prepared = {
        "read": 1000, "kept": 900, "changed": {"whitespace": 3},
        "dropped": {"length": {"is empty": 60}, "near_duplicates": {"says the same": 40}},
        "split": {"train": 700, "validation": 50, "test": 150}, "warnings": ["3 labels are rare."],
        "certificate": {"groups_shared": 0, "near_duplicates_shared": 0, "threshold": 0.8, "group_column": "sender"},
    }  # fmt: skip
    tuned = {
        "fit": {"last_step": 80, "n_steps": 90, "stopped_early": True},
        "n_parameters": 5_786_368, "learning_rate": 1e-3,
        "train": {"n_rows": 700, "n_tokens": 9000, "n_too_long": 2, "n_cut": 2, "n_dropped": 0},
    }  # fmt: skip
    said = {"sources": ("mail.csv",), "licence": "MIT", "precision": "float32 (it is small)", "few": False}
    return Made(**{**said, "prepared": prepared, "tuned": tuned, **other})


def test_the_hubs_own_reader_finds_every_field_and_every_number() -> None:
    card = ModelCard(card_text(CARD, report(), made(), WHEEL))
    data = card.data.to_dict()
    assert data["license"] == "cc-by-sa-4.0"
    assert (data["base_model"], data["base_model_relation"], data["library_name"]) == ("sprout", "adapter", "luthier")
    assert (data["pipeline_tag"], data["language"], data["tags"]) == ("text-classification", ["en"], ["luthier", "classify", "lora"])
    assert card.data.eval_results is not None
    found = {one.metric_type: (one.metric_value, one.metric_name) for one in card.data.eval_results}
    assert found == {
        "f1": (0.81, "macro_f1 (95 % interval 0.760 to 0.850, n = 150)"),
        "accuracy": (0.9, "accuracy (95 % interval 0.850 to 0.940, n = 150)"),
    }
    assert card.data.model_name == "mail"
    assert yaml.safe_load(card.content.split("---")[1])["model-index"][0]["name"] == "mail"


def test_the_card_gives_every_system_with_interval_and_n_and_leaves_out_what_is_not_there() -> None:
    found = {"tuned": number(0.81, 140, 10), "base": number(None, 0, 150), "classical": number(0.42)}
    systems = {name: {"macro_f1": one} for name, one in found.items()}
    text = card_text(CARD, report(systems=systems), made(), WHEEL)
    assert "| tuned | macro_f1 | 0.810 | 0.760 to 0.850 | 140 (10 not judged) |" in text
    assert "| classical | macro_f1 | 0.420 | 0.370 to 0.460 | 150 |" in text
    assert "| base |" not in text.split("## How it was made")[0]
    assert "10 test rows could not be judged" in text
    assert "| tuned − base | macro_f1 | 0.500 | 0.400 to 0.600 | 0.0002 | 150 |" in text


def test_the_card_tells_what_became_of_the_rows_and_what_was_proven() -> None:
    text = card_text(CARD, report(), made(), WHEEL)
    assert "From `mail.csv`: 1,000 rows read, 900 kept" in text
    for part in ("- dropped by length: 60 (is empty)", "- train: 700 rows", "0 groups (`sender`)"):
        assert part in text
    assert "- holds: any cut same gradient (1e-7)" in text
    assert "- does not apply: stop token trained (no reply)" in text
    failed = card_text(CARD, report(proofs={"any_cut_same_gradient": {"holds": False, "detail": "0.2"}}), made(), WHEEL)
    assert "- **fails**: any cut same gradient (0.2)" in failed


def test_limits_say_few_rows_a_better_classical_rival_a_held_verdict_and_further_looks() -> None:
    reasons = [{"claim": "the classical baseline beats tuned", "holds": True, "evidence": "by 0.1"}]
    limits = card_text(CARD, report(verdict="hold", reasons=reasons, looks=3), made(few=True), WHEEL).split("## Limits")[1].split("##")[0]
    for part in ("verdict is hold", "The classical baseline beats tuned: by 0.1", "Few rows: it was judged on 150", "look 3"):
        assert part in limits
    verdict = card_text(CARD, report(verdict="hold", reasons=reasons), made(), WHEEL).split("## What it is for")[0]
    assert "- note: the classical baseline beats tuned (by 0.1)" in verdict and "- holds: the classical" not in verdict
    assert "- 3 labels are rare." in limits
    fine = card_text(CARD, report(), made(), WHEEL).split("## Limits")[1].split("##")[0]
    for part in ("hold", "classical", "Few rows", "look "):
        assert part not in fine.replace("longer texts", "").replace("hold the truth", "")


def test_words_of_the_user_end_no_cell_and_become_no_markup() -> None:
    hostile = replace(CARD, labels=("a|b", "<script>"), about="Sort\n---\n# mail <img src=x>")
    text = card_text(hostile, report(), made(licence="mine | <b>\n| x | y |"), WHEEL)
    assert "<img" not in text and "<script>" not in text and "<b>" not in text
    assert "\n# mail &lt;img" not in text
    rows = [line for line in text.split("## Licences")[1].split("##")[0].splitlines() if line.startswith("|")]
    assert [len(re.split(r"(?<!\\)\|", row)) for row in rows] == [4] * 5
    assert ModelCard(text).data.license == "unknown"


def test_a_base_in_a_folder_is_named_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "secret" / "tiny").mkdir(parents=True)
    (tmp_path / "secret" / "tiny" / "config.json").write_text("{}")
    card = Card("mail", "chat", str(tmp_path / "secret" / "tiny"), "0", "full", "forest", 512, 16)
    text = card_text(card, report(), made(), WHEEL)
    assert ModelCard(text).data.base_model == "tiny"
    assert ModelCard(text).data.to_dict()["base_model_relation"] == "finetune"
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("said", "id_", "demands"),
    [
        ("Apache 2.0", "apache-2.0", ("attribution",)),
        ("Apache License 2.0", "apache-2.0", ("attribution",)),
        ("MIT License", "mit", ("attribution",)),
        ("CC0-1.0", "cc0-1.0", ()),
        ("CC BY-SA 4.0", "cc-by-sa-4.0", ("attribution", "share-alike")),
        ("GPL-3.0-or-later", "gpl-3.0-or-later", ("attribution", "share-alike")),
        ("cc-by-nc-nd-4.0", "cc-by-nc-nd-4.0", ("attribution", "non-commercial", "no-derivatives")),
        ("llama3.1", "llama3.1", ("custom",)),
        ("unknown", "unknown", ("unknown",)),
        ("", "unknown", ("unknown",)),
        ("ask Fred", "ask-fred", ("unknown",)),
        ("CC-BY", "cc-by", ("unknown",)),
    ],
)
def test_a_licence_is_known_by_the_table_or_said_to_be_unknown(said: str, id_: str, demands: tuple[str, ...]) -> None:
    found = licence_of(said, "here")
    assert (found.id, found.demands) == (id_, demands)
    assert ("unknown" in found.in_words()) is ("unknown" in demands)


@pytest.mark.parametrize(
    ("base", "data", "own", "conflict"),
    [
        ("apache-2.0", "MIT", "apache-2.0", ""),
        ("apache-2.0", "CC0-1.0", "apache-2.0", ""),
        ("CC0-1.0", "CC0-1.0", "cc0-1.0", ""),
        ("apache-2.0", "CC-BY-SA-4.0", "cc-by-sa-4.0", ""),
        ("cc-by-sa-4.0", "MIT", "cc-by-sa-4.0", ""),
        ("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-sa-4.0", ""),
        ("mit", "cc-by-nc-4.0", "cc-by-nc-4.0", ""),
        ("mit", "GPL-3.0-only", "gpl-3.0", ""),
        ("mit", "public domain", "mit", ""),
        ("gpl-3.0", "GPL-3.0-or-later", "gpl-3.0", ""),
        ("gpl-2.0-only", "gpl-2.0-or-later", "gpl-2.0", ""),
        ("gpl-2.0-or-later", "gpl-3.0-only", "gpl-3.0", ""),
        ("gpl-2.0-only", "gpl-3.0-only", "other", "both cannot be kept"),
        ("cc-by-sa-4.0", "gpl-3.0", "other", "both cannot be kept"),
        ("cc-by-sa-4.0", "cc-by-nc-4.0", "other", "forbids it"),
        ("cc-by-nc-4.0", "gpl-3.0", "other", "forbids it"),
        ("cc-by-nd-4.0", "mit", "other", "no derived works"),
        ("mit", "cc-by-nc-nd-4.0", "other", "no derived works"),
        ("gemma", "mit", "other", "terms of its own"),
        ("mit", "unknown", "unknown", "licence of the data is unknown"),
        ("unknown", "cc-by-nd-4.0", "unknown", "licence of the base is unknown"),
    ],
)
def test_a_bundle_is_licensed_as_no_more_than_base_and_data_allow(base: str, data: str, own: str, conflict: str) -> None:
    found = derive(licence_of(base, ""), licence_of(data, ""))
    assert found.id == own
    assert (conflict in " ".join(found.conflicts)) if conflict else found.conflicts == ()
    assert (found.name is not None) is (own == "other")
    assert ("no commercial use" in found.conditions) is ("-nc" in base + data)


@pytest.mark.parametrize("swapped", [False, True])
def test_conflicts_do_not_depend_on_which_of_the_two_is_the_base(swapped: bool) -> None:
    known = ("mit", "cc0-1.0", "cc-by-sa-4.0", "gpl-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "gemma", "unknown")
    for one in known:
        for other in known:
            pair = (licence_of(other, ""), licence_of(one, "")) if swapped else (licence_of(one, ""), licence_of(other, ""))
            back = derive(*reversed(pair))
            assert bool(derive(*pair).conflicts) == bool(back.conflicts)
            assert (derive(*pair).id in ("other", "unknown")) == (back.id in ("other", "unknown"))


def test_the_bases_licence_is_read_from_its_own_card(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert base_licence(str(tmp_path))[0].demands == ("unknown",)
    for front, id_, demands in (
        ("license: mit\nlanguage: de", "mit", ("attribution",)),
        ("license: other\nlicense_name: house-rules", "house-rules", ("custom",)),
        ("license: [mit, apache-2.0]", "mit-and-apache-2.0", ("unknown",)),
        ("tags: [a]", "unknown", ("unknown",)),
        ("license: {mit", "unknown", ("unknown",)),
    ):
        (tmp_path / "README.md").write_text(f"---\n{front}\n---\n# A base\nlicense: gpl-3.0\n")
        found, languages = base_licence(str(tmp_path))
        assert (found.id, found.demands) == (id_, demands)
        assert languages == (("de",) if "language" in front else ())
    (tmp_path / "README.md").write_text("# No front\n\n---\nlicense: mit\n---\n")
    assert base_licence(str(tmp_path))[0].id == "unknown"
    sprout, languages = base_licence("sprout")
    assert (sprout.id, languages) == ("cc-by-sa-4.0", ("en",))


def imported() -> set[str]:
    """Every top-level name that a module of the package imports."""
    names: set[str] = set()
    for path in (ROOT / "src" / "luthier").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"luthier"}


def test_the_lock_holds_every_distribution_that_the_package_imports_but_for_extras() -> None:
    providers = metadata.packages_distributions()
    required = map(Requirement, metadata.requires("luthier") or ())
    extras = {canonicalize_name(one.name) for one in required if one.marker is not None and "extra" in str(one.marker)}
    held = set(locked()) | extras
    missing = [name for name in imported() if not {canonicalize_name(one) for one in providers.get(name, [name])} & held]
    assert missing == []


def test_the_lock_is_closed_and_pins_what_is_installed() -> None:
    lock = locked()
    assert "pytest" not in lock and "mypy" not in lock
    for name, version in lock.items():
        installed = metadata.distribution(name)
        assert installed.version.partition("+")[0] == version
        for text in installed.requires or ():
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                assert canonicalize_name(one.name) in lock
                assert one.specifier.contains(lock[canonicalize_name(one.name)], prereleases=True)


def test_every_line_of_the_lock_is_a_pin_a_remark_or_the_wheel_itself_so_that_no_index_is_asked_for_luthier() -> None:
    lines = lock_text(WHEEL).splitlines()
    pins = [line for line in lines if not line.startswith(("#", "."))]
    assert [line for line in lines if line.startswith(".")] == [f"./{WHEEL}"]
    assert {str(Requirement(line).specifier)[:2] for line in pins} == {"=="}
    assert not [line for line in pins if line.startswith("luthier")]
    assert not [line for line in pins if "+" in line or "@" in line]


def test_the_wheel_is_the_package_with_the_hash_of_every_file_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    name = write_wheel(tmp_path / "one")
    assert write_wheel(tmp_path / "two") == name
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with zipfile.ZipFile(tmp_path / "one" / name) as archive:
        inside = {path: archive.read(path) for path in archive.namelist()}
    record = next(path for path in inside if path.endswith("/RECORD"))
    listed = {path: (digest, size) for path, digest, size in csv.reader(io.StringIO(inside[record].decode()))}
    assert set(listed) == set(inside)
    for path, content in inside.items():
        if path != record:
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert listed[path] == (f"sha256={digest}", str(len(content)))
    source = {f"luthier/{path.relative_to(ROOT / 'src' / 'luthier').as_posix()}" for path in (ROOT / "src" / "luthier").rglob("*.py")}
    assert source <= set(inside)
    assert "luthier/models/sprout/model.safetensors" in inside
    assert not [path for path in inside if "__pycache__" in path or path.startswith(("/", ".."))]


def test_the_container_installs_the_lock_runs_as_nobody_in_particular_and_asks_for_its_health() -> None:
    text = container_text(CARD, WHEEL, None)
    steps = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    words = [line.split(maxsplit=1)[0] for line in steps]
    assert words == ["FROM", "ARG", "RUN", "WORKDIR", "COPY", "RUN", "COPY", "USER", "EXPOSE", "HEALTHCHECK", "CMD"]
    said = dict(zip(words, steps, strict=True))
    assert said["FROM"] == f"FROM python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    assert said["USER"] == "USER luthier"
    assert WHEEL in steps[4] and "requirements.lock" in steps[4]
    command = json.loads(said["CMD"].removeprefix("CMD "))
    assert command[:3] == ["luthier", "serve", "/bundle"]
    health = json.loads(said["HEALTHCHECK"].partition("CMD ")[2])
    ast.parse(health[2])
    assert f":{command[command.index('--port') + 1]}/health" in health[2]
    assert "--host" in command and "--keys" in command


def test_the_container_is_built_with_its_health_check_by_tools_whose_own_format_has_none() -> None:
    lines = container_text(CARD, WHEEL, None).splitlines()
    (podman,) = (line for line in lines if "podman build" in line)
    assert "--format docker" in podman and f"-t {CARD.name.lower()} ." in podman


def test_a_base_in_a_folder_is_mounted_where_it_was() -> None:
    assert '-v "/models/mine:/models/mine:ro"' in container_text(CARD, WHEEL, "/models/mine")
    assert ":ro\"" in container_text(CARD, WHEEL, None) and "/models" not in container_text(CARD, WHEEL, None)
