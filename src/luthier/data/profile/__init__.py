"""What prepared data looks like, what stands in the way of tuning on it, and what a person should know before."""

from luthier.data.profile.refusals import FEW_TRAINING_ROWS, check, settings_warning, warnings

__all__ = ["FEW_TRAINING_ROWS", "check", "settings_warning", "warnings"]
