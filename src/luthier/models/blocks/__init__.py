"""Our own forward pass for decoders that are built of the usual pre-norm blocks."""

from luthier.models.blocks.recognise import NotUsual
from luthier.models.blocks.run import Blocks

__all__ = ["Blocks", "NotUsual"]
