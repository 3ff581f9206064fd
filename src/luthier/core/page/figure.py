"""Figures as SVG that takes its colours from the page, so that they follow light and dark."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from luthier.core.page.words import printable

LIGHT = {"ink": "#1b1b1f", "muted": "#55555c", "grid": "#c9c9d0", "paper": "#ffffff", "first": "#0072b2", "second": "#c04f00"}
DARK = {"ink": "#ececf0", "muted": "#b0b0ba", "grid": "#4a4a54", "paper": "#17171b", "first": "#56b4e9", "second": "#e69f00"}
"""After Okabe & Ito (2008), whose colours people with any common kind of colour vision tell apart; some are darkened or
lightened so that each stands out from its paper at 4.5 to 1."""


@dataclass(frozen=True)
class Figure:
    """A picture and what it says: `text` stands in its place for those who cannot see it.

    `width` and `height` are those of its coordinates, in points; `inner` is what stands inside the root element.
    """

    name: str
    title: str
    text: str
    width: float
    height: float
    inner: str

    @property
    def inline(self) -> str:
        """The element as it stands in the page, which gives it its colours."""
        return self._element("", "")

    @property
    def alone(self) -> str:
        """The same as a file of its own, which brings its colours along."""
        rules = [f":root{{{_declared(LIGHT)}}}", f"@media(prefers-color-scheme:dark){{:root{{{_declared(DARK)}}}}}"]
        style = f"<style>{''.join(rules)}svg{{background:var(--paper)}}text{{font-family:system-ui,sans-serif}}</style>"
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + self._element(' xmlns="http://www.w3.org/2000/svg"', style) + "\n"

    def _element(self, namespace: str, style: str) -> str:
        said = (("title", self.title), ("desc", self.text))
        title, text = (f'<{tag} id="{self.name}-{tag}">{escape(printable(one))}</{tag}>' for tag, one in said)
        box = f'viewBox="0 0 {self.width:g} {self.height:g}"'
        root = f'<svg{namespace} {box} role="img" aria-labelledby="{self.name}-title {self.name}-desc">'
        return f"{root}{title}{text}{style}{self.inner}</svg>"


def _declared(colours: dict[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in colours.items())


def palette() -> dict[str, str]:
    """The page's colours as style declarations, in light and in dark."""
    return {"light": _declared(LIGHT), "dark": _declared(DARK)}
