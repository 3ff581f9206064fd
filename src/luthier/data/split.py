"""Which side each row stands on: train, validation or test."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Split:
    """The shares of the three sides, and how alike two rows may be before they must share a side.

    `near_duplicate_threshold` is a Jaccard similarity of character 5-grams, from 0 to 1.
    """

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    near_duplicate_threshold: float = 0.8
