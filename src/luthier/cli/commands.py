"""The commands. Each imports its stage when it is called, so that `--help` stays quick."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from luthier import __version__
from luthier.cli.common import RUNS, AsJson, Overrides, RecipePath, RunName, Runs
from luthier.cli.common import in_folder as _in
from luthier.cli.common import out as _out
from luthier.cli.common import program as _program
from luthier.cli.common import result as _result
from luthier.cli.common import say as _say
from luthier.cli.private import unmask
from luthier.cli.rows import curve, erase, rows

app = typer.Typer(
    name="luthier",
    help="Tune a language model to your work, prove that it got better, serve it, and keep it in tune.",
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

HELD = 3


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"luthier {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Tune a language model to your work, prove that it got better, serve it, and keep it in tune."""


@app.command()
def demo(runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """The whole loop on bundled rows and the embedded model, offline.

    Example: `luthier demo`
    """
    from luthier.stages.demo import NAME, next_lines, run_demo

    report = run_demo(runs, _say)
    _print_report(report, runs / NAME, as_json, next_lines(runs, _program(), _in(runs)))
    _say("The last line makes a recipe for a file of rows: as it stands for the demo's, or for one of your own in its place.")


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The run's name; the recipe becomes NAME.toml.", show_default=False)],
    data: Annotated[
        Path,
        typer.Option("--data", metavar="FILE", help="Your rows: tables, JSON(L), texts or pages; a folder or archive.", show_default=False),
    ],
    as_json: AsJson = False,
) -> None:
    """Look at a file and write a recipe that you can read and change.

    Example: `luthier new tickets --data tickets.csv`
    """
    from luthier.stages.new import write_recipe

    made = write_recipe(name, data)
    _result(
        {"recipe": str(made.path), "said": made.said},
        as_json,
        lambda: _say(f"{made.said}\nWrote {made.path}. Next: luthier check {made.path}"),
    )


@app.command()
def check(
    recipe: RecipePath,
    set_: Overrides = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", metavar="FILE", help="Where the page about the rows goes; into the cache by default.", show_default=False),
    ] = None,
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Say what the rows are like and what a recipe will do before it does it: troubles, memory, time, each default with its reason.

    Example: `luthier check tickets.toml`
    """
    from luthier.stages.check import check_recipe

    found = check_recipe(recipe, set_ or [], runs, page)
    _result(found.as_dict(), as_json, lambda: _out(found.as_text()))


@app.command()
def run(recipe: RecipePath, set_: Overrides = None, runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """The whole loop: prepare, tune, evaluate, bundle. What is done for the same inputs is skipped.

    Example: `luthier run tickets.toml --set train.epochs=5`
    """
    from luthier.stages.recipe import load_recipe
    from luthier.stages.run import opened, run_all

    with opened(load_recipe(recipe, set_ or []), runs, _say) as job:
        report = run_all(job)
    _print_report(report, job.run.folder, as_json, next_lines=(f"{_program()} predict {job.run.name} FILE -o OUT{_in(runs)}",))
    _exit_by(report)


@app.command()
def prepare(recipe: RecipePath, set_: Overrides = None, runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """Read, clean and split the rows, with a reason for each one that is dropped or changed.

    Example: `luthier prepare tickets.toml`
    """
    from luthier.stages.recipe import load_recipe
    from luthier.stages.run import opened, run_prepare
    from luthier.stages.texts import prepared_text

    with opened(load_recipe(recipe, set_ or []), runs, _say) as job:
        found = run_prepare(job)
    _result(found, as_json, lambda: _out(prepared_text(found, job.run.folder)))


@app.command()
def tune(recipe: RecipePath, set_: Overrides = None, runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """Prepare if need be, then train; goes on where it was interrupted.

    Example: `luthier tune tickets.toml`
    """
    from luthier.stages.recipe import load_recipe
    from luthier.stages.run import opened, run_tune
    from luthier.stages.texts import tuned_text

    with opened(load_recipe(recipe, set_ or []), runs, _say) as job:
        found = run_tune(job)
    _result(found, as_json, lambda: _out(tuned_text(found, job.run.folder)))


@app.command()
def evaluate(recipe: RecipePath, set_: Overrides = None, runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """Tune if need be, then measure against the baselines on the untouched test rows.

    Example: `luthier evaluate tickets.toml`
    """
    from luthier.stages.recipe import load_recipe
    from luthier.stages.run import opened, run_evaluate

    with opened(load_recipe(recipe, set_ or []), runs, _say) as job:
        report = run_evaluate(job)
    _print_report(report, job.run.folder, as_json)
    _exit_by(report)


@app.command()
def show(
    what: Annotated[str, typer.Argument(metavar="RECIPE|RUN", help="A recipe, or a run's name or folder.", show_default=False)],
    rows: Annotated[int, typer.Option("--rows", metavar="N", min=1, help="How many rows.")] = 3,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="RUN", help="Show instead how the rows differ from those of this run.", show_default=False),
    ] = None,
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Rows as the model sees them: which tokens are trained, what was cut, which rows were dropped and why, what changed.

    Example: `luthier show tickets --rows 5`
    """
    from luthier.stages.shown import in_color

    if against is not None:
        from luthier.stages.changes import changes_between

        changes = changes_between(what, against, rows, runs)
        _result(changes.as_dict(), as_json, lambda: _out(changes.as_text(in_color())))
        return
    from luthier.stages.show import show_rows

    found = show_rows(what, rows, runs)
    _result(found.as_dict(), as_json, lambda: _out(found.as_text(in_color())))


