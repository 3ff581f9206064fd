"""Key steps on the disk: numbers stand for keys, and only rows that may be related are read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from luthier.data.decisions import ComparesTexts, KeyStep, ready
from luthier.data.execution.shards import KEYS, Keys, KeyWork, Shard
from luthier.data.execution.spool import Spool
from luthier.data.execution.streamed import Decided, Streamed, Work, let_go
from luthier.data.likeness.alike import Judge, Places, Sketched, n_words
from luthier.data.likeness.components import Components
from luthier.data.likeness.join import KeysOnDisk
from luthier.data.pipeline import chosen
from luthier.data.tools import Tools


class _Compared(Sequence[str]):
    """The texts that a step compares, read from the disk when they are asked for."""

    def __init__(self, spool: Spool, step: ComparesTexts) -> None:
        self._spool, self._step = spool, step

    def __len__(self) -> int:
        return len(self._spool)

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> list[str]: ...
    def __getitem__(self, i: int | slice) -> str | list[str]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        return self._step.compared(self._spool.example(i))


def key_step(found: Streamed, step: KeyStep, work: Work, number: int, elders: Collection[str], tools: tuple[Tools, Tools]) -> None:
    """Let a key step decide about the rows that are left; `tools` are those for its decisions, and those for its keys."""
    gone = work.folder / f"{number}.gone"
    if not gone.exists():
        n_bytes = sum(path.stat().st_size for path in found.spool.shards)
        do = KeyWork(step, tools[1], n_words(len(found.spool), n_bytes))
        outs = [work.folder / f"{number}-{i + 1:06}" for i in range(len(found.spool.shards))]
        pieces = (
            Shard(out, earlier=path, alive=found.alive[found.spool.rows_of(i)])
            for i, (out, path) in enumerate(zip(outs, found.spool.shards, strict=True))
            if not out.with_suffix(KEYS).exists()
        )
        work.do(pieces, do, step.kind, found.n_kept)
        at_work = ready(step, tools[0])
        assert isinstance(at_work, KeyStep), "tools make of a key step a key step"
        components = _components(found, at_work, outs, do.words, work)
        with Decided(work.folder, number) as decided:
            for members in components.several():
                work.pause()
                examples = [found.spool.example(i) for i in members]
                for k, decision in chosen(at_work, examples, elders).items():
                    decided.drop(members[k], examples[k], step.kind, decision)
        for out in outs:
            out.with_suffix(KEYS).unlink()
    let_go(found, work.folder, number)


def _components(found: Streamed, step: KeyStep, outs: Sequence[Path], words: int, work: Work) -> Components:
    """The rows that may be related, by numbers that stand for their keys."""
    components = Components(len(found.spool))
    compares = isinstance(step, ComparesTexts)
    n_texts = len(found.spool) if compares else 0
    sketched = Sketched(np.zeros(n_texts, dtype=np.int32), np.zeros((n_texts, words), dtype=np.uint64))
    n_keys = sum(out.with_suffix(KEYS).stat().st_size for out in outs) // 8

    def note(a: Places, b: Places) -> None:
        for i, j in zip(a.tolist(), b.tolist(), strict=True):
            components.join(i, j)

    with KeysOnDisk(n_keys, work.folder) as keys:
        for shard, out in enumerate(outs):
            mine = found.spool.rows_of(shard)
            rows = np.arange(mine.start, mine.stop)[found.alive[mine]]
            of_shard = Keys.read(out.with_suffix(KEYS))
            keys.add(of_shard.keys, np.repeat(rows, of_shard.n_keys).astype(np.int32))
            if compares:
                sketched.n_grams[rows], sketched.bits[rows] = of_shard.n_grams, of_shard.bits
        judge: Judge | None = None
        if isinstance(step, ComparesTexts):
            judge = Judge(_Compared(found.spool, step), sketched, step.threshold, note, components.of_each)
        for numbers, members in keys.buckets():
            work.pause()
            if judge is not None:
                judge.see_runs(numbers, members)
                continue
            order = np.argsort(numbers, kind="stable")
            same = np.flatnonzero(numbers[order][1:] == numbers[order][:-1])
            note(members[order][same].astype(np.int64), members[order][same + 1].astype(np.int64))
    return components
