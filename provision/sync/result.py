"""How a push ended, for whoever asked for it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class PushStatus(StrEnum):
    """How a push ended."""

    DONE = "done"
    IDLE = "idle"  # nothing was due
    GATHERING = "gathering"  # within the quiet time: goes out with what comes next
    LOCKED = "locked"
    SLOW = "slow"  # not yet; it goes on
    UNREACHABLE = "unreachable"
    UNSAFE = "unsafe"


class RejectedChange(NamedTuple):
    """What was refused, and why."""

    address: str
    error: str

    def __str__(self) -> str:
        return f"{self.address}: {self.error}"


@dataclass(slots=True)
class PushResult:
    server_id: int
    status: PushStatus
    delivered: int = 0
    failed: int = 0  # refused in this push; tried again later or given up
    message: str = ""
    retry_at: datetime | None = None
    failures: list[RejectedChange] = field(default_factory=list)

    def add(self, part: "PushResult") -> None:
        """What one more part of it came to; how it ended is said by the last part in which something did."""
        self.delivered += part.delivered
        self.failed += part.failed
        self.failures += part.failures
        if part.status is not PushStatus.IDLE or self.status is PushStatus.IDLE:
            self.status, self.message, self.retry_at = part.status, part.message, part.retry_at