app.command()(curve)
app.command()(erase)
app.command()(rows)


@app.command()
def compare(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN RUN…", help="Two or more runs that were tested on the same rows.", show_default=False)
    ],
    page: Annotated[
        Path | None,
        typer.Option("--page", metavar="FILE", help="Where the page goes; beside the runs by default.", show_default=False),
    ] = None,
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Paired differences between runs that were tested on the same rows, here and as a page.

    Example: `luthier compare tickets tickets-full`
    """
    from luthier.stages.compare import compare_runs, page_path, write_comparison

    found = compare_runs(names, runs)
    path = page or page_path(names, runs)
    write_comparison(found, path)
    _result({**found.as_dict(), "page": str(path)}, as_json, lambda: _out(f"{found.as_text()}\nPage: {path}"))


@app.command()
def report(name: RunName, runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """Write the report of a run as a page, from its files, and open it where the output is a terminal.

    Example: `luthier report tickets`
    """
    from luthier.core.runs import find_run
    from luthier.stages.report import write_page

    path = write_page(find_run(runs, name))
    _result({"page": str(path)}, as_json, lambda: _out(str(path)))
    if sys.stdout.isatty() and not as_json:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


@app.command()
def predict(
    name: RunName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows of the shape that was trained.", show_default=False)],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT", help="Where the same rows go, with answer, score and abstain.", show_default=False)
    ],
    abstain_below: Annotated[
        float, typer.Option("--abstain-below", metavar="P", min=0, max=1, help="Abstain where the score is below this.")
    ] = 0.0,
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Answer each row of a file; goes on where it was interrupted.

    Example: `luthier predict tickets new.csv -o answers.csv`
    """
    from luthier.stages.predict import predict_file

    found = predict_file(name, file, out, abstain_below, runs)
    cut = f"; too long and cut: {found['n_cut']:,} (by {found['n_tokens_cut']:,} tokens in all)" if found["n_cut"] else ""
    _result(found, as_json, lambda: _say(f"{found['n_rows']:,} rows answered in {out}{cut}"))


