"""first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ASCII = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "audit_link",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("phase", sa.String(length=8), nullable=False),
        sa.Column("log_uid", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_link")),
    )
    with op.batch_alter_table("audit_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_link_log_uid"), ["log_uid"], unique=False)

    op.create_table(
        "idempotency_key",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("operation", sa.String(length=40), nullable=False),
        sa.Column("request_digest", sa.String(length=64), nullable=False),
        sa.Column("resource_ids", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_key")),
    )
    with op.batch_alter_table("idempotency_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_key_created_at"), ["created_at"], unique=False)

    op.create_table(
        "operator",
        sa.Column("username", sa.String(length=80), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("password_hash", sa.String(length=100), nullable=False),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("failed_logins", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator")),
        sa.UniqueConstraint("email", name=op.f("uq_operator_email")),
        sa.UniqueConstraint("uid", name=op.f("uq_operator_uid")),
        sa.UniqueConstraint("username", name=op.f("uq_operator_username")),
    )
    op.create_table(
        "provision_log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Integer(), nullable=True),
        sa.Column("operator", sa.String(length=80), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=True),
        sa.Column("operation", sa.String(length=40), nullable=False),
        sa.Column("resource_type", sa.String(length=20), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=True),
        sa.Column("resource_name", ASCII, nullable=True),
        sa.Column("domain", sa.String(length=255), nullable=True),
        sa.Column("server_id", sa.Integer(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("command", sa.Text(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("stdout", sa.Text(), nullable=True),
        sa.Column("stderr", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provision_log")),
        sa.UniqueConstraint("uid", name=op.f("uq_provision_log_uid")),
    )
    with op.batch_alter_table("provision_log", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_provision_log_domain"), ["domain"], unique=False)
        batch_op.create_index("ix_provision_log_operation", ["operation", "id"], unique=False)
        batch_op.create_index("ix_provision_log_operator", ["operator", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_provision_log_operator_id"), ["operator_id"], unique=False)
        batch_op.create_index(
            "ix_provision_log_resource",
            ["resource_type", "resource_id", "status"],
            unique=False,
        )
        batch_op.create_index("ix_provision_log_resource_name", ["resource_name", "id"], unique=False)
        batch_op.create_index("ix_provision_log_started_at", ["started_at"], unique=False)
        batch_op.create_index("ix_provision_log_status", ["status", "id"], unique=False)

    op.create_table(
        "server",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("quiet_seconds", sa.Double(), nullable=True),
        sa.Column("accounts", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_write_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_import_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("alarm", sa.Text(), nullable=True),
        sa.Column("live", sa.JSON(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server")),
        sa.UniqueConstraint("name", name=op.f("uq_server_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_server_uid")),
    )
    op.create_table(
        "domain",
        sa.Column("name", ASCII, nullable=False),
        sa.Column("server_id", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("default_quota_bytes", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["server.id"], name=op.f("fk_domain_server_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_domain")),
        sa.UniqueConstraint("name", name=op.f("uq_domain_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_domain_uid")),
    )
    with op.batch_alter_table("domain", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_domain_server_id"), ["server_id"], unique=False)

    op.create_table(
        "mailbox",
        sa.Column("address", ASCII, nullable=False),
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.Column("server_id", sa.Integer(), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("quota_bytes", sa.BigInteger(), nullable=False),
        sa.Column("quota_messages", sa.BigInteger(), nullable=True),
        sa.Column("status_before", sa.String(length=8), nullable=True),
        sa.Column("sealed_password", sa.Text(), nullable=True),
        sa.Column("erase_mail", sa.Boolean(), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=True),
        sa.Column("used_messages", sa.BigInteger(), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "used_percent",
            sa.BigInteger(),
            sa.Computed(
                "CASE WHEN quota_bytes > 0 THEN used_bytes * 100 / quota_bytes END",
                persisted=True,
            ),
            nullable=True,
        ),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("synced_generation", sa.Integer(), nullable=False),
        sa.Column("failed_generation", sa.Integer(), nullable=False),
        sa.Column(
            "sync_status",
            sa.String(length=8),
            sa.Computed(
                "CASE WHEN synced_generation = generation THEN 'SYNCED' "
                "WHEN failed_generation = generation THEN 'FAILED' ELSE 'PENDING' END",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.Column("confirming", sa.Boolean(), nullable=False),
        sa.Column("removing", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_code", sa.String(length=40), nullable=True),
        sa.Column("last_synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('ACTIVE', 'DISABLED', 'DELETED')",
            name=op.f("ck_mailbox_status"),
        ),
        sa.CheckConstraint("quota_bytes >= 0", name=op.f("ck_mailbox_quota")),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name=op.f("fk_mailbox_domain_id")),
        sa.ForeignKeyConstraint(["server_id"], ["server.id"], name=op.f("fk_mailbox_server_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox")),
        sa.UniqueConstraint("address", name=op.f("uq_mailbox_address")),
        sa.UniqueConstraint("uid", name=op.f("uq_mailbox_uid")),
    )
    with op.batch_alter_table("mailbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_mailbox_server_id_sync_status",
            ["server_id", "sync_status", "confirming"],
            unique=False,
        )
        batch_op.create_index("ix_mailbox_status_sync_status", ["status", "sync_status"], unique=False)

    op.create_table(
        "operator_domain",
        sa.Column("operator_id", sa.Integer(), nullable=False),
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"],
            ["domain.id"],
            name=op.f("fk_operator_domain_domain_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"],
            ["operator.id"],
            name=op.f("fk_operator_domain_operator_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("operator_id", "domain_id", name=op.f("pk_operator_domain")),
    )
    with op.batch_alter_table("operator_domain", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_operator_domain_domain_id"), ["domain_id"], unique=False)

    op.create_table(
        "alias",
        sa.Column("address", ASCII, nullable=False),
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.Column("server_id", sa.Integer(), nullable=False),
        sa.Column("mailbox_id", sa.Integer(), nullable=True),
        sa.Column("destinations", sa.JSON(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("synced_generation", sa.Integer(), nullable=False),
        sa.Column("failed_generation", sa.Integer(), nullable=False),
        sa.Column(
            "sync_status",
            sa.String(length=8),
            sa.Computed(
                "CASE WHEN synced_generation = generation THEN 'SYNCED' "
                "WHEN failed_generation = generation THEN 'FAILED' ELSE 'PENDING' END",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.Column("confirming", sa.Boolean(), nullable=False),
        sa.Column("removing", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_code", sa.String(length=40), nullable=True),
        sa.Column("last_synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["domain_id"], ["domain.id"], name=op.f("fk_alias_domain_id")),
        sa.ForeignKeyConstraint(
            ["mailbox_id"],
            ["mailbox.id"],
            name=op.f("fk_alias_mailbox_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(["server_id"], ["server.id"], name=op.f("fk_alias_server_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias")),
        sa.UniqueConstraint("address", name=op.f("uq_alias_address")),
        sa.UniqueConstraint("uid", name=op.f("uq_alias_uid")),
    )
    with op.batch_alter_table("alias", schema=None) as batch_op:
        batch_op.create_index("ix_alias_domain_id_address", ["domain_id", "address"], unique=False)
        batch_op.create_index(batch_op.f("ix_alias_mailbox_id"), ["mailbox_id"], unique=False)
        batch_op.create_index(
            "ix_alias_server_id_sync_status",
            ["server_id", "sync_status", "confirming"],
            unique=False,
        )
        batch_op.create_index("ix_alias_sync_status", ["sync_status"], unique=False)
    dialect = op.get_bind().dialect.name
    for statement in (*INDEXES, *(POSTGRESQL if dialect == "postgresql" else SQLITE)):
        op.execute(statement)


# Pages of present mailboxes are read from these, in order, whatever the sort; and the sums of the domains.
PRESENT_INDEXES = {
    "address": "address, id, display_name",  # a search compares both while it walks
    "display_name": "display_name, id",
    "quota_bytes": "quota_bytes, id",
    "used_bytes": "used_bytes, id",
    "used_percent": "used_percent, id",
    "updated_at": "updated_at, id",
    "last_synced_at": "last_synced_at, id",
    "sync_status": "sync_status, address, id",
    "domain_sums": "domain_id, quota_bytes, used_bytes",
    "domain_address": "domain_id, address, id",
}
INDEXES = [
    f"CREATE INDEX ix_mailbox_present_{name} ON mailbox ({columns}) WHERE status <> 'DELETED'"
    for name, columns in PRESENT_INDEXES.items()
]
INDEXES.append(
    "CREATE INDEX ix_mailbox_unusual ON mailbox (status, sync_status, domain_id) "
    "WHERE (status <> 'ACTIVE' OR sync_status <> 'SYNCED')"
)

FROZEN = (
    "uid",
    "operator",
    "ip",
    "operation",
    "resource_type",
    "resource_id",
    "resource_name",
    "started_at",
)

SQLITE = [
    "CREATE VIRTUAL TABLE mailbox_search USING fts5(address, display_name, "
    "content='mailbox', content_rowid='id', tokenize='trigram')",
    """CREATE TRIGGER mailbox_search_insert AFTER INSERT ON mailbox BEGIN
        INSERT INTO mailbox_search(rowid, address, display_name) VALUES (new.id, new.address, new.display_name);
    END""",
    """CREATE TRIGGER mailbox_search_delete AFTER DELETE ON mailbox BEGIN
        INSERT INTO mailbox_search(mailbox_search, rowid, address, display_name)
        VALUES ('delete', old.id, old.address, old.display_name);
    END""",
    """CREATE TRIGGER mailbox_search_update AFTER UPDATE OF address, display_name ON mailbox BEGIN
        INSERT INTO mailbox_search(mailbox_search, rowid, address, display_name)
        VALUES ('delete', old.id, old.address, old.display_name);
        INSERT INTO mailbox_search(rowid, address, display_name) VALUES (new.id, new.address, new.display_name);
    END""",
    "CREATE TRIGGER provision_log_finished BEFORE UPDATE ON provision_log WHEN old.status <> 'PENDING' "
    "BEGIN SELECT RAISE(ABORT, 'a finished record is never changed'); END",
    f"CREATE TRIGGER provision_log_intent BEFORE UPDATE OF {', '.join(FROZEN)} ON provision_log "
    "WHEN (%s) BEGIN SELECT RAISE(ABORT, 'what was wanted is never changed'); END"
    % " OR ".join(f"old.{name} IS NOT new.{name}" for name in FROZEN),
    "CREATE TRIGGER provision_log_kept BEFORE DELETE ON provision_log "
    "BEGIN SELECT RAISE(ABORT, 'a record is never removed'); END",
    "CREATE TRIGGER audit_link_fixed BEFORE UPDATE ON audit_link "
    "BEGIN SELECT RAISE(ABORT, 'a link is never changed'); END",
    "CREATE TRIGGER audit_link_kept BEFORE DELETE ON audit_link "
    "BEGIN SELECT RAISE(ABORT, 'a link is never removed'); END",
]

POSTGRESQL = [
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX ix_mailbox_search ON mailbox USING gin ((address || ' ' || lower(display_name)) gin_trgm_ops)",
    """CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'a record is never changed or removed'; END $$""",
    "CREATE TRIGGER provision_log_finished BEFORE UPDATE ON provision_log FOR EACH ROW "
    "WHEN (old.status <> 'PENDING') EXECUTE FUNCTION refuse_change()",
    f"CREATE TRIGGER provision_log_intent BEFORE UPDATE OF {', '.join(FROZEN)} ON provision_log FOR EACH ROW "
    "WHEN (%s) EXECUTE FUNCTION refuse_change()"
    % " OR ".join(f"old.{name} IS DISTINCT FROM new.{name}" for name in FROZEN),
    "CREATE TRIGGER provision_log_kept BEFORE DELETE ON provision_log FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER provision_log_not_emptied BEFORE TRUNCATE ON provision_log EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER audit_link_fixed BEFORE UPDATE OR DELETE ON audit_link "
    "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER audit_link_not_emptied BEFORE TRUNCATE ON audit_link EXECUTE FUNCTION refuse_change()",
]
