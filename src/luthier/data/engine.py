"""Where pieces of work are done: in this process and workers of its own, or on a distributed engine that exists already.

Whatever does them, what comes of it is the same: a piece says all in files that it writes, and no piece needs another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypeVar

EngineName: TypeAlias = Literal["local", "ray"]


class Piece(Protocol):
    """A piece of work; picklable."""

    @property
    def n_rows(self) -> int:
        """How many rows it is made of."""
        ...


P = TypeVar("P", bound=Piece)


class Engine(Protocol):
    """What does pieces of work."""

    def work(self, do: Callable[[P], None], pieces: Iterable[P], done: Callable[[P], None], folders: Sequence[Path]) -> None:
        """Do all pieces, in any order, and be through with all of them when it returns or raises.

        Pieces are taken as they can be done, a few ahead, and never all at once: they hold rows.

        Args:
            do: what is done to a piece; picklable. It may be begun again where the process that did it was lost, so twice must
                leave what once does.
            pieces: what it is done to.
            done: told of each piece once, when it is done; what it raises stops the work.
            folders: where `do` reads and writes; every process must see them.

        Raises:
            LuthierError: what `do` raised, or a process was lost.
            RuntimeError: anything else that `do` raised, with the traceback of where it was.

        """
        ...
