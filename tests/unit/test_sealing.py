"""Sealed passwords: only with the key, and the key in a file of its own."""

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.core.errors import ProvisionError
from provision.core.secret import Secret
from provision.storage.encryption import Sealer

SEALER = Sealer([Fernet.generate_key().decode()])


@settings(max_examples=30)
@given(st.text(st.characters(codec="utf-8")))
def test_it_gives_back_what_was_sealed_and_hides_it_until_then(text: str) -> None:
    sealed = SEALER.seal(Secret(text))
    assert SEALER.unseal(sealed) == Secret(text)
    assert len(text) < 4 or text not in sealed


def test_it_seals_the_same_secret_differently_each_time() -> None:
    assert SEALER.seal(Secret("x")) != SEALER.seal(Secret("x"))


def test_it_makes_a_key_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret.key"
    sealed = Sealer.from_file(path).seal(Secret("x"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Sealer.from_file(path).unseal(sealed) == Secret("x")
    assert [p.name for p in path.parent.iterdir()] == ["secret.key"]


def test_it_makes_one_key_when_many_start_at_once(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    with ThreadPoolExecutor(8) as pool:
        sealers = list(pool.map(lambda _: Sealer.from_file(path), range(16)))
    sealed = sealers[0].seal(Secret("x"))
    assert {sealer.unseal(sealed) for sealer in sealers} == {Secret("x")}


def test_it_reads_with_an_old_key_and_seals_with_the_new_one() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = Sealer([old]).seal(Secret("x"))
    both = Sealer([new, old])
    assert both.unseal(sealed) == Secret("x")
    assert Sealer([new]).unseal(both.reseal(sealed)) == Secret("x")


def test_it_says_what_to_do_when_the_key_is_gone() -> None:
    sealed = SEALER.seal(Secret("x"))
    with pytest.raises(ProvisionError, match="another key") as caught:
        Sealer([Fernet.generate_key().decode()]).unseal(sealed)
    assert caught.value.code == "KEY_UNUSABLE"


@pytest.mark.parametrize(
    "change", [lambda s: s[:-6] + "AAAA==", lambda s: "x" + s[1:], lambda s: s[: len(s) // 2], lambda s: ""]
)
def test_it_refuses_a_doctored_text(change: Callable[[str], str]) -> None:
    with pytest.raises(ProvisionError):
        SEALER.unseal(change(SEALER.seal(Secret("x"))))


@pytest.mark.parametrize("content", ["", "no key", "\n\n"])
def test_it_names_a_key_file_that_is_no_key(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret.key"
    path.write_text(content)
    with pytest.raises(ProvisionError, match=r"secret\.key") as caught:
        Sealer.from_file(path)
    assert caught.value.code == "KEY_UNUSABLE"


def test_a_key_file_that_is_broken_for_a_moment_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    sealer = Sealer.from_file(path)
    sealed, key = sealer.seal(Secret("x")), path.read_text()
    path.write_text("half a k")
    assert sealer.unseal(sealed) == Secret("x")
    path.write_text(Fernet.generate_key().decode() + "\n" + key)
    assert sealer.unseal(sealed) == Secret("x")
    assert sealer.reseal(sealed) != sealed
