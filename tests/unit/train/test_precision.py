"""The number type is settled by what the processor lacks or by a measurement that is made once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from luthier.train import precision
from luthier.train.precision import (
    PAYS_FROM,
    choose_precision,
    lacks_bfloat16_units,
    measure_speedups,
    precision_of,
    type_for_use,
    using_threads,
)
from luthier.train.record import Record, machine

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path))


def units(monkeypatch: pytest.MonkeyPatch, **said: object) -> None:
    found: Mapping[str, object] = {"architecture": "x86_64", "amx_bf16": False, "avx512_bf16": False, **said}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)


def remember(one_thread: float, all_threads: float, name: str = "bfloat16, frozen matrices") -> None:
    Record(machine(CPU)).recall(name, lambda: {"one_thread": one_thread, "all_threads": all_threads})


@pytest.mark.parametrize(
    ("one_thread", "all_threads", "dtype"),
    [
        (PAYS_FROM, PAYS_FROM, torch.bfloat16),
        (PAYS_FROM - 0.01, 5.0, torch.float32),
        (5.0, PAYS_FROM - 0.01, torch.float32),
        (0.5, 0.5, torch.float32),
    ],
)
def test_bfloat16_is_chosen_on_a_cpu_only_where_it_pays_on_one_thread_and_on_all(
    one_thread: float, all_threads: float, dtype: torch.dtype
) -> None:
    assert precision_of(one_thread, all_threads).dtype == dtype


def test_an_x86_processor_without_any_bfloat16_unit_computes_in_float32_untimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units(monkeypatch)
    assert lacks_bfloat16_units()
    assert choose_precision(CPU).name == choose_precision(CPU, trained=True).name == "float32"
    assert type_for_use("bfloat16", CPU) == torch.float32
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("unit", ["amx_bf16", "avx512_bf16"])
def test_one_kind_of_bfloat16_unit_is_reason_enough_to_measure(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    units(monkeypatch, **{unit: True})
    assert not lacks_bfloat16_units()
    remember(4.0, 3.0)
    assert choose_precision(CPU).dtype == torch.bfloat16
    assert "4 times as fast as float32" in choose_precision(CPU).why


def test_another_architecture_and_a_processor_that_cannot_be_asked_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    units(monkeypatch, architecture="aarch64")
    assert not lacks_bfloat16_units()
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not lacks_bfloat16_units()


def test_the_choice_is_measured_once_and_is_the_same_ever_after(monkeypatch: pytest.MonkeyPatch) -> None:
    units(monkeypatch, avx512_bf16=True)
    first = choose_precision(CPU)

    def never(trained: bool) -> dict[str, float]:
        raise AssertionError("it was measured before")

    monkeypatch.setattr(precision, "measure_speedups", never)
    assert choose_precision(CPU) == first
    with pytest.raises(AssertionError, match="measured before"):
        choose_precision(CPU, trained=True)


def test_trained_matrices_are_judged_by_a_measurement_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    units(monkeypatch, avx512_bf16=True)
    remember(4.0, 4.0)
    remember(1.1, 1.1, "bfloat16, trained matrices")
    assert choose_precision(CPU).name == "bfloat16"
    assert choose_precision(CPU, trained=True).name == "float32"


@pytest.mark.parametrize(("speedup", "wanted"), [(4.0, torch.bfloat16), (1.0, torch.float32)])
def test_weights_and_products_have_the_type_that_they_had_in_tuning_unless_the_device_is_slow_in_it(
    speedup: float, wanted: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    units(monkeypatch, amx_bf16=True)
    remember(speedup, speedup)
    assert type_for_use("bfloat16", CPU) == wanted == choose_precision(CPU).dtype
    assert type_for_use("float32", CPU) == torch.float32


@pytest.mark.parametrize("trained", [True, False])
def test_the_measurement_is_a_ratio_of_times_on_one_thread_and_on_all(trained: bool) -> None:
    threads = torch.get_num_threads()
    found = measure_speedups(trained)
    assert set(found) == {"one_thread", "all_threads"}
    assert all(0.001 < ratio < 1000 for ratio in found.values())
    assert torch.get_num_threads() == threads


def test_the_threads_are_given_back_after_a_failure_too() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="oops"), using_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ValueError("oops")
    assert torch.get_num_threads() == before
