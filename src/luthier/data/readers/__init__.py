"""The formats that can be read; the table is `AnyReader`.

A reader is a frozen dataclass with its `format`, its `suffixes` (without `.gz`), `sniff` (which settles what the file itself must
tell), `read` (an open file to records and bad rows, each with its line) and `said`.
"""

from __future__ import annotations

from typing import TypeAlias

from luthier.data.readers.conll import Conll
from luthier.data.readers.csv import Csv
from luthier.data.readers.json import Json
from luthier.data.readers.jsonl import Jsonl
from luthier.data.readers.paragraphs import Paragraphs
from luthier.data.readers.parallel import Parallel
from luthier.data.readers.parquet import Parquet
from luthier.data.readers.text import PlainText
from luthier.data.readers.tsv import Tsv

AnyReader: TypeAlias = Csv | Tsv | Json | Jsonl | Parquet | Conll | Parallel | Paragraphs | PlainText

__all__ = ["AnyReader", "Conll", "Csv", "Json", "Jsonl", "Paragraphs", "Parallel", "Parquet", "PlainText", "Tsv"]