@app.command()
def chat(
    name: RunName,
    temperature: Annotated[
        float | None, typer.Option("--temperature", metavar="T", min=0, help="0 (default): the likeliest token.", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Of the draws at a temperature above 0; 0 by default.", show_default=False)
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Talk to a run's model, or to a base such as `sprout`, in the terminal.

    Example: `luthier chat tickets`
    """
    from luthier.stages.chat import chat_with

    chat_with(name, temperature, seed, runs)


@app.command()
def serve(
    names: Annotated[list[str] | None, typer.Argument(metavar="RUN…", help="Runs, by name or folder.", show_default=False)] = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="MODEL", help="A base model to serve as it is; sprout without RUN.", show_default=False)
    ] = None,
    host: Annotated[str, typer.Option("--host", metavar="H", help="Where to listen; beyond this machine only with keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="P", min=0, max=65535, help="0 takes a free one and prints it.")] = 8000,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="Hashed API keys, made by `luthier key FILE`.", show_default=False)
    ] = None,
    without_report: Annotated[bool, typer.Option("--without-report", help="Serve bundles that were never evaluated, and say so.")] = False,
    log_tokens: Annotated[
        Path | None, typer.Option("--log-tokens", metavar="FILE", help="Append the token ids of each exchange.", show_default=False)
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="LIMIT=N", help="Changes a limit, e.g. `--set queue=32`.", show_default=False)
    ] = None,
    runs: Runs = RUNS,
) -> None:
    """Answer over HTTP as OpenAI's interface does: chat, completions, models.

    Example: `luthier serve tickets --port 8000`
    """
    from luthier.serve.server import Address
    from luthier.stages.serve import Wanted
    from luthier.stages.serve import serve as serve_models

    serve_models(Wanted(names or (), base, Address(host, port), keys, without_report, log_tokens, set_ or (), runs), _say)


@app.command()
def bench(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A base model: a folder, a hub id, or sprout.", show_default=False)],
    rows: Annotated[Path, typer.Argument(metavar="ROWS", help='JSONL with {"messages": [...]} on each line.', show_default=False)],
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=1, help="Steps to take, with rows in the file's order.")] = 16,
    warmup: Annotated[int, typer.Option("--warmup", metavar="N", min=0, help="The first steps, which the rates leave out.")] = 3,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Rows of a step.")] = 16,
    lr: Annotated[float, typer.Option("--lr", metavar="RATE", help="The learning rate, the same at each step.")] = 2e-4,
    full: Annotated[bool, typer.Option("--full", help="Train all weights instead of LoRA of rank 16.")] = False,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of LoRA's first weights.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure how fast a model is tuned here, and print one line of JSON; nothing is written.

    Example: `luthier bench sprout chats.jsonl --steps 16`
    """
    import time

    began_s = time.perf_counter()  # the imports are part of the wait
    from luthier.core.jsonvalue import dump
    from luthier.stages.bench import Asked
    from luthier.stages.bench import bench as measure

    found = measure(Asked(model, rows, steps, warmup, batch, lr, full, seed), began_s)
    _out(dump(found))
    if not as_json:
        computed = f"{found['nodes_per_token']} computed for each token of the rows"
        _say(f"{found['supervised_tokens_per_s']:,} trained tokens a second, {computed}")


@app.command()
def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where its hash is added.", show_default=False)], as_json: AsJson = False
) -> None:
    """Make an API key for the server: it is printed once, and only its hash is kept.

    Example: `luthier key keys.txt`
    """
    from luthier.serve.keys import new_key

    made = new_key(file)
    _say(f"Its hash was added to {file}. This is the key; it stands nowhere else:")
    _result({"key": made, "file": str(file)}, as_json, lambda: _out(made))


app.command()(unmask)


def _print_report(report: Mapping[str, Any], folder: Path, as_json: bool, next_lines: tuple[str, ...] = ()) -> None:
    """The report, for a program or for people."""
    from luthier.stages.texts import report_text

    _result(report, as_json, lambda: _out(report_text(report, folder, next_lines)))


def _exit_by(report: Mapping[str, Any]) -> None:
    """Leave with the exit code that the gate asks for."""
    if report["verdict"] != "ship":
        raise typer.Exit(HELD)
