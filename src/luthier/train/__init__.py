"""Training: one loop, its clock is the step, and everything that is to be resumed lies in files."""

from luthier.train.loop import FitResult, fit, take_step
from luthier.train.options import Train, learning_rate_for
from luthier.train.plan import Plan, make_plan, read_plan, settle_plan
from luthier.train.precision import Precision, choose_precision
from luthier.train.state import TrainState, begin

__all__ = [
    "FitResult", "Plan", "Precision", "Train", "TrainState", "begin", "choose_precision", "fit", "learning_rate_for",
    "make_plan", "read_plan", "settle_plan", "take_step",
]  # fmt: skip
