"""The name of a row, for good: from its `id` column, or a hash of its raw record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from luthier.core.jsonvalue import Json, canonical
from luthier.data.files.record import RowError
from luthier.data.shapes.columns import lookup, normal, scalar_text


def record_hash(record: Mapping[str, Json]) -> str:
    """BLAKE2b of the record's canonical JSON, 8 bytes as hex.

    Raises:
        RowError: the record holds what no JSON file in UTF-8 can: half a surrogate pair, or a number that is not finite.

    """
    try:
        return hashlib.blake2b(canonical(record).encode("utf-8"), digest_size=8).hexdigest()
    except UnicodeEncodeError:
        raise RowError("the row holds half of a character (a lone surrogate such as \\ud83d), as cut-off emoji leave it") from None
    except ValueError:
        raise RowError("the row holds a number that is not finite") from None


class RowIds:
    """Names rows one by one. Of the rows before, only 8-byte digests are kept.

    With `column`, its value is the name; with `named` too (the recipe's own wish), a missing or repeated value makes the row a bad one.
    """

    def __init__(self, column: str | None = None, named: bool = False) -> None:
        self.column = column
        self._named = named
        self._places: dict[int, tuple[str, int]] = {}
        self._seen: set[int] = set()
        self._repeats: dict[int, int] = {}

    def of(self, record: Mapping[str, Json], name: str, line: int) -> str:
        """The id of the record that starts on this line of the file of this name; RowError if it can have none."""
        digest = record_hash(record)
        if self.column is None:
            return self._hash_id(digest)
        found = id_text(lookup(record, self.column))
        if found is None:
            raise RowError(f'the id column "{self.column}" is empty or missing')
        if self._named:
            first = self._places.get(_key(found))
            if first is not None:
                raise RowError(f'the id "{found}" is not its own: the same id stands at {first[0]}:{first[1]}',
                               "give each row its own id, or leave id out under [data]: rows are then named by their content")
            self._places[_key(found)] = (name, line)
        return found

    def _hash_id(self, digest: str) -> str:
        """The hash; a row equal to an earlier one gets -2, the next -3, so that each row has its own id."""
        key = int(digest, 16)
        if key not in self._seen:
            self._seen.add(key)
            return digest
        self._repeats[key] = self._repeats.get(key, 1) + 1
        return f"{digest}-{self._repeats[key]}"


def id_text(value: Json) -> str | None:
    """An id as text; None where the value is none."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return scalar_text(value, "the id").strip() or None
    except RowError:
        return None


def unique_id_column(records: Iterable[Mapping[str, Json]]) -> str | None:
    """The column named "id", if every record has a value there and no two are equal; gives up at the first that has not."""
    column: str | None = None
    seen: set[int] = set()
    for record in records:
        if column is None:
            column = next((name for name in record if normal(name) == "id"), None)
        found = None if column is None else id_text(record.get(column))
        if found is None or _key(found) in seen:
            return None
        seen.add(_key(found))
    return column


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
