"""Training rows made of training rows, one file a way; `AnyAugmentation` is the table of them and what `[prepare] augment` may hold."""

from __future__ import annotations

from typing import TypeAlias

from luthier.data.augment.letter_case import LetterCase
from luthier.data.augment.making import Augmentation
from luthier.data.augment.paraphrase import Paraphrase
from luthier.data.augment.swaps import Swaps
from luthier.data.augment.templates import Templates
from luthier.data.augment.typos import Typos

AnyAugmentation: TypeAlias = Typos | LetterCase | Swaps | Templates | Paraphrase

__all__ = ["AnyAugmentation", "Augmentation", "LetterCase", "Paraphrase", "Swaps", "Templates", "Typos"]
