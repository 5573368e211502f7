"""Wire the product together: settings → database, key, sync, the two front doors."""

from dataclasses import dataclass

from provision.config import Settings, get_settings
from provision.database import Database
from provision.provisioner import Provisioner
from provision.queries import Queries
from provision.sealing import Sealer
from provision.sync import Sync


@dataclass(frozen=True, slots=True)
class Postroom:
    """One running product."""

    settings: Settings
    database: Database
    sync: Sync
    provisioner: Provisioner
    queries: Queries

    def close(self) -> None:
        self.database.close()


def open_postroom(settings: Settings | None = None, *, migrate: bool = True, deliver: bool = True) -> Postroom:
    """Open the database, bring it up to date, make the key at first start. `deliver`: see Provisioner."""
    settings = settings or get_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.url)
    if migrate:
        database.migrate()
    sealer = Sealer.from_file(settings.key_file)
    sync = Sync(database, sealer, settings)
    return Postroom(
        settings, database, sync, Provisioner(database, sealer, settings, sync, deliver=deliver), Queries(database)
    )
