"""Waiting for what another process or thread is about to do."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def comes_true(condition: Callable[[], object], seconds: float, pause: float = 0.02) -> bool:
    """Whether it does within the time. `pause`: between two looks."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def wait_for(condition: Callable[[], T], seconds: float = 30) -> T:
    """The first true answer of `condition`. Raises: AssertionError when there is none in time."""
    answers: list[T] = []

    def look() -> T:
        answers[:] = [condition()]
        return answers[0]

    assert comes_true(look, seconds), f"did not come true within {seconds} seconds"
    return answers[0]
