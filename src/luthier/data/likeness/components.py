"""Things that hang together: connected components of what is linked pair by pair."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


class Components:
    """A union-find over 0 … n-1; a component is named by its smallest member."""

    def __init__(self, n: int) -> None:
        self._parents = np.arange(n, dtype=np.int64)

    def of(self, i: int) -> int:
        """The smallest member of the component of `i`."""
        parents = self._parents
        root = i
        while (parent := parents.item(root)) != root:
            root = parent
        while (parent := parents.item(i)) != root:
            parents[i], i = root, parent
        return root

    def of_each(self, members: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same for many at once."""
        roots = self._parents[members]
        while not np.array_equal(above := self._parents[roots], roots):
            roots = above
        self._parents[members] = roots
        return roots

    def join(self, i: int, j: int) -> None:
        """Make the components of `i` and `j` one."""
        a, b = self.of(i), self.of(j)
        self._parents[max(a, b)] = min(a, b)

    def all(self) -> Iterator[list[int]]:
        """Every component, its members in order, by its smallest member."""
        return (component.tolist() for component in self._parts())

    def several(self) -> list[list[int]]:
        """The components of more than one member."""
        return [component.tolist() for component in self._parts() if len(component) > 1]

    def _parts(self) -> Iterator[NDArray[np.int64]]:
        roots = self.of_each(np.arange(len(self._parents)))
        order = np.argsort(roots, kind="stable")
        cuts = np.flatnonzero(np.diff(roots[order])) + 1
        # One after another: a list of as many arrays as there are rows would take more memory than all else that is known of them.
        return (order[start:stop] for start, stop in pairwise([0, *cuts.tolist(), len(order)]) if stop > start)


def joined_by_key(keys: Iterable[Iterable[Hashable]], n: int) -> Components:
    """The components of n things of which two that share a key belong together."""
    components = Components(n)
    first_with: dict[Hashable, int] = {}
    for i, some in enumerate(keys):
        for key in some:
            components.join(first_with.setdefault(key, i), i)
    return components
