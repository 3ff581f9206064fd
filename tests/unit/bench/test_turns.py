"""The bench's bookkeeping: turns go on where they stopped, ratios stay within a turn, and the numbers of its tables are right."""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tests.conftest import ROOT
from tests.tiny import tiny_network, tiny_rows

from luthier.text.forest import Forest, make_forest
from luthier.text.rows import make_row


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))


def script(name: str) -> ModuleType:
    return importlib.import_module(name)


def command(name: str, folder: Path, code: str) -> object:
    """A program that notes each of its runs in a file of its name."""
    noted = f"open({str(folder / name)!r}, 'a').write('x'); {code}"
    return script("turns").Command(name, (sys.executable, "-c", noted))


def runs(folder: Path, *names: str) -> list[int]:
    return [len((folder / name).read_text()) for name in names]


def prints(rate: float) -> str:
    return f"print('warming up'); print('{json.dumps({'rate': rate})}')"


def test_turns_that_stand_in_the_log_are_not_run_again(tmp_path: Path) -> None:
    log = script("turns").Log(tmp_path / "log.jsonl", 1, 60)
    both = [command("a", tmp_path, prints(2.0)), command("b", tmp_path, prints(3.0))]
    assert len(log.run("turns", "case", both, 1)) == 1 and runs(tmp_path, "a", "b") == [1, 1]
    assert len(log.run("turns", "case", both, 2)) == 2 and runs(tmp_path, "a", "b") == [2, 2]
    log.run("turns", "another case", both[:1], 1)
    assert runs(tmp_path, "a", "b") == [3, 2]


def test_a_turn_that_broke_off_is_run_again_whole_and_its_last_lines_count(tmp_path: Path) -> None:
    log = script("turns").Log(tmp_path / "log.jsonl", 1, 60)
    first, second = command("a", tmp_path, prints(2.0)), command("b", tmp_path, prints(3.0))
    log.run("turns", "case", [first], 1)
    with log.path.open("a") as file:
        file.write('{"phase": "turns", "case": "ca')  # killed while it wrote
    log.run("turns", "case", [first, second], 1)
    assert runs(tmp_path, "a", "b") == [2, 1] and len(log.lines()) == 3


def test_commands_begin_a_turn_by_turns_and_a_setting_that_changed_is_measured_again(tmp_path: Path) -> None:
    log = script("turns").Log(tmp_path / "log.jsonl", 1, 60)
    log.run("turns", "case", [command(name, tmp_path, prints(1.0)) for name in "abc"], 3)
    assert "".join(line["name"] for line in log.lines()) == "abcbcacab"
    log.run("turns", "case", [command("a", tmp_path, prints(5.0)), *(command(name, tmp_path, prints(1.0)) for name in "bc")], 1)
    assert log.turns("turns", "case")[0]["a"]["result"] == {"rate": 5.0}


def test_what_fails_says_why_and_spoils_nothing(tmp_path: Path) -> None:
    turns = script("turns")
    log = turns.Log(tmp_path / "log.jsonl", 1, 5)
    bad = {"silent": "pass", "broken": "import sys; sys.exit('no memory')", "endless": "import time; time.sleep(60)"}
    found = log.run("turns", "case", [command(name, tmp_path, code) for name, code in bad.items()], 1)[0]
    assert all("result" not in found[name] for name in bad)
    assert "no memory" in found["broken"]["problem"] and "5 s" in found["endless"]["problem"]
    assert turns.values([found], "broken", "rate") == [] == turns.ratios([found], "silent", "broken", "rate")


def test_ratios_are_taken_within_a_turn() -> None:
    turns = script("turns")
    lines = [{"a": {"result": {"rate": 6.0}}, "b": {"result": {"rate": rate}}} for rate in (3.0, 2.0, 1.0)]
    assert turns.ratios(lines, "a", "b", "rate") == [2.0, 3.0, 6.0]
    assert turns.ratios([*lines, {"a": {"problem": "x"}, "b": {"result": {"rate": 1.0}}}], "a", "b", "rate") == [2.0, 3.0, 6.0]
    assert turns.spread([6.0, 2.0, 3.0]) == "3 (2–6)"


