"""Serve: bundles and bases behind OpenAI's interface."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.serve.app import Service
from luthier.serve.keys import Keys
from luthier.serve.limits import Limits
from luthier.serve.models import Served, open_models
from luthier.serve.server import Address, gated, run
from luthier.serve.token_log import TokenLog
from luthier.stages.predict import bundle_of
from luthier.stages.tune import device

LOG = logging.getLogger("luthier.serve")


@dataclass(frozen=True)
class Wanted:
    """What `luthier serve` was asked for."""

    names: Sequence[str] = ()
    base: str | None = None
    address: Address = Address()
    keys_file: Path | None = None
    without_report: bool = False
    log_tokens: Path | None = None
    limits: Sequence[str] = ()
    runs: Path = Path("runs")


def serve(wanted: Wanted, say: Callable[[str], None]) -> None:
    """Serve runs, and a base, until a signal; without either, the embedded base.

    Raises:
        LuthierError: a model cannot be served, or the server not be reached as asked.

    """
    limits = Limits.of(wanted.limits)
    keys = None if wanted.keys_file is None else Keys.read(wanted.keys_file)
    # What is wrong with the address is said before minutes of loading.
    wanted.address.bind().close()
    gated(Service({}, limits), wanted.address.host, keys)
    folders = [bundle_of(name, wanted.runs) for name in wanted.names]
    bases = [wanted.base] if wanted.base is not None else [] if folders else ["sprout"]
    models = open_models(folders, bases, limits, str(device()), wanted.without_report)
    _log_to_stderr()
    _record(models)
    token_log = None if wanted.log_tokens is None else TokenLog(wanted.log_tokens)
    try:
        run(Service(models, limits, token_log), wanted.address, keys, say)
    finally:
        if token_log is not None:
            token_log.close()


def _record(models: Mapping[str, Served]) -> None:
    """Say in the log what is served, and what nobody should be surprised by later."""
    for served in models.values():
        what = "a base model" if served.card is None else f"tuned by {served.card.method} from {served.card.base}"
        LOG.info("%s: %s, %d tokens of context", served.id, what, served.context)
        if served.card is not None and served.verdict is None:
            LOG.warning("%s: SERVED WITHOUT A REPORT (--without-report): nobody knows how good it is", served.id)
        elif served.verdict not in (None, "ship"):
            LOG.warning("%s: its report's verdict is %s: it was NOT SHOWN to be good enough", served.id, str(served.verdict).upper())


def _log_to_stderr() -> None:
    """One line an event on stderr; a program that set up logging itself is left alone."""
    if not LOG.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        LOG.addHandler(handler)
        LOG.setLevel(logging.INFO)
