"""Characters that nobody sees, and space that says nothing."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from dataclasses import dataclass
from typing import ClassVar, Literal

from luthier.core.examples import AnyExample, Labelled
from luthier.core.options import option
from luthier.data.decisions import Changed, Kept, changed_or_kept

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Controls but \t and \n; soft hyphen; zero-width space, marks and bidirectional controls; invisible operators; the
# byte-order mark; interlinear marks. The zero-width (non-)joiners stay: emoji, Persian and Indic scripts need them.
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
# Tag characters are how the flags of England, Scotland and Wales are written, and otherwise invisible text.
_TAGS = re.compile("(\U0001f3f4[\U000e0020-\U000e007f]+)|[\U000e0000-\U000e007f]+")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_FENCE = re.compile(r"(^[ \t]*```.*?^[ \t]*```[^\n]*$)", re.MULTILINE | re.DOTALL)
# A run of spaces after a word; the line is not indented (code, lists) and draws no table.
_RUN = re.compile(r"(?<=\S) {2,}")
_DRAWN = re.compile(r"^[ \t]|\||^[-=+~ ]+$|\t")
_BLANK_LINES = re.compile(r"\n{4,}")


@dataclass(frozen=True, kw_only=True)
class Whitespace:
    r"""Removes control and invisible characters, brings text to one of Unicode's forms, and tidies space.

    Line breaks become `\n`, exotic spaces plain ones; space at line ends goes, runs of spaces inside a line become
    one, more than two blank lines become two. Indentation, tables drawn with characters and fenced code keep their
    shape. A label is stripped. Forms: Unicode Standard Annex 15.
    """

    kind: Literal["whitespace"] = "whitespace"
    form: Literal["NFC", "NFKC"] = option(
        "NFC", about="Unicode form: NFC joins letters and their marks; NFKC also makes ﬁ, ², ① and Ａ plain fi, 2, 1 and A",
        why="it changes how text is coded, never what it says",
    )
    decodes: ClassVar[bool] = False

    def apply(self, example: AnyExample) -> Kept | Changed:
        """`Changed` with what was found: control or invisible characters, Unicode form, space."""
        visible = example.map_text(_visible)
        composed = visible.map_text(lambda text: text if text.isascii() else unicodedata.normalize(self.form, text))
        tidy = composed.map_text(_tidy)
        if isinstance(tidy, Labelled) and tidy.label is not None and tidy.label.strip():
            tidy = dataclasses.replace(tidy, label=tidy.label.strip())
        stages = ((example, visible, "control or invisible characters"), (visible, composed, "Unicode form"), (composed, tidy, "space"))
        return changed_or_kept(example, tidy, ", ".join(name for before, after, name in stages if before != after))


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
    text = _TAGS.sub(lambda found: found[1] or "", text)
    return _LONE_SURROGATE.sub("\ufffd", text)


def _tidy(text: str) -> str:
    # Ends and heads of lines first: whether a line is indented or drawn must not change afterwards.
    text = "\n".join(line.rstrip(" \t") for line in _SPACES.sub(" ", text).split("\n")).rstrip()
    text = _without_head(_BLANK_LINES.sub("\n\n\n", text))
    # split keeps what the pattern captured: every second part is fenced code.
    return "".join(part if i % 2 else _tidy_prose(part) for i, part in enumerate(_FENCE.split(text)))


def _tidy_prose(text: str) -> str:
    if "  " not in text:
        return text
    return "\n".join(line if _DRAWN.search(line) else _RUN.sub(" ", line) for line in text.split("\n"))


def _without_head(text: str) -> str:
    """`text` without blank lines before it, and without an indentation that its other lines do not share."""
    text = text.lstrip("\n")
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines or not lines[0][0].isspace():
        return text
    shared = min((_indentation(line) for line in lines[1:]), default=0)
    return text if shared >= _indentation(lines[0]) else text.lstrip()


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
