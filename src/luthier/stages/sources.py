"""The files that a recipe's data come from, by content."""

from __future__ import annotations

from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.core.files import file_hash
from luthier.core.jsonvalue import Json
from luthier.data.source.reading import Data
from luthier.data.source.survey import survey


def source_hashes(data: Data) -> dict[str, Json]:
    """SHA-256 of each file, by its name."""
    files = survey(data.source, data.format, data.encoding)
    return {str(path): file_hash(path) for path in dict.fromkeys(path for one in files for path in one.paths)}


def verify(data: Data) -> None:
    """Refuse files other than those that the recipe's `sha256` names.

    Raises:
        LuthierError: a file's content differs.

    """
    for name, wanted in data.sha256.items():
        found = {Path(path).name: digest for path, digest in source_hashes(data).items()}
        if found.get(name) != wanted:
            raise LuthierError(
                f"recipe.toml [data] sha256 {name}",
                "the file is not the one that the recipe names",
                "put the original file back, or correct the hash",
            )
