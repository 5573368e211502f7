"""Whether the product works, in words that strangers may read: counts, no names."""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sqlalchemy import select

from provision.app import Postroom
from provision.core.errors import ProvisionError
from provision.storage.models import Server

SERVICE = "postroom"


@dataclass(frozen=True, slots=True)
class Health:
    """`error`: why it is not healthy."""

    database: str
    jobs: str
    mail_servers: dict[str, int] = field(default_factory=dict)
    error: str | None = None

    def body(self) -> dict[str, Any]:
        """As JSON; a mail server that is down is a detail, for changes wait for it."""
        status = "unhealthy" if self.error else "healthy"
        found = {"status": status, "service": SERVICE, "version": product_version(), "database": self.database}
        more = {"jobs": self.jobs, "mailServers": self.mail_servers}
        return {**found, **more, **({"error": self.error} if self.error else {})}


def look(app: Postroom, *, jobs_alive: bool | None) -> Health:
    """`jobs_alive` None: this process has no background work."""
    jobs = {None: "none here", True: "running", False: "stopped"}[jobs_alive]
    try:
        with app.database.read() as session:
            servers = session.execute(select(Server.error, Server.alarm)).all()
    except Exception as error:
        reason = error.message if isinstance(error, ProvisionError) else type(error).__name__
        return Health("unavailable", jobs, error=reason)
    down, alarmed = sum(1 for s in servers if s.error), sum(1 for s in servers if s.alarm)
    counts = {"reachable": len(servers) - down, "unreachable": down, "alarmed": alarmed}
    return Health("connected", jobs, counts, "The background jobs have stopped." if jobs_alive is False else None)


def product_version() -> str:
    try:
        return version(SERVICE)
    except PackageNotFoundError:
        return "0.1.0"
