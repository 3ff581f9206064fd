"""Any engine does each piece once, takes no more of them than it can use, stops where it must, and makes the same rows of rows."""

from __future__ import annotations

import importlib.util
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.contract.test_streaming import ORDERS, assert_same, family
from tests.processes import below, cmdline, listening

from luthier import __version__
from luthier.core.errors import LuthierError, LuthierErrors
from luthier.core.examples import AnyExample
from luthier.data.decisions import Kept
from luthier.data.engine import Engine
from luthier.data.execution.on_ray import OnRay, _Given, refuse_absent
from luthier.data.execution.streamed import Work
from luthier.data.execution.streaming import clean_on_disk
from luthier.data.execution.workers import Local
from luthier.data.pipeline import DEFAULT_STEPS, clean
from luthier.data.steps import PersonalData
from luthier.data.tools import Tools

HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")


@dataclass(frozen=True)
class Part:
    """A piece of work of a name that says what becomes of it."""

    name: str
    n_rows: int = 1


def parts(names: Sequence[str]) -> list[Part]:
    return [Part(name) for name in names]


@dataclass(frozen=True)
class Touching:
    """Writes down which process did a piece, or fails at it."""

    folder: Path

    def __call__(self, piece: Part) -> None:
        if piece.name == "refuse":
            raise LuthierErrors((LuthierError("a.csv:1", "is torn", "mend it"), LuthierError("a.csv:2", "is torn", "mend it")))
        if piece.name == "break":
            raise ZeroDivisionError("ours")
        if piece.name == "die":
            with open(self.folder / "died", "a") as file:
                file.write("x")
            os._exit(3)
        if piece.name.startswith("wait"):
            while not (self.folder / "go").exists():
                time.sleep(0.01)  # inside the worker, until the test lets it go
        print("a step that prints does no harm")
        with open(self.folder / piece.name, "a") as file:
            file.write(f"{os.getpid()}\n")

    def by(self, names: Sequence[str]) -> dict[str, list[int]]:
        """The processes that did the pieces of these names."""
        return {name: [int(line) for line in (self.folder / name).read_text().split()] for name in names}


@dataclass
class Ray:
    """A cluster for all tests of this file, what it has told, and the environment that lets others in."""

    engine: OnRay
    told: list[str]
    home: Path


