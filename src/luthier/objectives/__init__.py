"""What a model can be told: one file an objective, all of them in `AnyObjective`."""

from typing import TypeAlias

from luthier.objectives.classify import Classify
from luthier.objectives.imitate import Imitate
from luthier.objectives.protocol import LossSum, Objective, Scope

AnyObjective: TypeAlias = Imitate | Classify

__all__ = ["AnyObjective", "Classify", "Imitate", "LossSum", "Objective", "Scope"]
