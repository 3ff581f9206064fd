"""How to run a bundle, said in commands that work in its folder."""

from __future__ import annotations

from luthier.serve.bundle import Card
from luthier.serve.papers.container import PORT


def how_to_run(card: Card, wheel: str, base_folder: str | None) -> list[str]:
    """The lines of the card's last section: install, command line, Python, HTTP, container."""
    lines = [
        f"In the folder of this file; `{wheel}` in it is Luthier itself, so no index needs to know it. Python 3.11 or newer:", "",
        "    pip install -r requirements.lock", "",
    ]  # fmt: skip
    if base_folder is not None:
        lines += ["The base model was a folder; it has to stand at the same path again (`base` in `bundle.json`), with the same files.", ""]
    elif card.base != "sprout" and card.method != "full":
        lines += [f"The base model `{card.base}` is loaded from the hub the first time.", ""]
    if card.task != "pretrain":
        lines += [
            "Command line:", "", "    luthier predict . rows.csv -o answers.csv", "    luthier chat .", "",
            "Python:", "", "```python", *_python(), "```", "",
        ]  # fmt: skip
    door, body = "chat/completions", '"messages": [{"role": "user", "content": "…"}]'
    if card.task == "pretrain":
        door, body = "completions", '"prompt": "…"'
    return [
        *lines,
        "HTTP, in the form of OpenAI's interface, on this machine alone:", "", f"    luthier serve . --port {PORT}",
        f"    curl http://127.0.0.1:{PORT}/v1/{door} -H 'Content-Type: application/json' \\",
        f"      -d '{{\"model\": \"{card.name}\", {body}}}'", "",
        "Container: its first lines say how it is built and run.", "", "    docker build -f Containerfile -t " + card.name.lower() + " .",
    ]  # fmt: skip


def _python() -> list[str]:
    return [
        "from pathlib import Path",
        "from luthier.stages.predict import predict_file",
        "",
        'predict_file(".", Path("rows.csv"), Path("answers.csv"), abstain_below=0.0, runs=Path("runs"))',
    ]