def ours_of_environment() -> dict[str, str | None]:
    """What of the environment a cluster of our own is started with."""
    names = ("RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_AUTH_TOKEN", "PYTHONPATH", "OMP_NUM_THREADS")
    return {name: os.environ.get(name) for name in names}


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ray]:
    if not HAS_RAY:
        pytest.skip("Ray is not installed")
    # Not imported here, for Ray looks at the environment when it is.
    home, told = tmp_path_factory.mktemp("home"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.delenv("RAY_ADDRESS", raising=False)
        before = ours_of_environment(), signal.getsignal(signal.SIGTERM)
        with OnRay(told.append) as engine:
            engine.work(Touching(home), parts(["first"]), lambda piece: None, (home,))
            # What a cluster takes over is not left to the rest of this process.
            for name in ("PYTHONPATH", "OMP_NUM_THREADS"):
                assert os.environ.get(name) == before[0][name]
            folders = {Path(found) for pid in below() for found in re.findall(r"--temp[-_]dir=([^\0\s]+)", cmdline(pid))}
            assert len(folders) == 1 and all(folder.is_dir() for folder in folders)
            yield Ray(engine, told, home)
        assert (ours_of_environment(), signal.getsignal(signal.SIGTERM)) == before
    import ray

    assert not ray.is_initialized()
    assert not any(folder.exists() for folder in folders)


@pytest.fixture(params=["here", pytest.param("local", marks=pytest.mark.slow), pytest.param("ray", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest) -> Engine:
    made: Engine = request.getfixturevalue("ray").engine if request.param == "ray" else Local(2 if request.param == "local" else 1)
    return made


def test_each_piece_is_done_once_and_told_of_once(engine: Engine, tmp_path: Path) -> None:
    names, done = [str(i) for i in range(30)], Counter[str]()
    engine.work(Touching(tmp_path), parts(names), lambda piece: done.update([piece.name]), (tmp_path,))
    assert done == dict.fromkeys(names, 1)
    assert {len(pids) for pids in Touching(tmp_path).by(names).values()} == {1}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_no_more_pieces_are_taken_than_can_be_done(engine: Engine, tmp_path: Path) -> None:
    n_taken, n_done, ahead = 0, 0, []

    def pieces() -> Iterator[Part]:
        nonlocal n_taken
        for i in range(40):
            n_taken += 1
            ahead.append(n_taken - n_done)
            yield Part(str(i))

    def done(piece: Part) -> None:
        nonlocal n_done
        n_done += 1

    engine.work(Touching(tmp_path), pieces(), done, (tmp_path,))
    assert n_done == 40 and max(ahead) <= 2 * max(2, len(os.sched_getaffinity(0))) + 1


@pytest.mark.parametrize(("name", "said"), [("refuse", "a.csv:1"), ("break", "ours")])
def test_what_is_raised_in_a_piece_is_raised_here(name: str, said: str, engine: Engine, tmp_path: Path) -> None:
    kind = LuthierErrors if name == "refuse" else (RuntimeError, ZeroDivisionError)
    with pytest.raises(kind, match=said) as raised:
        engine.work(Touching(tmp_path), parts([*"abcdefgh", name, *"ijkl"]), lambda piece: None, (tmp_path,))
    if name == "refuse":
        assert isinstance(raised.value, LuthierErrors) and [one.where for one in raised.value.errors] == ["a.csv:1", "a.csv:2"]


class Stop(Exception):
    """Somebody asked to stop."""


def test_nothing_is_worked_on_any_more_once_somebody_asked_to_stop(engine: Engine, tmp_path: Path) -> None:
    def done(piece: Part) -> None:
        if piece.name == "stop":
            raise Stop

    with pytest.raises(Stop):
        engine.work(Touching(tmp_path), parts([*"abcd", "stop", "wait-1", "wait-2", "x"]), done, (tmp_path,))
    (tmp_path / "go").touch()
    engine.work(Touching(tmp_path), parts([*"efghij"]), lambda piece: None, (tmp_path,))
    assert not list(tmp_path.glob("wait*"))


@pytest.mark.slow
def test_a_worker_of_this_machine_that_dies_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="code 3"):
        Local(2).work(Touching(tmp_path), parts([*"abcdefgh", "die", *"ijkl"]), lambda piece: None, (tmp_path,))
    assert (tmp_path / "died").read_text() == "x"


@needs_ray
@pytest.mark.slow
def test_a_piece_that_kills_its_process_each_time_is_an_error(ray: Ray, tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="lost 3 times"):
        ray.engine.work(Touching(tmp_path), parts(["a", "die", "b"]), lambda piece: None, (tmp_path,))
    assert (tmp_path / "died").read_text() == "xxx"


@pytest.mark.slow
def test_pieces_are_shared_out_among_the_processes_of_this_machine(tmp_path: Path) -> None:
    names = [str(i) for i in range(20)]
    Local(2).work(Touching(tmp_path), parts(names), lambda piece: None, (tmp_path,))
    by = [pid for pids in Touching(tmp_path).by(names).values() for pid in pids]
    assert by[:4] == [os.getpid()] * 4 and os.getpid() not in by[4:] and len(set(by[4:])) == 2


def test_few_pieces_start_no_process(tmp_path: Path) -> None:
    Local(8).work(Touching(tmp_path), parts([*"abcd"]), lambda piece: None, (tmp_path,))
    assert Touching(tmp_path).by([*"abcd"]) == {name: [os.getpid()] for name in "abcd"}


def test_without_a_piece_ray_is_not_started(tmp_path: Path) -> None:
    with OnRay(pytest.fail) as engine:
        engine.work(Touching(tmp_path), [], lambda piece: None, (tmp_path / "absent",))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_where_ray_is_absent_it_is_said_how_to_install_it() -> None:
    with pytest.raises(LuthierError, match=r"luthier\[ray\]"):
        refuse_absent()


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("steps", range(len(ORDERS)))
def test_ray_makes_the_same_rows_of_rows_in_the_same_files(steps: int, ray: Ray, tmp_path: Path) -> None:
    rows = family(random.Random(steps), 200)
    elders = {row.id for row in rows[60:70]}
    here, there = (
        clean_on_disk(lambda: iter(rows), ORDERS[steps], Work(tmp_path / name, engine, rows_in_shard=30), elders)
        for name, engine in (("here", Local()), ("there", ray.engine))
    )
    assert_same(there, clean(rows, ORDERS[steps], elders), len(rows))
    assert list(there.lines()) == list(here.lines()) and list(there.dropped_lines()) == list(here.dropped_lines())
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir() if path.is_file()} for name in ("here", "there")]
    assert files[0] == files[1] and len(files[0]) >= 14


