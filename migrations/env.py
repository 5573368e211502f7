"""Alembic's entry: migrates the connection that provision.storage.database hands over.

Only forward: records that were moved to files cannot be taken back, so the way back is the former release and a backup.
"""

from alembic import context

from provision.storage.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
