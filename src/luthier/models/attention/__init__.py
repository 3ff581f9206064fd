"""One seam between model families and the layouts of a batch.

`transformers` models call whatever attention function is registered under the name that their configuration holds, and
pass on every keyword that the model was called with. Luthier registers one function under `SEAM`; it finds the layout
of the batch among the keywords and hands queries, keys and values to the backend for that layout.
"""

from luthier.models.attention.seam import SEAM, Continued, Grown, Layout, Sequences, Trees, install

__all__ = ["SEAM", "Continued", "Grown", "Layout", "Sequences", "Trees", "install"]