@needs_ray
@pytest.mark.slow
def test_pieces_are_done_by_processes_of_ray_which_are_ready_once(ray: Ray, tmp_path: Path) -> None:
    names = [str(i) for i in range(12)]
    ray.engine.work(Touching(tmp_path), parts(names), lambda piece: None, (tmp_path,))
    by = {pid for pids in Touching(tmp_path).by(names).values() for pid in pids}
    assert os.getpid() not in by
    ray.engine.work(Readying(tmp_path / "ready", os.getpid()), parts(names), lambda piece: None, (tmp_path,))
    assert 1 <= len((tmp_path / "ready").read_text().split()) <= len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Readying:
    """Writes down each time that it arrives in another process."""

    path: Path
    home: int

    def __reduce__(self) -> tuple[type[Readying], tuple[Path, int]]:
        return Readying, (self.path, self.home)

    def __post_init__(self) -> None:
        if os.getpid() != self.home:
            with open(self.path, "a") as file:
                file.write("ready\n")

    def __call__(self, piece: Part) -> None:
        pass


@needs_ray
@pytest.mark.slow
def test_the_start_and_the_speed_are_told(ray: Ray, tmp_path: Path) -> None:
    assert "on this machine" in ray.told[0] and "machines: 1" in ray.told[0] and "processors" in ray.told[0]
    ray.engine.work(Touching(tmp_path), [Part("a", 700), Part("b", 300)], lambda piece: None, (tmp_path,))
    assert ray.told[-1].startswith("Ray: 1,000 rows in 2 pieces") and ray.told[-1].endswith("rows/s")


@needs_ray
@pytest.mark.slow
def test_a_cluster_that_this_process_has_is_used_and_left_as_it_is(ray: Ray, tmp_path: Path) -> None:
    told: list[str] = []
    for _ in range(2):
        with OnRay(told.append) as engine:
            engine.work(Touching(tmp_path), parts("a"), lambda piece: None, (tmp_path,))
    assert len(told) == 4 and told[0].startswith("Ray: used as this process has it") and "used as" in told[2]


@needs_ray
@pytest.mark.slow
def test_nobody_else_can_reach_a_cluster_of_our_own(ray: Ray) -> None:
    found = listening()
    assert len(found) >= 4 and set(found.values()) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0" and os.environ["RAY_AUTH_MODE"] == "token"
    # Without a token of ours, Ray would have made one and left it there.
    assert not (ray.home / ".ray").exists()


