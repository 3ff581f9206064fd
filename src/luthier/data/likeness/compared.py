"""Which of a row's text is compared when two rows are asked whether they are alike."""

from __future__ import annotations

import unicodedata

from luthier.core.examples import AnyExample, Chat, Pair, Preference, Ranking, Rated
from luthier.core.jsonvalue import dump
from luthier.core.messages import Message


def normalised(text: str) -> str:
    """`text` without case, width (NFKC) and differences of space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def asked(example: AnyExample) -> str:
    """What the model is given: the text, the prompt, or what the user says; normalised.

    A system message is left out, for rows share it and would all look alike.
    """
    if isinstance(example, Pair):
        return normalised(example.prompt)
    if isinstance(example, Chat):
        return normalised("\n".join(_words(message) for message in example.messages if message.role == "user"))
    if isinstance(example, Preference | Ranking | Rated):
        return normalised("\n".join(_words(message) for message in example.prompt if message.role == "user"))
    return normalised(example.text)


def answered(example: AnyExample) -> str:
    """What the model is to say, or to prefer: the completion, what the assistant says, all replies; normalised. Else empty."""
    if isinstance(example, Pair):
        return normalised(example.completion)
    if isinstance(example, Chat):
        return normalised("\n".join(_words(message) for message in example.messages if message.role == "assistant"))
    if isinstance(example, Preference):
        return normalised("\n".join(_words(message) for message in (*example.chosen, *example.rejected)))
    if isinstance(example, Ranking):
        return normalised("\n".join(_words(message) for reply in example.replies for message in reply))
    if isinstance(example, Rated):
        return normalised("\n".join(_words(message) for message in example.completion))
    return ""


def whole(example: AnyExample) -> str:
    """Everything that is particular to the row: what is asked and what is answered; normalised."""
    if isinstance(example, Pair):
        return normalised(f"{example.prompt}\n{example.completion}")
    if isinstance(example, Chat):
        return normalised("\n".join(_words(message) for message in example.messages if message.role not in ("system", "developer")))
    return normalised(example.text)


def lines(example: AnyExample) -> dict[str, None]:
    """The distinct lines of the row's texts in order, each normalised; blank ones left out."""
    found = (normalised(line) for text in example.texts() for line in text.splitlines())
    return dict.fromkeys(line for line in found if line)


def _words(message: Message) -> str:
    """A message's text, and in words what of it is not text: calls that differ make rows differ."""
    calls = [f"{call.name} {call.arguments}" for call in message.tool_calls]
    parts = [f"{part.kind} {dump(part.payload)}" for part in message.other_parts]
    return "\n".join([message.text, *calls, *parts])
