"""Placeholders stand for one value each, wherever they are made, and only the key turns them back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.core.errors import LuthierError
from luthier.data.personal.placeholders import PLACEHOLDER, Vault, passing_vault, turned_back, vault_in, vault_of


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return vault_in(tmp_path_factory.mktemp("secrets"), "personal", None)


@given(value=st.text(max_size=200), kind=st.sampled_from(["email", "credit_card"]))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_value_comes_back_exactly_and_looks_like_nothing_in_between(vault: Vault, value: str, kind: str) -> None:
    placeholder = vault.placeholder(kind, value)
    assert PLACEHOLDER.fullmatch(placeholder) and placeholder.startswith(f"<{kind.upper()}_")
    sealed = vault.sealed(placeholder, value)
    assert vault.opened(placeholder, sealed) == value
    assert sealed == vault.sealed(placeholder, value), "equal rows stay equal"
    assert len(value) < 6 or value not in sealed


def test_even_what_is_no_text_comes_back(vault: Vault) -> None:
    for value in ("\ud800", "", "\0", "\x80\0\0", "a" * 31, "a" * 32):
        assert vault.opened("<EMAIL_aaaaaaaaaaaa>", vault.sealed("<EMAIL_aaaaaaaaaaaa>", value)) == value


def test_a_placeholder_depends_on_kind_value_and_key_alone(vault: Vault, tmp_path: Path) -> None:
    one = vault.placeholder("email", "jane@acme.org")
    assert one == Vault("another", vault.for_names, None).placeholder("email", "jane@acme.org")
    another = vault_in(tmp_path / "other", "personal", None)
    others = {vault.placeholder("phone", "jane@acme.org"), vault.placeholder("email", "Jane@acme.org")}
    others |= {some.placeholder("email", "jane@acme.org") for some in (another, passing_vault())}
    assert len(others) == 4 and one not in others
    assert vault.placeholder("phone", "jane@acme.org")[-13:] != one[-13:], "that two kinds share a value does not show"


def test_another_process_makes_the_same(tmp_path: Path) -> None:
    mine = vault_in(tmp_path, "personal", None).placeholder("email", "jane@acme.org")
    program = (
        "import sys; from pathlib import Path; from luthier.data.personal.placeholders import vault_of; "
        "print(vault_of(Path(sys.argv[1]), 'personal').placeholder('email', 'jane@acme.org'))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == mine


def test_a_hundred_thousand_values_have_as_many_placeholders(vault: Vault) -> None:
    assert len({vault.placeholder("email", str(number)) for number in range(100_000)}) == 100_000


def test_a_sealed_value_opens_for_its_own_key_and_placeholder_and_unchanged(vault: Vault, tmp_path: Path) -> None:
    placeholder = vault.placeholder("email", "jane@acme.org")
    sealed = vault.sealed(placeholder, "jane@acme.org")
    assert vault.opened(vault.placeholder("email", "x"), sealed) is None
    assert vault_in(tmp_path, "personal", None).opened(placeholder, sealed) is None
    name, _, body = sealed.partition(":")
    assert name == "personal"
    assert vault.opened(placeholder, f"{name}:{body[:8]}{'A' if body[8] != 'A' else 'B'}{body[9:]}") is None
    assert vault.opened(placeholder, "personal:???") is None


def test_the_length_of_a_value_shows_only_in_steps(vault: Vault) -> None:
    assert len({len(vault.sealed("<EMAIL_aaaaaaaaaaaa>", "x" * n)) for n in range(31)}) == 1


def test_a_vault_shows_nothing_of_its_keys(vault: Vault) -> None:
    assert repr(vault) == "Vault(name='personal')"


def test_keys_are_kept_out_of_the_run(tmp_path: Path) -> None:
    home = tmp_path / "runs" / "tickets" / "data"
    for folder in (tmp_path / "runs" / "tickets", home, home / "secrets"):
        with pytest.raises(LuthierError, match="in the run"):
            vault_in(folder, "personal", home)
        assert not folder.exists()
    assert vault_in(tmp_path / "runs" / "secrets", "personal", home).name == "personal"
    with pytest.raises(LuthierError, match="no folder"):
        vault_in(None, "personal", home)


def test_nothing_is_made_where_something_is_to_be_read(tmp_path: Path) -> None:
    with pytest.raises(LuthierError, match="no such key"):
        vault_of(tmp_path, "personal")
    assert list(tmp_path.iterdir()) == []


def test_a_text_is_turned_back_as_far_as_values_are_known() -> None:
    text = "to <EMAIL_aaaaaaaaaaaa>, <EMAIL_bbbbbbbbbbbb> and <EMAIL_aaaaaaaaaaaa>; <b> <EMAIL_8888> <EMAIL_aaaaaaaaaaaaa>"
    assert turned_back(text, {"<EMAIL_aaaaaaaaaaaa>": r"\1 jane"}) == text.replace("<EMAIL_aaaaaaaaaaaa>", r"\1 jane")