def test_the_break_even_point_lies_where_the_forests_line_crosses_the_better_of_the_others() -> None:
    curves = script("cost_curves")
    cost = {"forest": lambda s: 1.2 - s, "packed": lambda s: 1.0, "padded": lambda s: 1.5}
    points = [{**one, "seconds": cost[one["layout"]](one["shared"])} for one in curves.points()]
    assert curves.break_even(points) == pytest.approx(0.2)
    assert curves.break_even([{**one, "seconds": 1 - (one["layout"] == "forest")} for one in points]) == 0
    assert curves.break_even([{**one, "seconds": 1 + (one["layout"] == "forest")} for one in points]) is None


def test_the_rows_of_the_curves_share_what_they_say() -> None:
    curves = script("cost_curves")
    rows = curves.rows_of({"rows": 8, "tokens": 100, "shared": 0.5}, 1000)
    assert len({bytes(row.tokens[:50]) for row in rows}) == 1 and len({int(row.tokens[50]) for row in rows}) > 1
    assert sum(row.n_tokens for row in rows) / 8 == pytest.approx(100, rel=0.15) and all(row.n_supervised for row in rows)


def flops(products: object, *parts: str) -> int:
    return sum(one.flops for one in products if one.part in parts)  # type: ignore[attr-defined]


def one_row(n: int) -> Forest:
    """A row of `n` tokens, each but the first trained."""
    return make_forest([make_row(list(range(3, 3 + n)), [0.0] + [1.0] * (n - 1))])


@pytest.mark.parametrize("full", [False, True])
def test_the_limit_counts_the_products_that_a_forward_and_a_backward_pass_take(full: bool) -> None:
    limits = script("limits")
    network = tiny_network(torch.float32, tie_word_embeddings=False)
    n, width, mlp, rank = 9, 32, 48, limits.RANK
    shapes = {"q": (width, width), "k": (width, 16), "v": (width, 16), "o": (width, width)}
    shapes |= {"gate": (width, mlp), "up": (width, mlp), "down": (mlp, width)}

    def passes(layer: int, name: str, n_sources: int) -> tuple[int, int]:
        """At how many places a layer is computed, and how often: forward, back to the states, and back to the weights."""
        places = n if layer == 0 or name in "kv" else n_sources
        return places, 1 + (full or not (layer == 0 and name in "qkv")) + full

    counted = list(limits.products_of(network, one_row(n), full))
    by_hand = sum(2 * math.prod(shape) * math.prod(passes(layer, name, n - 1)) for layer in (0, 1) for name, shape in shapes.items())
    assert flops(counted, "linear layers") == by_hand
    assert flops(counted, "head") == 2 * (n - 1) * width * 64 * (3 if full else 2)
    thin = sum(
        2 * rank * places * (3 * (a + b) - (0 if times == 2 else a))
        for layer in (0, 1) for name, (a, b) in shapes.items() for places, times in [passes(layer, name, n - 1)]
    )  # fmt: skip
    assert flops(counted, "LoRA") == (0 if full else thin)


def test_the_limit_counts_attention_by_the_pairs_that_see_each_other() -> None:
    limits = script("limits")
    network = tiny_network(torch.float32)
    forest = make_forest(tiny_rows(8, shared=40))
    depth = forest.depth_N.double() + 1
    pairs = float(depth.sum() + depth[forest.source_S.unique()].sum())
    # Whole batches of 128 queries are counted, so the count is near.
    assert flops(limits.attention(network, forest), "attention") == pytest.approx(6 * 2 * 8 * 4 * pairs, rel=0.1)


@pytest.mark.parametrize(
    ("name", "shapes", "part"),
    [
        ("aten::mm", [[900, 256], [256, 768]], "linear layers"), ("aten::mm", [[900, 256], [256, 16]], "LoRA"),
        ("aten::mm", [[900, 256], [256, 8192]], "head and embedding"), ("aten::bmm", [[4, 128, 64], [4, 64, 128]], "attention"),
        ("aten::_fused_adamw_", [[], []], "optimizer and clipping"), ("aten::silu", [[900, 768]], "norms, rotary, activations, additions"),
        ("aten::copy_", [[900, 768]], "copies and memory"),
    ],
)  # fmt: skip
def test_the_profile_tells_operations_apart(name: str, shapes: list[list[int]], part: str) -> None:
    assert script("limits").part_of(name, shapes, 8192) == part


def bench_of(folder: Path) -> object:
    bench = script("side_by_side")
    return bench.Bench(folder, "python", script("turns").Log(folder / "log.jsonl", 1, 60), 16, 3, False, False)


