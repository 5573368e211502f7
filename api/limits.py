"""How often one may call. Each process counts for itself: with several replicas the limits hold for each of them."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from provision.core.errors import RateLimited


class Limits:
    def __init__(self) -> None:
        self._counter = FixedWindowRateLimiter(MemoryStorage())

    def spend(self, what: str, who: str, per_minute: int) -> None:
        """One more call of this kind. Raises: RateLimited with the seconds to wait."""
        rule = RateLimitItemPerMinute(per_minute)
        if self._counter.hit(rule, what, who):
            return
        wait = max(1, math.ceil(self._counter.get_window_stats(rule, what, who).reset_time - time.time()))
        raise RateLimited(f"Too many calls; try again in {wait} seconds.", retry_after=wait)
