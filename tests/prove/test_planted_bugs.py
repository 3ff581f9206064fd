"""The twelve one-line bugs of the house, each planted in a copy of the package, each caught by the test that is named here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Bug:
    """A line of `file` that is replaced, and the test that must then fail."""

    name: str
    file: str
    right: str
    wrong: str
    test: str


BUGS = (
    Bug(
        "mean of means",
        "train/loop.py",
        "total / counts[term]",
        "total / objective.count(batch)[term] / len(batches)",
        "tests/unit/train/test_loop.py::test_any_cut_and_any_layout_give_the_same_gradient",
    ),
    Bug(
        "prompt trained",
        "text/renderer.py",
        "weights += [0.0] * len(context) + [chat",
        "weights += [0.0] + [1.0] * (len(context) - 1) + [chat",
        "tests/contract/test_renderer.py",
    ),
    Bug(
        "stop untrained",
        "text/renderer.py",
        "[weight] * len(reply)",
        "[weight] * (len(reply) - 1) + [0.0]",
        "tests/contract/test_renderer.py",
    ),
    Bug(
        "shifted label",
        "text/batch.py",
        "target.append(row.tokens[trained])",
        "target.append(row.tokens[trained - 1])",
        "tests/unit/train/test_loop.py::test_a_step_learns_the_trained_tokens_and_nothing_else_as_the_reference_library_computes_it",
    ),
    Bug(
        "off-by-one leave",
        "text/forest.py",
        "leave[path[shared:]] = n ",
        "leave[path[shared:]] = n + 1 ",
        "tests/invariants/test_forest.py::test_a_node_sees_its_ancestors_and_itself_and_nothing_else",
    ),
    Bug(
        "cousin visible",
        "text/forest.py",
        "(key <= query) & (query < leave_N[None, first:stop])",
        "(key <= query) & (query < len(leave_N))",
        "tests/invariants/test_forest.py::test_no_token_sees_another_row_or_a_later_token",
    ),
    Bug(
        "lost optimizer moment",
        "train/optim.py",
        'found[f"{what}/{name}"] = value',
        'found[f"{what}/{name}"] = value if what != "exp_avg" else value * 0',
        "tests/unit/train/test_fit.py::test_an_interrupted_training_saves_its_last_step_and_goes_on_from_it_bit_for_bit",
    ),
    Bug(
        "repeated batch after resume",
        "train/checkpoints.py",
        'int(clock["step"]), int(clock["units"])',
        'int(clock["step"]) - 1, int(clock["units"])',
        "tests/unit/train/test_fit.py::test_an_interrupted_training_saves_its_last_step_and_goes_on_from_it_bit_for_bit",
    ),
    Bug(
        "cluster split apart",
        "data/likeness/components.py",
        "self._parents[max(a, b)] = min(a, b)",
        "self._parents[max(a, b)] = max(a, b)",
        "tests/invariants/test_split.py::test_no_group_and_no_near_duplicate_stands_on_two_sides",
    ),
    Bug(
        "unpaired test",
        "evaluate/compare.py",
        "gap = both.sums[:, half:] - both.sums[:, :half]",
        "gap = both.sums[::-1, half:] - both.sums[:, :half]",
        "tests/unit/evaluate/test_compare.py",
    ),
    Bug(
        "flipped difference",
        "evaluate/compare.py",
        "metric.values(sums[..., :half]) - metric.values(sums[..., half:])",
        "metric.values(sums[..., half:]) - metric.values(sums[..., :half])",
        "tests/unit/evaluate/test_compare.py",
    ),
    Bug(
        "unfrozen base",
        "methods/lora.py",
        "network.decoder.requires_grad_(False)",
        "network.decoder.requires_grad_(True)",
        "tests/contract/test_methods.py::test_the_base_moves_if_the_method_says_so_and_not_by_a_bit_if_not",
    ),
)


def outcome(package: Path, test: str) -> int:
    """pytest's exit status for a test, run against the package in this folder: 0 all passed, 1 some failed."""
    environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", test]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode


@pytest.fixture
def package(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src" / "luthier", tmp_path / "luthier", ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    return tmp_path


@pytest.mark.prove
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug, package: Path) -> None:
    path = package / "luthier" / bug.file
    text = path.read_text(encoding="utf-8")
    assert text.count(bug.right) >= 1, f"{bug.file} no longer holds the line; plant the bug anew"
    assert outcome(package, bug.test) == 0, "the test passes on the right code"
    path.write_text(text.replace(bug.right, bug.wrong), encoding="utf-8")
    assert outcome(package, bug.test) == 1, "and fails on the wrong"


def test_the_lines_in_which_bugs_are_planted_are_still_there() -> None:
    gone = [bug.name for bug in BUGS if bug.right not in (ROOT / "src" / "luthier" / bug.file).read_text(encoding="utf-8")]
    assert gone == []
