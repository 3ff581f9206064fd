"""Markdown and wiki markup made into the text that they show, in time proportional to their length."""

from __future__ import annotations

import re
from collections.abc import Callable

_FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}(?=[ \t])")
_UNDERLINE = re.compile(r"[ \t]{0,3}(?:=+|-{2,})[ \t]*$")
_RULE = re.compile(r"[ \t]{0,3}(?:(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|(?:-[ \t]*){3,})$")
_QUOTE = re.compile(r"(?:[ \t]{0,3}>[ \t]?){1,20}")
_DEFINITION = re.compile(r"[ \t]{0,3}\[[^\[\]\n]{1,200}\]:[ \t]+\S+")
_BULLET = re.compile(r"([ \t]*)[*+-][ \t]+")
_LINK = re.compile(r"!?\[([^\[\]\n]{0,1000})\](?:\(([^()\s]{0,2000})(?:[ \t]+\"[^\"\n]{0,300}\")?\)|\[[^\[\]\n]{0,200}\])")
_ADDRESS = re.compile(r"<((?:https?://|mailto:)[^<>\s]{1,2000})>")
_STRONG = re.compile(r"(\*\*|__|~~)(?=\S)([^*_~\n]+)(?<=\S)\1")
_EMPHASIS = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+)(?<=\S)\*(?![\w*])|(?<![\w_])_(?=\S)([^_\n]+)(?<=\S)_(?![\w_])")
_QUOTED_CODE = re.compile(r"(?<!`)(`+)(?!`)([^`\n]+)\1(?!`)")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+.!>~|-])")

_BOLD = re.compile(r"'{2,5}")
_WIKI_LINK = re.compile(r"\[\[([^\[\]\n|]{0,500})(?:\|([^\[\]\n]{0,1000}))?\]\]")
_UNSHOWN_LINK = re.compile(
    r"(?:file|image|category|datei|bild|kategorie|fichier|catégorie|archivo|categoría|файл|категория)[ \t]*:", re.IGNORECASE
)
_OUTER_LINK = re.compile(r"\[(?:https?:)?//[^\s\[\]]{1,2000}(?:[ \t]+([^\[\]\n]{0,1000}))?\]")
_NOTE = re.compile(r"<ref\b[^<>]{0,500}/>|<ref\b[^<>]{0,500}>[^<]{0,5000}</ref>|</?(?:nowiki|small|big|sub|sup|br)[ \t]*/?>", re.IGNORECASE)
_SWITCH = re.compile(r"__[A-Z]{3,20}__")
_WIKI_ITEM = re.compile(r"[*#:;]{1,10}[ \t]*")
_CELL = re.compile(r"\|\||!!")


def without_markdown(text: str) -> str:
    """The text without Markdown's marks: headings and emphasis bare, links by their words, code as it stands, tables with bars.

    Items of lists keep their dashes and numbers, for plain text writes them so too. Source: CommonMark 0.31, and tables as GitHub
    has them; indented code and nested emphasis are taken as they look.
    """
    made: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            else:
                made.append(line)
        elif mark and "`" not in line[mark.end() :]:
            fence = mark[1]
        else:
            _add_markdown(made, line)
    return "\n".join(made)


def _add_markdown(made: list[str], line: str) -> None:
    line = _QUOTE.sub("", line, count=1) if line.lstrip().startswith(">") else line
    is_underline = _UNDERLINE.match(line) and made and made[-1].strip() and not made[-1].lstrip().startswith(("-", "*", "|"))
    if is_underline or _RULE.match(line) or _DEFINITION.match(line):
        return
    if "|" in line:
        cells = line.strip()
        if "-" in cells and not cells.strip("|:- \t"):
            return
        if cells.startswith("|"):
            line = " | ".join(cell.strip() for cell in cells.strip("|").split("|"))
    heading = _HEADING.match(line)
    if heading:
        line = _without_closing(line[heading.end() :].strip())
    elif bullet := _BULLET.match(line):
        line = f"{bullet[1]}- {line[bullet.end() :]}"
    made.append(_without_code(line, _spans))


def _without_closing(heading: str) -> str:
    """A heading without the marks that may close it as well."""
    bare = heading.rstrip("#")
    return bare.rstrip() if not bare or bare[-1] in " \t" else heading


def _without_code(line: str, change: Callable[[str], str]) -> str:
    """The line with `change` applied outside of quoted code, whose marks go."""
    pieces, at = [], 0
    for found in _QUOTED_CODE.finditer(line):
        pieces += [change(line[at : found.start()]), found[2]]
        at = found.end()
    return "".join([*pieces, change(line[at:])])


def _spans(text: str) -> str:
    if not any(mark in text for mark in "*_[<\\~"):
        return text
    text = _ADDRESS.sub(r"\1", _LINK.sub(r"\1", text))
    text = _STRONG.sub(r"\2", text)
    text = _EMPHASIS.sub(lambda found: found[1] or found[2], text)
    return _ESCAPE.sub(r"\1", text)


def without_wiki(text: str) -> str:
    """The text without MediaWiki's marks: headings and emphasis bare, links by their words; templates, notes and files go."""
    text = _NOTE.sub("", _without_nested(text))
    made: list[str] = []
    for line in text.split("\n"):
        shown = _wiki_line(line)
        if shown is not None:
            made.append(shown)
    return "\n".join(made)


def _without_nested(text: str) -> str:
    """The text without `{{templates}}` and comments; what is not closed stays."""
    opened: list[int] = []  # the pieces with which the open templates begin
    pieces: list[str] = []
    for part in re.split(r"(\{\{|\}\}|<!--|-->)", text):
        if part == "}}" and opened and pieces[opened[-1]] == "{{":
            del pieces[opened.pop() :]
        elif part == "-->" and any(pieces[one] == "<!--" for one in opened[-3:]):
            while pieces[opened[-1]] != "<!--":
                opened.pop()
            del pieces[opened.pop() :]
        else:
            if part in ("{{", "<!--"):
                opened.append(len(pieces))
            pieces.append(part)
    return "".join(pieces)


def _wiki_line(line: str) -> str | None:
    """A line as it is shown; None where it only lays out a table or says what the page belongs to."""
    bare = line.strip()
    if bare.startswith(("{|", "|}", "|-", "|+")) or _SWITCH.fullmatch(bare):
        return bare[2:].strip() if bare.startswith("|+") else None
    if bare.startswith("=") and bare.endswith("=") and bare.strip("="):
        line = bare.strip("=").strip()
    elif bare.startswith(("|", "!")):
        cells = (cell.rpartition("|")[2].strip() if "[[" not in cell else cell.strip() for cell in _CELL.split(bare[1:]))
        line = " | ".join(cells)
    elif bare.startswith(("*", "#")):
        line = _WIKI_ITEM.sub(lambda found: "  " * (len(found[0].strip()) - 1) + "- ", bare, count=1)
    elif bare.startswith((":", ";")):
        line = _WIKI_ITEM.sub("", bare, count=1)
    shown = _OUTER_LINK.sub(lambda found: found[1] or "", _WIKI_LINK.sub(_link, line))
    shown = _BOLD.sub("", shown)
    return None if bare and not shown.strip() else shown


def _link(found: re.Match[str]) -> str:
    if _UNSHOWN_LINK.match(found[1]):
        return ""
    return (found[2].rpartition("|")[2] if found[2] else found[1]).removeprefix(":")
