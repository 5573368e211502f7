"""Wire the product together: settings → database, key, sync, services to write and queries to read."""

import gc
from dataclasses import dataclass

from sqlalchemy import exists, select

from provision.audit import chain
from provision.core.access import Actor, Role
from provision.core.errors import Conflict
from provision.core.secret import Secret
from provision.identity.sign_in import FIRST_ADMIN, SignIn
from provision.queries import Queries
from provision.services import Services, open_services
from provision.settings.config import Settings, get_settings
from provision.storage.database import Database
from provision.storage.encryption import Sealer
from provision.storage.half_written import remove_leftovers
from provision.storage.models import Operator
from provision.storage.sealed import open_sealer
from provision.storage.trouble import require_data_folder
from provision.sync.engine import Sync


@dataclass(frozen=True, slots=True)
class Postroom:
    """One running product."""

    settings: Settings
    database: Database
    sealer: Sealer
    sync: Sync
    services: Services
    queries: Queries
    sign_in: SignIn

    def close(self) -> None:
        self.database.close()


def open_postroom(settings: Settings | None = None, *, migrate: bool = True, deliver: bool = True) -> Postroom:
    """Open the database, bring it up to date, make the key at first start. `deliver`: see Services."""
    settings = settings or get_settings()
    require_data_folder(settings.data_dir)
    database = Database(settings.url)
    if migrate:
        remove_leftovers(settings.data_dir)
        database.migrate()
    sealer = open_sealer(settings.key_file, database)
    chain.open_keys(settings.chain_key_file, database, write=migrate)
    sync = Sync(database, sealer, settings)
    services = open_services(database, sealer, settings, sync, deliver=deliver)
    return Postroom(settings, database, sealer, sync, services, Queries(database), SignIn(database, settings))


def create_first_admin(app: Postroom) -> Secret | None:
    """Where nobody can sign in yet: a SuperAdmin called `admin`, and their one-time password, this once only."""
    with app.database.read() as session:
        if session.scalar(select(exists().select_from(Operator))):
            return None
    try:
        return app.services.operators.create(Actor.system("first start"), FIRST_ADMIN, Role.SUPER_ADMIN)[1]
    except Conflict:  # another process was faster
        return None


def calm_collector() -> None:
    """Look for garbage more rarely: the ten thousand rows of an import are none, and looking costs it a third."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
