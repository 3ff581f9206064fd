from __future__ import annotations

import pytest

from luthier.core.errors import LuthierError
from luthier.core.generator import Reply, Sampling


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_tokens", 0), ("temperature", -0.1), ("temperature", float("nan")), ("temperature", float("inf")),
        ("top_p", 0.0), ("top_p", 1.1), ("top_p", float("nan")), ("top_k", -1), ("stop", ("",)),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_sampled_with_is_named(option: str, value: object) -> None:
    with pytest.raises(LuthierError) as caught:
        Sampling(**{"max_tokens": 1, option: value})  # type: ignore[arg-type]
    assert caught.value.where == f"sampling {option}" and str(value) in caught.value.problem


def test_the_limits_themselves_are_allowed() -> None:
    assert Sampling(1, temperature=0.0, top_p=1.0, top_k=0, stop=("\n",)).max_tokens == 1
    assert Sampling(1, temperature=2.5, top_p=1e-9, top_k=1).top_k == 1


def test_all_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(LuthierError) as caught:
        Sampling(0, temperature=-1.0, top_p=2.0, top_k=-1)
    assert len(caught.value.errors) == 4


def test_a_reply_has_one_log_probability_for_each_token() -> None:
    assert Reply((1, 2), (-0.5, 0.0), "stop", "a").finish == "stop"
    with pytest.raises(AssertionError, match="each token"):
        Reply((1, 2), (-0.5,), "stop", "a")
