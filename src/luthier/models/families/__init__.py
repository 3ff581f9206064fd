"""What families do after the last layer that their configuration alone does not make plain."""

from luthier.models.families.logits import LogitRule, logit_rule

__all__ = ["LogitRule", "logit_rule"]