def line_of(name: str, phase: str = "turns", turn: int = 0, words: tuple[str, ...] = ("x", "--layout", "padded"), **result: float) -> str:
    usual = {"supervised_tokens_per_s": 100.0, "peak_rss_mb": 1000, "first_loss": 5.0, "last_loss": 4.0}
    line = {"phase": phase, "case": "gsm8k m10 LoRA", "turn": turn, "name": name, "threads": 1, "words": words, "cpu_s": 1.0}
    return json.dumps({**line, "result": {**usual, **result}}) + "\n"


def test_the_table_says_which_goals_were_reached(tmp_path: Path) -> None:
    bench = script("side_by_side")
    (case,) = (one for one in bench.CASES if one.name == "gsm8k m10 LoRA")
    assert bench.row_of(bench_of(tmp_path), case) == [case.name, "not run"]
    good = [line_of("peer"), line_of("ours", supervised_tokens_per_s=250.0, peak_rss_mb=800, first_loss=5.01, last_loss=4.1)]
    (tmp_path / "log.jsonl").write_text("".join([*good, line_of("packed", supervised_tokens_per_s=255.0), line_of("padded")]))
    assert bench.row_of(bench_of(tmp_path), case) == [
        case.name, "padded", "100", "250", "2.5", "2.5 ✓", "0.8 ✓", "0.0100 ✓", "2.50% ✓", "0.98 ✓", "1",
    ]  # fmt: skip
    bad = line_of("ours", supervised_tokens_per_s=240.0, peak_rss_mb=1100, first_loss=5.02, last_loss=4.2)
    (tmp_path / "log.jsonl").write_text("".join([good[0], bad, line_of("packed", supervised_tokens_per_s=250.0), line_of("padded")]))
    assert [cell[-1] for cell in bench.row_of(bench_of(tmp_path), case)[5:10]] == ["✗"] * 5
    (tmp_path / "log.jsonl").write_text("".join([good[0], bad]))
    assert bench.row_of(bench_of(tmp_path), case)[9] == "– ✗", "what was not measured was not reached"


def test_the_peer_trains_with_the_setting_that_came_out_best_of_the_last_three(tmp_path: Path) -> None:
    bench = script("side_by_side")
    (case,) = (one for one in bench.CASES if one.name == "gsm8k m10 LoRA")
    assert bench.best_setting(bench_of(tmp_path), case) == case.usual
    settings = {"slow": (3, 4, 9), "fast": (5, 6, 5), "packing micro 1": (50, 60, 70)}
    lines = [
        line_of(name, "final sweep", turn, ("x", "--layout", name, "--micro", "2"), supervised_tokens_per_s=float(rate))
        for name, rates in settings.items() for turn, rate in enumerate(rates)
    ]  # fmt: skip
    (tmp_path / "log.jsonl").write_text("".join(lines))
    assert bench.best_setting(bench_of(tmp_path), case) == ("--layout", "fast", "--micro", "2")


def test_turns_on_another_number_of_threads_are_other_turns(tmp_path: Path) -> None:
    turns = script("turns")
    one, two = (turns.Log(tmp_path / "log.jsonl", threads, 60) for threads in (1, 2))
    said = command("a", tmp_path, "import json, os; print(json.dumps({'threads': int(os.environ['OMP_NUM_THREADS'])}))")
    assert [log.run("turns", "case", [said], 1)[0]["a"]["result"]["threads"] for log in (one, two)] == [1, 2]
    assert runs(tmp_path, "a") == [2] and one.turns("turns", "case")[0]["a"]["result"] == {"threads": 1}


def test_the_search_goes_on_where_a_layout_did_best_at_the_end_of_what_was_tried() -> None:
    def setting(layout: str, micro: int) -> tuple[str, ...]:
        return "--layout", layout, "--micro", str(micro), "--liger"

    beyond = script("side_by_side").beyond
    fewest, most = [setting("a", micro) for micro in (2, 4, 8)], [setting("b", micro) for micro in (8, 4, 2)]
    middle = [setting("c", micro) for micro in (4, 2, 8)]
    assert beyond([*fewest, *middle, *most]) == [setting("a", 1), setting("b", 16)]
    assert beyond([setting("a", micro) for micro in (1, 2, 4)]) == beyond([setting("b", micro) for micro in (16, 8)]) == []
