"""What users get wrong: a message with its place, exit code 2, no traceback, and not a file left or changed."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from tests.e2e.conftest import Recipes
from tests.made_models import Calls, Said, ended, kept_rows, listing, luthier, messages_of, started, without_times, write_rows

HEADER = "message,intent\n"


def refused(*arguments: object, where: str, says: str = "") -> list[dict[str, str]]:
    """Give a command twice, plain and with --json; both refuse, name the place, and leave the folder as it was."""
    before = listing(Path.cwd()), sorted(Path.cwd().rglob("*"))
    plain = luthier(*arguments)
    assert_refusal(plain)
    assert where in plain.err
    assert says in plain.err
    assert plain.out == ""
    as_json = luthier(*arguments, "--json")
    assert as_json.code == 2
    errors: list[dict[str, str]] = as_json.json["errors"]
    assert list(as_json.json) == ["errors"]
    assert all(list(one) == ["where", "problem", "fix"] and all(one.values()) for one in errors)
    assert any(where in one["where"] for one in errors), errors
    assert (listing(Path.cwd()), sorted(Path.cwd().rglob("*"))) == before, "something was left or changed"
    return errors


def assert_refusal(said: Said) -> None:
    """The exit code of wrong input, and words instead of a traceback."""
    assert said.code == 2, said
    assert "Traceback" not in said.err and "bug in Luthier" not in said.err
    assert said.err.strip()


ROWS = "".join(f"{row['message']},{row['intent']}\n" for row in messages_of(60))
BROKEN_JSONL = [json.dumps(row) for row in messages_of(60)]
SOURCES: dict[str, tuple[str, bytes, str, str]] = {
    "an empty file": ("rows.csv", b"", "rows.csv", "empty"),
    "a header only": ("rows.csv", HEADER.encode(), "rows.csv", "no rows"),
    "a missing column": ("rows.csv", ("message,topic\n" + ROWS).encode(), "fields.label", "topic"),
    "line 17 of a CSV with a column too many": (
        "rows.csv", "\n".join([*(HEADER + ROWS).splitlines()[:16], "a,b,c,d", *ROWS.splitlines()[16:]]).encode(), "rows.csv:17", "",
    ),
    "line 17 of a JSONL that is no JSON": (
        "rows.jsonl", "\n".join([*BROKEN_JSONL[:16], '{"message": "a, ', *BROKEN_JSONL[17:]]).encode(), "rows.jsonl:17", "",
    ),
    "a line of a JSONL without the label": (
        "rows.jsonl", "\n".join([*BROKEN_JSONL[:4], '{"message": "a b c"}', *BROKEN_JSONL[5:]]).encode(), "rows.jsonl:5", "intent",
    ),
    "one label": ("rows.csv", (HEADER + "".join(f"{row['message']},rental\n" for row in messages_of(30))).encode(), "rows.csv", "rental"),
    "NUL bytes": ("rows.csv", (HEADER + ROWS).replace("mend", "me\0nd").encode(), "rows.csv", "NUL"),
    "an image": ("rows.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), "rows.csv", ""),
    "a cut-off gzip": ("rows.csv.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x02", "rows.csv.gz", ""),
}  # fmt: skip


@pytest.mark.parametrize("command", ["run", "prepare", "check"])
@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_cannot_be_used_is_refused_with_its_place(name: str, command: str, workplace: Path, recipes: Recipes) -> None:
    file, content, where, says = SOURCES[name]
    (workplace / file).write_bytes(content)
    made = recipes(workplace / "", data__source=file, data__fields={"text": "message", "label": "intent"})
    (workplace / file).write_bytes(content)
    refused(command, made, where=where, says=says)


def test_a_source_that_is_not_there_is_refused(workplace: Path, recipes: Recipes) -> None:
    refused("run", recipes(workplace, data__source="missing.csv"), where="missing.csv")


def test_many_broken_rows_are_listed_together_and_may_be_dropped(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, data__source="many.jsonl")
    Path("many.jsonl").write_text("\n".join([*BROKEN_JSONL, *["{"] * 25]) + "\n")
    errors = refused("run", made, where="many.jsonl:61")
    assert len(errors) == 20
    said = luthier("prepare", made, "--set", "data.bad_rows=drop", "--json")
    assert said.code == 0
    assert sum(said.json["dropped"]["read"].values()) == 25


def test_a_label_that_only_test_rows_have_is_refused(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace)
    rows = [{**row, "id": f"r{i}"} for i, row in enumerate(messages_of(60))]
    write_rows(workplace / "rows.csv", rows)
    assert luthier("prepare", made).code == 0
    tested = next(row["id"] for row in kept_rows(workplace / "runs" / "classify") if row["side"] == "test")
    at = int(tested[1:])
    rows[at] = {**rows[at], "intent": "lonely"}
    write_rows(workplace / "rows.csv", rows)
    errors = refused("run", made, where=f"rows.csv:{at + 2}", says="lonely")
    assert "cannot be learnt" in errors[0]["problem"]


def test_a_row_longer_than_the_context_is_refused_dropped_or_cut_as_the_recipe_says(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, "answer")
    lines = Path("rows.jsonl").read_text().splitlines()
    long = [json.dumps({"prompt": f"{json.loads(line)['prompt']} " * 40, "completion": "short"}) for line in lines[:6]]
    Path("rows.jsonl").write_text("\n".join([*long, *lines[6:]]) + "\n")
    assert luthier("prepare", made).code == 0
    before = listing(workplace)
    said = luthier("run", made, "--json")
    assert said.code == 2
    assert listing(workplace) == before
    assert all("rows.jsonl:" in one["where"] and "256" in one["problem"] and "too_long" in one["fix"] for one in said.json["errors"])
    dropped = luthier("tune", made, "--set", "train.too_long=drop", "--json").json["train"]
    cut = luthier("tune", made, "--set", "train.too_long=cut", "--json").json["train"]
    assert dropped["n_too_long"] == cut["n_too_long"] == dropped["n_dropped"] == cut["n_cut"] >= 1
    assert cut["n_examples"] - dropped["n_examples"] == cut["n_cut"]
    assert cut["longest_tokens"] <= 256 and cut["n_tokens_removed"] > 0


def test_a_base_that_is_no_model_is_refused_before_anything_is_made(workplace: Path, recipes: Recipes) -> None:
    (workplace / "folder").mkdir()
    made = recipes(workplace)
    for base, where in (("./folder", "folder"), ("./nowhere", "nowhere"), ("nobody/no-such-model", "no-such-model"), ("sprot", "sprot")):
        refused("run", made, "--set", f"model.base={base}", where=where)


def test_a_model_folder_with_broken_weights_is_refused(workplace: Path, recipes: Recipes, model: Path) -> None:
    broken = workplace / "broken"
    broken.mkdir()
    for path in model.iterdir():
        (broken / path.name).write_bytes(path.read_bytes()[:100] if path.suffix == ".safetensors" else path.read_bytes())
    made = recipes(workplace, model__base="./broken")
    assert luthier("prepare", made).code == 0
    refused("run", made, where="broken")


OPTIONS: dict[str, tuple[dict[str, object], str, str]] = {
    "an unknown option": ({"train__epoch": 3}, "[train] epoch", "epochs"),
    "an unknown section": ({"training__epochs": 3}, "training", "train"),
    "a wrong type": ({"train__epochs": "three"}, "[train] epochs", ""),
    "a number out of range": ({"train__batch_rows": 0}, "[train] batch_rows", ""),
    "an option of another section": ({"train__rank": 8}, "[train] rank", "[method]"),
    "an option that this kind does not have": ({"method__kind": "full", "method__rank": 8}, "[method] rank", "lora"),
    "an unknown kind": ({"method__kind": "lorra"}, "[method] kind", "lora"),
    "a head where nothing is classified": ({"goal__task": "pretrain", "head__pooling": "last"}, "[head] pooling", "no effect"),
    "random weights under an adapter": ({"model__weights": "random"}, "[model] weights", ""),
    "a metric of another task": ({"goal__metric": "chrf"}, "[goal] metric", ""),
    "a bar that cannot be reached": ({"goal__at_least": 75}, "[goal] at_least", "0.75"),
    "a system that is not compared": ({"goal__beat": ["gpt"]}, "[goal] beat", "base"),
    "a seed below 0": ({"seed": -1}, "seed", "0 or more"),
    "no layers to adapt": ({"method__kind": "lora", "method__targets": []}, "[method] targets", "nothing would be trained"),
    "a source without a name": ({"data__source": ""}, "[data] source", "names no file"),
    "a column with two roles": ({"data__fields": {"text": "message", "label": "message"}}, "[data] fields", "text and label"),
    "the labels as groups": (
        {"data__fields": {"text": "message", "label": "intent"}, "data__group": "intent"}, "[data] group", "one side only",
    ),
    "another encoding than the file's": ({"data__encoding": "utf-16"}, "rows.csv:1", "UTF-16"),
    "an encoding that encodes nothing": ({"data__encoding": "undefined"}, "[data] encoding", "not an encoding"),
    "a name that names no folder": ({"name": "a/b"}, "name", "folder"),
    "patience without validation": (
        {"train__patience": 2, "data__split": {"train": 0.8, "validation": 0.0, "test": 0.2}}, "[train] patience", "no effect",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_is_unknown_mistyped_or_without_effect_is_refused(name: str, workplace: Path, recipes: Recipes) -> None:
    options, where, says = OPTIONS[name]
    for command in ("run", "check"):
        refused(command, recipes(workplace, **options), where=where, says=says)


@pytest.mark.parametrize(
    ("setting", "where"),
    [
        ("train.epoch=3", "--set train.epoch"), ("train.epochs=three", "--set train.epochs"), ("train.epochs", "--set train.epochs"),
        ("method.kind=lorra", "--set method.kind"), ("nonsense=1", "--set nonsense"), ("data.split.test=2", "--set data.split"),
    ],
)  # fmt: skip
def test_a_setting_on_the_command_line_is_refused_with_its_own_place(setting: str, where: str, workplace: Path, recipes: Recipes) -> None:
    refused("run", recipes(workplace), "--set", setting, where=where)


def test_every_mistake_of_a_recipe_is_said_at_once(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, train__epoch=3, method__rnak=4, goal__metric="f1")
    assert len(refused("run", made, where="classify.toml")) == 3


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"name = ", "broken.toml:1"), (b'name = "x"\n[goal\n', "broken.toml:2"), (b"", "broken.toml"), (b'name = "\xff"', "broken.toml:1"),
        (b'name = "x\0"', "broken.toml:1"), (b'name = "x"\nname = "y"\n', "broken.toml:2"),
    ],
)  # fmt: skip
def test_a_recipe_that_is_no_recipe_is_refused_with_its_line(content: bytes, where: str, workplace: Path) -> None:
    Path("broken.toml").write_bytes(content)
    refused("run", "broken.toml", where=where)


def test_recipes_and_runs_that_are_not_there_are_refused(workplace: Path) -> None:
    Path("x.csv").write_text(HEADER + ROWS)
    for command in ("run", "check", "prepare", "tune", "evaluate", "show"):
        refused(command, "missing.toml", where="missing.toml")
    refused("show", "missing", where="missing", says="no such run")
    refused("compare", "one", "two", where="one", says="no such run")
    refused("compare", "one", "one", where="compare")
    refused("predict", "missing", "x.csv", "-o", "out.csv", where="missing", says="no such run")
    assert_refusal(luthier("chat", "missing"))
    refused("new", "x/y", "--data", "x.csv", where="x/y")
    refused("new", "x", "--data", "missing.csv", where="missing.csv")
    Path("x.toml").write_text("")
    refused("new", "x", "--data", "x.csv", where="x.toml")


LONG = "x" * 300


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"data__source": LONG}, "File name too long"), ({"model__base": LONG}, "File name too long"),
        ({"data__source": "~nobody-is-called-so.csv"}, "no such file"),
        ({"prepare__steps": [{"kind": "contamination", "against": ["~nobody-is-called-so"]}]}, "no such file"),
        ({"data__source": "a\0b"}, "NUL"), ({"data__encoding": "\0"}, "NUL"),
    ],
)  # fmt: skip
def test_a_path_that_no_file_can_have_is_refused(options: dict[str, object], says: str, workplace: Path, recipes: Recipes) -> None:
    refused("check", recipes(workplace, **options), where="", says=says)


def test_a_place_where_no_file_can_be_is_refused(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace)
    refused("new", "mine", "--data", LONG, where=LONG, says="File name too long")
    refused("show", LONG, where=LONG, says="File name too long")
    refused("show", made, "--runs", LONG, where=LONG, says="File name too long")
    for page in (".", f"{made}/page.html"):
        refused("check", made, "--page", page, where=page.partition("/page")[0], says="could not be written")


def test_a_command_line_that_is_no_command_is_refused_with_its_place(workplace: Path) -> None:
    refused("frobnicate", where="luthier", says="frobnicate")
    refused("run", where="luthier run", says="RECIPE")
    refused("run", "--frobnicate", "x.toml", where="luthier run", says="--frobnicate")
    refused("show", "x", "--rows", "0", where="luthier show", says="--rows")
    refused("predict", "x", "y", "-o", "z", "--abstain-below", "2", where="luthier predict", says="--abstain-below")
    alone = luthier()
    assert alone.code == 2
    assert "Usage: luthier" in alone.out and "predict" in alone.out


def test_a_folder_that_is_no_run_is_left_alone(workplace: Path, recipes: Recipes) -> None:
    precious = workplace / "runs" / "classify" / "thesis.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    refused("run", recipes(workplace), where="classify", says="thesis.txt")


def test_what_a_run_holds_is_left_alone_when_its_rows_are_broken_later(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace)
    assert luthier("run", made).code in (0, 3)
    whole = Path("rows.csv").read_bytes()
    Path("rows.csv").write_bytes(whole + b'"a quote that does not end,\n')
    refused("run", made, where="rows.csv")
    Path("rows.csv").write_bytes(whole)
    assert luthier("run", made).err.count("done before") == 7


# -- processes of their own ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "method"), [("classify", {"method__kind": "lora", "method__rank": 1}), ("answer", {"method__kind": "full"})]
)
def test_a_full_disk_is_said_and_the_same_command_goes_on_when_there_is_space(
    task: str, method: dict[str, object], workplace: Path, recipes: Recipes, calls: Calls
) -> None:
    made = recipes(workplace, task, n=40, train__save_every_s=0, **method)
    straight = calls.said(workplace, "run", made.name, "--json", "--runs", "straight")
    largest = max(len(content) for content in listing(workplace / "straight").values())
    refusals = [full(calls, workplace, made, size) for size in (0, 100, 1500)]
    assert not (workplace / "runs" / task / "prepare.done").exists()
    assert calls.said(workplace, "prepare", made.name).code == 0
    refusals += [full(calls, workplace, made, size) for size in (100, 1500, largest - 1)]
    assert calls.said(workplace, "tune", made.name).code == 0
    refusals += [full(calls, workplace, made, size) for size in (100, 1000)]
    assert len(set(refusals)) >= 5, refusals
    said = calls.said(workplace, "run", made.name, "--json")
    assert said.code == straight.code
    assert without_times(said.json) == without_times(straight.json)


def full(calls: Calls, workplace: Path, made: Path, size: int) -> str:
    """Run where no file may be longer than `size` bytes; gives the place that the error names."""
    said = calls.said(workplace, "run", made.name, "--json", max_file_bytes=size)
    assert said.code == 2, (size, said)
    assert "Traceback" not in said.err
    (error,) = said.json["errors"]
    assert "could not be written" in error["problem"]
    assert "free space" in error["fix"]
    assert not list(workplace.rglob("*.tmp"))
    place: str = error["where"]
    return place


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_asked_to_stop_exits_130_and_the_same_command_goes_on_to_the_same_report(
    number: signal.Signals, workplace: Path, recipes: Recipes, calls: Calls
) -> None:
    made = recipes(workplace, "chat", n=40, train__epochs=2, train__save_every_s=0)
    straight = calls.said(workplace, "run", made.name, "--json", "--runs", "straight")
    assert straight.code in (0, 3)
    stopped = set()
    for event in range(4, 100, 6):
        said = calls.said(workplace, "run", made.name, "--json", event=event, number=number)
        if said.code in (0, 3):
            break
        assert (said.code, said.out) == (130, "")
        assert "Traceback" not in said.err and "goes on from here" in said.err
        stopped.add(said.err.strip().splitlines()[-1])
    assert len(stopped) >= 2 and any("after step" in one for one in stopped), stopped
    said = calls.said(workplace, "run", made.name, "--json")
    assert without_times(said.json) == without_times(straight.json)
    tensors = [
        {name: content for name, content in listing(workplace / runs / "chat" / "bundle").items() if name.endswith(".safetensors")}
        for runs in ("straight", "runs")
    ]
    assert tensors[0] == tensors[1] != {}


@pytest.mark.slow
def test_a_second_run_in_the_same_folder_is_refused_while_the_first_is_at_work(workplace: Path, recipes: Recipes) -> None:
    made = recipes(workplace, train__epochs=100)
    first = started("tune", made.name, folder=workplace)
    assert first.stderr is not None
    said_so_far = ""
    while "tune" not in said_so_far:
        said_so_far = first.stderr.readline()
        assert said_so_far, "it ended before it began to tune"
    second = luthier("run", made, "--json")
    assert second.code == 2
    (error,) = second.json["errors"]
    assert f"process {first.pid} is at work" in error["problem"] and "classify" in error["where"]
    ending = ended(first, signal.SIGINT)
    assert ending.code == 130 and "Traceback" not in ending.err
    assert luthier("prepare", made).code == 0, "the lock is free again"
