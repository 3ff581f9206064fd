"""The demo's data: messages to the help desk of an invented instrument workshop, clean and as an export would hold them."""

from __future__ import annotations

from luthier.demo.clean import Clean, clean_messages
from luthier.demo.dirt import COLUMNS, SHARES, Dirt, Dirty, Kind, dirty_rows, write_csv

__all__ = ["COLUMNS", "SHARES", "Clean", "Dirt", "Dirty", "Kind", "clean_messages", "dirty_rows", "write_csv"]
