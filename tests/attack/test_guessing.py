"""Guessing passwords: by name, by address, from many addresses; and what the time tells.

Alone: `python -m tests.attack.test_guessing`.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from provision.app import Postroom
from provision.core.access import Role
from provision.core.errors import NotSignedIn
from provision.core.secret import Secret
from provision.settings.config import Settings
from tests.attack.conftest import SYSTEM

RIGHT, WRONG = Secret("Correct-Horse-1"), Secret("Wrong-Horse-1")
SPELLINGS = ["alice", " alice", "ALICE", "Alice ", "al\u200bice", "alice\0", "\u202ealice", "alice\n"]


@pytest.fixture
def database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """One kind is enough here: what makes each wait is the hash."""
    path = tmp_path / "postroom.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The time of a guess is that of its hash, so it costs here what it costs in use."""
    return settings.model_copy(update={"operator_hash_cost": Settings.model_fields["operator_hash_cost"].default})


@pytest.fixture
def app(postroom: Postroom) -> Postroom:
    for name in ("alice", "bert"):
        postroom.services.operators.create(SYSTEM, name, Role.SUPER_ADMIN, password=RIGHT)
    return postroom


def answer(app: Postroom, name: str, password: Secret, ip: str) -> str:
    try:
        app.sign_in.check(name, password, ip)
    except NotSignedIn as error:
        return error.code
    return "IN"


def test_one_name_from_many_addresses_is_locked(app: Postroom) -> None:
    answers = [answer(app, "alice", WRONG, f"192.0.2.{number}") for number in range(7)]
    assert answers == ["WRONG_CREDENTIALS"] * 5 + ["LOCKED"] * 2
    assert answer(app, "alice", RIGHT, "198.51.100.1") == "LOCKED", "the right password is no way around the lock"
    assert answer(app, "bert", RIGHT, "198.51.100.1") == "IN"


def test_another_spelling_is_no_other_name(app: Postroom) -> None:
    answers = [answer(app, name, WRONG, f"192.0.2.{number}") for number, name in enumerate(SPELLINGS)]
    assert answers == ["WRONG_CREDENTIALS"] * 5 + ["LOCKED"] * (len(SPELLINGS) - 5)


def test_many_names_from_one_address_are_locked(app: Postroom) -> None:
    app.sign_in.settings = app.settings.model_copy(update={"sign_in_attempts_per_ip": 6})
    answers = [answer(app, f"name{number}", WRONG, "192.0.2.1") for number in range(8)]
    assert answers == ["WRONG_CREDENTIALS"] * 6 + ["LOCKED"] * 2
    assert answer(app, "bert", RIGHT, "192.0.2.1") == "LOCKED"
    assert answer(app, "bert", RIGHT, "192.0.2.2") == "IN"


def test_an_unknown_name_is_answered_like_a_known_one(app: Postroom) -> None:
    known = [answer(app, "alice", WRONG, "192.0.2.1") for _ in range(7)]
    unknown = [answer(app, "nobody", WRONG, "192.0.2.2") for _ in range(7)]
    assert known == unknown


def test_the_time_tells_nothing_of_the_name(app: Postroom) -> None:
    """Without the bcrypt for nobody, an unknown name would be a hundred times faster; asserted is a factor of two."""
    known, unknown = times(app, 5)
    print(f"known name {known:.1f} ms, unknown {unknown:.1f} ms (median)")
    assert 0.5 < known / unknown < 2


def times(app: Postroom, count: int) -> tuple[float, float]:
    app.sign_in.settings = app.settings.model_copy(
        update={"sign_in_attempts": 10_000, "sign_in_attempts_per_ip": 10_000}
    )
    took: dict[str, list[float]] = {"alice": [], "nobody": []}
    for _ in range(count):
        for name, found in took.items():
            found.append(timed(lambda name=name: answer(app, name, WRONG, "192.0.2.1")))
    return statistics.median(took["alice"]), statistics.median(took["nobody"])


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def main() -> None:
    import tempfile

    from provision.app import open_postroom

    with tempfile.TemporaryDirectory() as folder:
        app = open_postroom(Settings(data_dir=Path(folder)))
        app.services.operators.create(SYSTEM, "alice", Role.SUPER_ADMIN, password=RIGHT)
        print(
            "wrong password of a known name: {:.1f} ms, of an unknown one: {:.1f} ms (medians of 100)".format(
                *times(app, 100)
            )
        )
        app.close()


if __name__ == "__main__":
    main()
