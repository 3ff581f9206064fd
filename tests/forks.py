"""What a program does that forks processes in which torch computes."""

from __future__ import annotations

import os

import torch


def mend_torch_in_children() -> None:
    """Let each process that this one forks begin with a pool of threads that works.

    torch replaces the pool, which no fork carries over, at its next use, and fails where two threads come to that at once ("Invalid
    thread pool!"), as those do that load a model's tensors. So it is used once while there is one thread.
    """
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(torch.get_num_threads()))
