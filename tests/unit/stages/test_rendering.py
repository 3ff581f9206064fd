"""Examples to rows in several processes: the same rows and the same complaints as in one."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from tests.small import tokenizer_of

from luthier.core import fresh
from luthier.core.errors import LuthierError, LuthierErrors
from luthier.core.examples import AnyExample, Chat, Text
from luthier.core.messages import Message
from luthier.models.tokenizer import LoadedTokenizer
from luthier.objectives import Imitate
from luthier.stages import rendering
from luthier.stages.rendering import Found, processes_worth, rendered
from luthier.text.renderer import Renderer
from luthier.text.rows import Row

EXAMPLES: list[AnyExample] = [
    Chat(str(i), (Message("user", f"hello {i}"), Message("assistant", "the quick brown fox " * (i % 5 + 1))), source=f"rows.jsonl:{i}")
    for i in range(30)
]
CALLED = (Message("user", "hello"), Message("assistant", "see the tool"))
EXAMPLES[17] = Chat("17", CALLED, tools=({"name": "look"},), source="rows.jsonl:17")
OBJECTIVE = Imitate(window=9)
EXAMPLES[23] = Text("23", "The cat sat on the mat. " * 30)


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few at once, and processes that cost so little, that further ones pay for 30 examples."""
    monkeypatch.setattr(rendering, "AT_ONCE", 4)
    monkeypatch.setattr(rendering, "START_S", 0.0)
    monkeypatch.setattr(rendering, "_TOLD_AFTER_S", 0.0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def renderer() -> Renderer:
    return Renderer(LoadedTokenizer(tokenizer_of("chatml").inner))


def said(found: list[Found]) -> list[object]:
    return [str(one) if isinstance(one, LuthierError) else list(map(told, one)) for one in found]


def told(row: Row) -> object:
    return row.id, row.tokens.tolist(), row.weights.tolist()


def alone() -> list[Found]:
    """The rows as this process makes them, an example at a time."""
    return [found for example in EXAMPLES for found in rendering._some([example], OBJECTIVE, renderer())]


@pytest.mark.slow
def test_processes_give_the_rows_and_the_complaints_of_one_in_order(few_at_once: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert isinstance(alone()[17], LuthierError), "one of them cannot be rendered"
    assert said(list(rendered(EXAMPLES, OBJECTIVE, renderer()))) == said(alone())
    assert capfd.readouterr().err == ""


def test_what_a_process_that_has_died_leaves_is_rendered_here(few_at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "command", lambda module: [sys.executable, "-c", ""])
    assert said(list(rendered(EXAMPLES, OBJECTIVE, renderer()))) == said(alone())


def test_whoever_stops_reading_leaves_no_process_behind(few_at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def start(begin: Callable[[], subprocess.Popen[bytes]] = rendering._start) -> subprocess.Popen[bytes]:
        started.append(begin())
        return started[-1]

    monkeypatch.setattr(rendering, "_start", start)
    rows = rendered(EXAMPLES, OBJECTIVE, renderer())
    for _ in range(5):
        next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


def test_processes_are_started_where_they_save_twice_what_they_cost() -> None:
    assert processes_worth(left_s=1e9, n_threads=1) == 1
    # Of 24 s two processes save 12, which is twice what starting them costs, and not more.
    assert processes_worth(24.0, 2) == 1
    assert processes_worth(24.1, 2) == 2
    assert processes_worth(17.0, 4) == 4
    assert processes_worth(1e9, 64) == rendering.MOST_PROCESSES


def test_complaints_that_come_together_go_to_another_process_together() -> None:
    both = LuthierErrors((LuthierError("a", "one", "mend it"), LuthierError("b", "two", "mend that")), n_found=30)
    there = pickle.loads(pickle.dumps(both))
    assert isinstance(there, LuthierErrors) and str(there) == str(both) and there.n_found == 30
    assert [one.as_dict() for one in there.errors] == [one.as_dict() for one in both.errors]
