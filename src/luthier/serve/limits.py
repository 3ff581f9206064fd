"""How much one server takes on; beyond it, requests are refused rather than left to hang."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from luthier.core.errors import Complaints
from luthier.core.plain_words import nearest


@dataclass(frozen=True)
class Limits:
    """The limits of a server.

    Attributes:
        concurrent: replies that are decoded together, on each base model.
        queue: replies that may wait beyond those; more are refused with 429.
        body_bytes: the largest request; more is refused with 413.
        prompt_tokens: the longest prompt, where the model's own context is not shorter.
        max_tokens: the longest reply that may be asked for.
        request_s: the longest that a request may take, waiting included.
        grace_s: how long replies under way may go on once the server is asked to stop.
        choices: the most replies that one request may ask for (prompts times `n`).
        messages: the longest conversation, in messages: the template writes it anew for each of the assistant's.
        cache_mib: memory for keys and values of the replies under way, on each base model.

    """

    concurrent: int = 64
    queue: int = 256
    body_bytes: int = 4 * 2**20
    prompt_tokens: int = 131072
    max_tokens: int = 8192
    request_s: float = 600.0
    grace_s: float = 30.0
    choices: int = 64
    messages: int = 512
    cache_mib: int = 4096

    @classmethod
    def of(cls, given: Sequence[str]) -> Limits:
        """The defaults with some changed, each given as `name=number`.

        Raises:
            LuthierError: no such limit, or no such number; all of them at once.

        """
        kinds: dict[str, type[int] | type[float]] = {name: type(value) for name, value in dataclasses.asdict(cls()).items()}
        complaints = Complaints()
        values: dict[str, int | float] = {}
        for text in given:
            name, _, value = text.partition("=")
            if name not in kinds:
                close = nearest(name, list(kinds))
                fix = f'did you mean "{close}"?' if close else f"there are {', '.join(kinds)}"
                complaints.add(f"--set {text}", f"there is no limit {name!r}", fix)
                continue
            try:
                values[name] = kinds[name](value)
            except ValueError:
                complaints.add(f"--set {text}", f"{value!r} is no number of the kind {kinds[name].__name__}", f"give {name}=NUMBER")
                continue
            if not (0 if name in ("queue", "grace_s") else 1e-9) <= values[name] < float("inf"):
                complaints.add(f"--set {text}", "it is out of range", "give a number above 0")
        complaints.raise_if_any()
        return cls(**values)  # type: ignore[arg-type]
