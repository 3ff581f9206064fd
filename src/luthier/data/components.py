"""Things that hang together: connected components of what is linked pair by pair."""

from __future__ import annotations

from collections.abc import Hashable, Iterable


class Components:
    """A union-find over 0 … n-1; a component is named by its smallest member."""

    def __init__(self, n: int) -> None:
        self._parents = list(range(n))

    def of(self, i: int) -> int:
        """The smallest member of the component of `i`."""
        root = i
        while self._parents[root] != root:
            root = self._parents[root]
        while self._parents[i] != root:
            self._parents[i], i = root, self._parents[i]
        return root

    def join(self, i: int, j: int) -> None:
        """Make the components of `i` and `j` one."""
        a, b = self.of(i), self.of(j)
        self._parents[max(a, b)] = min(a, b)

    def all(self) -> list[list[int]]:
        """Every component, its members in order, by its smallest member."""
        found: dict[int, list[int]] = {}
        for i in range(len(self._parents)):
            found.setdefault(self.of(i), []).append(i)
        return list(found.values())


def joined_by_key(keys: Iterable[Iterable[Hashable]], n: int) -> Components:
    """The components of n things of which two that share a key belong together."""
    components = Components(n)
    first_with: dict[Hashable, int] = {}
    for i, some in enumerate(keys):
        for key in some:
            components.join(first_with.setdefault(key, i), i)
    return components
