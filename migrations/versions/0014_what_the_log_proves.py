"""The log takes no unknown status, and nothing is replaced; records go when a link speaks of their checkpoint"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

CHECKS = {
    "provision_log": {"status": "status IN ('PENDING', 'SUCCESS', 'FAILED')"},
    "audit_link": {"phase": "phase IN ('intent', 'attempt', 'outcome', 'anchor')"},
}
CHECKPOINTS = sa.text("phase = 'anchor'")
# All that an intent tells; JSON has no equality on PostgreSQL.
FROZEN = (
    "id",
    "uid",
    "operator_id",
    "operator",
    "ip",
    "operation",
    "resource_type",
    "resource_id",
    "resource_name",
    "domain",
    "server_id",
    "generation",
    "started_at",
)
ARCHIVED = "(SELECT coalesce(max(seq), 0) FROM audit_checkpoint)"
# The newest checkpoint has its link, which only we can make: whoever makes another is found by it.
TOLD = f"EXISTS (SELECT 1 FROM audit_link WHERE phase = 'anchor' AND seq > {ARCHIVED})"
RECORD_MAY_GO = f"""old.status <> 'PENDING' AND {TOLD} AND NOT EXISTS
    (SELECT 1 FROM audit_link WHERE log_uid = old.uid AND seq > {ARCHIVED})"""
LINK_MAY_GO = f"old.seq <= {ARCHIVED} AND {TOLD}"
# A restored backup brings its checkpoints before its links.
CHECKPOINT_MAY_COME = """NOT EXISTS (SELECT 1 FROM audit_checkpoint WHERE seq >= new.seq) AND (
    EXISTS (SELECT 1 FROM audit_link WHERE seq = new.seq AND hash = new.hash)
    OR NOT EXISTS (SELECT 1 FROM audit_link))"""
NAMES = (
    "provision_log_finished",
    "provision_log_intent",
    "provision_log_kept",
    "audit_link_fixed",
    "audit_link_kept",
    "audit_checkpoint_fixed",
    "audit_checkpoint_kept",
)


def _refuse(name: str, when: str, table: str, condition: str, message: str) -> str:
    body = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    return f"CREATE TRIGGER {name} BEFORE {when} ON {table} {f'WHEN {condition}' if condition else ''} {body}"


def _changed(distinct: str, json: str) -> str:
    fields = [*FROZEN, f"payload{json}"]
    return " OR ".join(f"old.{name} {distinct} new.{name}" for name in fields)


SQLITE = [
    _refuse(
        "provision_log_finished",
        "UPDATE",
        "provision_log",
        "old.status <> 'PENDING'",
        "a finished record is never changed",
    ),
    _refuse(
        "provision_log_intent", "UPDATE", "provision_log", _changed("IS NOT", ""), "what was wanted is never changed"
    ),
    _refuse("provision_log_kept", "DELETE", "provision_log", f"NOT ({RECORD_MAY_GO})", "a record is never removed"),
    _refuse(
        "provision_log_new",
        "INSERT",
        "provision_log",
        "EXISTS (SELECT 1 FROM provision_log WHERE id = new.id OR uid = new.uid)",
        "a record is never replaced",
    ),
    _refuse("audit_link_fixed", "UPDATE", "audit_link", "", "a link is never changed"),
    _refuse("audit_link_kept", "DELETE", "audit_link", f"NOT ({LINK_MAY_GO})", "a link is never removed"),
    _refuse(
        "audit_link_new",
        "INSERT",
        "audit_link",
        "EXISTS (SELECT 1 FROM audit_link WHERE seq = new.seq)",
        "a link is never replaced",
    ),
    _refuse("audit_checkpoint_fixed", "UPDATE", "audit_checkpoint", "", "a checkpoint is never changed"),
    _refuse("audit_checkpoint_kept", "DELETE", "audit_checkpoint", "", "a checkpoint is never removed"),
    _refuse(
        "audit_checkpoint_new",
        "INSERT",
        "audit_checkpoint",
        f"NOT ({CHECKPOINT_MAY_COME})",
        "a checkpoint is never invented",
    ),
]
POSTGRESQL = [
    "DROP TRIGGER provision_log_intent ON provision_log",
    "CREATE TRIGGER provision_log_intent BEFORE UPDATE ON provision_log FOR EACH ROW "
    f"WHEN ({_changed('IS DISTINCT FROM', '::text')}) EXECUTE FUNCTION refuse_change()",
    f"""CREATE OR REPLACE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF {RECORD_MAY_GO} THEN RETURN old; END IF;
        RAISE EXCEPTION 'a record is never removed'; END $$""",
    f"""CREATE OR REPLACE FUNCTION refuse_link_removal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF {LINK_MAY_GO} THEN RETURN old; END IF;
        RAISE EXCEPTION 'a link is never removed'; END $$""",
    f"""CREATE FUNCTION refuse_checkpoint() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF {CHECKPOINT_MAY_COME} THEN RETURN new; END IF;
        RAISE EXCEPTION 'a checkpoint is never invented'; END $$""",
    "CREATE TRIGGER audit_checkpoint_new BEFORE INSERT ON audit_checkpoint "
    "FOR EACH ROW EXECUTE FUNCTION refuse_checkpoint()",
]


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, checks in CHECKS.items():
            for name, condition in checks.items():
                # Not valid: a row that was doctored before is named by the proof, and does not stop the upgrade.
                op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{name} CHECK ({condition}) NOT VALID")
    else:
        _rebuild()
    where = {"sqlite_where": CHECKPOINTS, "postgresql_where": CHECKPOINTS}
    op.create_index("ix_audit_link_checkpoint", "audit_link", ["seq"], **where)
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)


def _rebuild() -> None:
    """SQLite adds no check to a table that there is. Its triggers would go with it."""
    for name in NAMES:
        op.execute(f"DROP TRIGGER {name}")
    op.execute("PRAGMA ignore_check_constraints = ON")  # as above
    for table, checks in CHECKS.items():
        with op.batch_alter_table(table, recreate="always") as batch:
            for name, condition in checks.items():
                batch.create_check_constraint(op.f(f"ck_{table}_{name}"), condition)
    op.execute("PRAGMA ignore_check_constraints = OFF")
