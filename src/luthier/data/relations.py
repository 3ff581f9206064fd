"""Which rows belong on one side of a split: equal groups, and texts that are alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from luthier.core.examples import AnyExample
from luthier.core.jsonvalue import canonical
from luthier.data.compared import asked, whole
from luthier.data.components import Components
from luthier.data.neighbours import similar_pairs

Tie: TypeAlias = tuple[str, str]

VIEWS: Mapping[str, Callable[[AnyExample], str]] = {"asked": asked, "whole": whole}


def group_value(example: AnyExample, column: str | None) -> str | None:
    """The row's value in the group column as text; None where there is no column, or nothing in it."""
    value = None if column is None else example.extra.get(column)
    return None if value is None or value == "" else canonical(value)


@dataclass(frozen=True)
class Relations:
    """What ties rows together.

    `ties[i]` are the ties of row i: its group, what it asks and what it says as a whole. Rows are related if they
    share a tie, or if a tie of one is in `alike` of a tie of the other.
    """

    ties: tuple[tuple[Tie, ...], ...]
    alike: Mapping[Tie, tuple[Tie, ...]]

    def around(self, i: int) -> Iterator[Tie]:
        """Every tie that a row related to row i has one of."""
        for tie in self.ties[i]:
            yield tie
            yield from self.alike.get(tie, ())

    def clusters(self, rows: Iterable[int]) -> list[list[int]]:
        """These rows, put together as far as relations among them reach."""
        chosen = list(rows)
        components = Components(len(chosen))
        first_with: dict[Tie, int] = {}
        for k, i in enumerate(chosen):
            for tie in self.ties[i]:
                components.join(first_with.setdefault(tie, k), k)
        for tie, k in first_with.items():
            for other in self.alike.get(tie, ()):
                if other in first_with:
                    components.join(first_with[other], k)
        return [[chosen[k] for k in component] for component in components.all()]


def relations(examples: Sequence[AnyExample], group_column: str | None, threshold: float) -> Relations:
    """The relations of these rows; which texts are alike is decided by the exact join."""
    ties: list[tuple[Tie, ...]] = []
    texts: dict[str, dict[str, None]] = {view: {} for view in VIEWS}
    for example in examples:
        said = {view: read(example) for view, read in VIEWS.items()}
        group = group_value(example, group_column)
        # Nothing asked (a conversation that the assistant opens, say) ties nothing together.
        own = [(view, text) for view, text in said.items() if text and not (view == "whole" and text == said["asked"])]
        ties.append((*own, *([("group", group)] if group is not None else [])))
        for view, text in own:
            texts[view][text] = None
    alike: dict[Tie, list[Tie]] = {}
    for view, distinct in texts.items():
        listed = list(distinct)
        for i, j, _ in similar_pairs(listed, threshold):
            a, b = (view, listed[i]), (view, listed[j])
            alike.setdefault(a, []).append(b)
            alike.setdefault(b, []).append(a)
    return Relations(tuple(ties), {tie: tuple(others) for tie, others in alike.items()})
