"""Every operation that the log can hold, and every kind of thing that one can be about: for those who look for them."""

NAMES = {
    "alias": "assign create delete edit follow import repair",
    "api": "call",
    "database": "restore",
    "domain": "create delete edit",
    "key": "retire rotate",
    "log": "archive",
    "mailbox": "clear_quota create create_many delete delete_many disable disable_many edit enable enable_many import "
    "import_cancel import_rejected repair reset_password restore restore_many set_quota set_quota_many verify",
    "operator": "change_password create edit end_sessions lock set_password sign_in sign_out unlock",
    "policy": "edit show",
    "server": "check create delete edit",
    "sync": "dashboard_wins force preview pull push resolve resolve_all retry retry_all server_wins take_from_server",
    "token": "create revoke",
}
OPERATIONS = tuple(f"{about}.{verb}" for about, verbs in NAMES.items() for verb in verbs.split())
RESOURCES = (
    "mailbox",
    "alias",
    "domain",
    "server",
    "operator",
    "access",
    "import",
    "token",
    "policy",
    "key",
    "database",
    "log",
)