@needs_ray
@pytest.mark.slow
def test_a_machine_that_does_not_see_a_folder_is_named(ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen_from_here = Path("/proc/self/cwd/work")  # from another process's folder, something else
    with pytest.raises(LuthierError, match=r"127\.0\.0\.1.*does not see"):
        ray.engine.work(Touching(tmp_path), parts("ab"), lambda piece: None, (seen_from_here,))
    # No piece was done there, and nothing of the question is left.
    assert [path.name for path in tmp_path.iterdir()] == ["work"] and not list((tmp_path / "work").iterdir())


def test_a_machine_of_another_version_is_named(tmp_path: Path) -> None:
    seen, unseen = tmp_path / "seen", tmp_path / "elsewhere" / "seen"
    seen.touch()
    assert _Given("work", __version__, (seen,), []).missing("10.0.0.7") is None
    other = _Given("work", "0.0.1", (seen,), []).missing("10.0.0.7")
    assert other is not None and other[:2] == ("the machine 10.0.0.7 of the Ray cluster", f"has luthier {__version__}, and not 0.0.1")
    strange = _Given("work", __version__, (seen, unseen), []).missing("10.0.0.7")
    assert strange is not None and strange[1] == f"does not see {unseen.parent}"


@needs_ray
@pytest.mark.slow
def test_keys_for_placeholders_are_looked_for_in_one_folder(ray: Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = Tools(secrets=Path("/proc/self/cwd/keys"), home=tmp_path)
    rows = family(random.Random(1), 10)
    with pytest.raises(LuthierError, match="does not see /proc/self/cwd/keys"):
        clean_on_disk(lambda: iter(rows), [PersonalData(action="replace")], Work(tmp_path / "a", ray.engine), tools=elsewhere)
    found = clean_on_disk(lambda: iter(rows), [PersonalData()], Work(tmp_path / "b", ray.engine), tools=elsewhere)
    assert found.n_kept == 10


@dataclass(frozen=True)
class Killing:
    """Kills the process that gave the work, at one row."""

    process: int | None = None
    kind: str = "killing"

    def apply(self, example: AnyExample) -> Kept:
        if self.process is not None and example.id == "r45":
            os.kill(self.process, signal.SIGKILL)
        return Kept()


STEPS = (Killing(), *DEFAULT_STEPS)
KILLED = """
import os, random, sys
from pathlib import Path
from dataclasses import replace
from tests.contract import test_engines as here

with here.OnRay(lambda said: print(said, flush=True)) as engine:
    rows, steps = here.family(random.Random(3), 90), (replace(here.STEPS[0], process=os.getpid()), *here.STEPS[1:])
    here.clean_on_disk(lambda: iter(rows), steps, here.Work(Path(sys.argv[1]), engine, rows_in_shard=10))
"""


@needs_ray
@pytest.mark.slow
def test_what_was_killed_on_a_cluster_goes_on_here_or_there(ray: Ray, tmp_path: Path) -> None:
    import ray as library

    address = library.get_runtime_context().gcs_address
    there = {"RAY_ADDRESS": address, "PYTHONPATH": os.pathsep.join(one or os.getcwd() for one in sys.path)}
    for engine in (Local(), ray.engine):
        folder = tmp_path / type(engine).__name__
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(folder)], env={**os.environ, **there}, stdout=subprocess.PIPE, text=True, check=False
        )
        assert killed.returncode == -signal.SIGKILL and f"connected {library.__version__} to {address}" in killed.stdout
        # On one processor, four shards are whole before the one in which it was killed.
        assert (folder / "0-000001.rows").exists() and not (folder / "read.json").exists()
        rows = family(random.Random(3), 90)
        assert_same(clean_on_disk(lambda rows=rows: iter(rows), STEPS, Work(folder, engine, rows_in_shard=10)), clean(rows, STEPS), 90)


@needs_ray
@pytest.mark.slow
def test_an_address_at_which_there_is_no_cluster_is_named(tmp_path: Path) -> None:
    words = "from tests.contract import test_engines as here; here.lost(here.Path('{}'))"
    there = {"RAY_ADDRESS": "nowhere", "PYTHONPATH": os.pathsep.join(one or os.getcwd() for one in sys.path)}
    done = subprocess.run([sys.executable, "-c", words.format(tmp_path)], env={**os.environ, **there}, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def lost(folder: Path) -> None:
    """In a process of its own: ask for the cluster of an address where there is none."""
    with OnRay(lambda said: None) as engine, pytest.raises(LuthierError, match="RAY_ADDRESS: nowhere cannot be used"):
        engine.work(Touching(folder), parts("a"), lambda piece: None, (folder,))


def test_a_killing_step_is_as_good_as_none() -> None:
    rows = family(random.Random(3), 5)
    assert clean(rows, [replace(STEPS[0])]) == clean(rows, ())
