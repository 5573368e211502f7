"""Every operation that the log can hold, with its words for people, and every kind of thing that one can be about."""

from enum import StrEnum

from provision.core.texts import N_


class Operation(StrEnum):
    """`about.verb`, as it stands in the log, with `words` for people. Where `undo` names one, that takes it back."""

    words: str
    undo: "str | None"

    def __new__(cls, name: str, words: str = "", undo: str | None = None) -> "Operation":
        member = str.__new__(cls, name)
        member._value_, member.words, member.undo = name, words, undo
        return member

    @property
    def about(self) -> str:
        """The kind of thing, one of RESOURCES, that its name begins with."""
        return self.value.partition(".")[0]

    ALIAS_ASSIGN = "alias.assign", N_("Assign alias"), "alias.assign"
    ALIAS_CREATE = "alias.create", N_("Create alias"), "alias.delete"
    ALIAS_DELETE = "alias.delete", N_("Delete alias")
    ALIAS_EDIT = "alias.edit", N_("Edit alias"), "alias.edit"
    ALIAS_FOLLOW = "alias.follow", N_("Alias follows its mailbox")
    ALIAS_IMPORT = "alias.import", N_("Import alias from the server")
    ALIAS_REPAIR = "alias.repair", N_("Repair alias")
    API_CALL = "api.call", N_("Call the API")
    DATABASE_RESTORE = "database.restore", N_("Restore a backup")
    DOMAIN_CREATE = "domain.create", N_("Add domain"), "domain.delete"
    DOMAIN_DELETE = "domain.delete", N_("Remove domain"), "domain.create"
    DOMAIN_EDIT = "domain.edit", N_("Edit domain"), "domain.edit"
    KEY_RETIRE = "key.retire", N_("Retire key")
    KEY_ROTATE = "key.rotate", N_("Change key")
    LOG_ARCHIVE = "log.archive", N_("Archive the log")
    MAILBOX_CREATE = "mailbox.create", N_("Create mailbox"), "mailbox.delete"
    MAILBOX_CREATE_MANY = "mailbox.create_many", N_("Create mailboxes"), "mailbox.delete_many"
    MAILBOX_DELETE = "mailbox.delete", N_("Delete mailbox"), "mailbox.restore"
    MAILBOX_DELETE_MANY = "mailbox.delete_many", N_("Delete mailboxes"), "mailbox.restore_many"
    MAILBOX_DISABLE = "mailbox.disable", N_("Disable mailbox"), "mailbox.enable"
    MAILBOX_DISABLE_MANY = "mailbox.disable_many", N_("Disable mailboxes"), "mailbox.enable_many"
    MAILBOX_EDIT = "mailbox.edit", N_("Edit mailbox"), "mailbox.edit"
    MAILBOX_ENABLE = "mailbox.enable", N_("Enable mailbox"), "mailbox.disable"
    MAILBOX_ENABLE_MANY = "mailbox.enable_many", N_("Enable mailboxes"), "mailbox.disable_many"
    MAILBOX_IMPORT = "mailbox.import", N_("Import mailbox from the server")
    MAILBOX_IMPORT_CANCEL = "mailbox.import_cancel", N_("Cancel import")
    MAILBOX_IMPORT_PASSWORDS = "mailbox.import_passwords", N_("Fetch new passwords")
    MAILBOX_IMPORT_REJECTED = "mailbox.import_rejected", N_("Fetch refused rows")
    MAILBOX_REPAIR = "mailbox.repair", N_("Repair mailbox")
    MAILBOX_RESET_PASSWORD = "mailbox.reset_password", N_("Reset password")
    MAILBOX_RESTORE = "mailbox.restore", N_("Restore mailbox"), "mailbox.delete"
    MAILBOX_RESTORE_MANY = "mailbox.restore_many", N_("Restore mailboxes"), "mailbox.delete_many"
    MAILBOX_SET_QUOTA_MANY = "mailbox.set_quota_many", N_("Set quotas"), "mailbox.set_quota_many"
    MAILBOX_VERIFY = "mailbox.verify", N_("Check a password")
    OPERATOR_CHANGE_PASSWORD = "operator.change_password", N_("Change own password")
    OPERATOR_CREATE = "operator.create", N_("Add operator")
    OPERATOR_EDIT = "operator.edit", N_("Edit operator"), "operator.edit"
    OPERATOR_END_SESSIONS = "operator.end_sessions", N_("Sign operator out")
    OPERATOR_LOCK = "operator.lock", N_("Lock operator"), "operator.unlock"
    OPERATOR_SET_PASSWORD = "operator.set_password", N_("Reset operator's password")
    OPERATOR_SIGN_IN = "operator.sign_in", N_("Sign in")
    OPERATOR_SIGN_OUT = "operator.sign_out", N_("Sign out")
    OPERATOR_UNLOCK = "operator.unlock", N_("Unlock operator")
    PAGE_OPEN = "page.open", N_("Use a page or dialog")
    POLICY_EDIT = "policy.edit", N_("Edit rules"), "policy.edit"
    POLICY_SHOW = "policy.show", N_("Show rules")
    SERVER_CHECK = "server.check", N_("Check mail server")
    SERVER_CREATE = "server.create", N_("Add mail server"), "server.delete"
    SERVER_DELETE = "server.delete", N_("Remove mail server"), "server.create"
    SERVER_EDIT = "server.edit", N_("Edit mail server"), "server.edit"
    SYNC_DASHBOARD_WINS = "sync.dashboard_wins", N_("Resolve: our side")
    SYNC_FORCE = "sync.force", N_("Push although it is unsafe")
    SYNC_PREVIEW = "sync.preview", N_("Preview")
    SYNC_PULL = "sync.pull", N_("Import from the server")
    SYNC_PUSH = "sync.push", N_("Push")
    SYNC_RESOLVE = "sync.resolve", N_("Resolve differences")
    SYNC_RESOLVE_ALL = "sync.resolve_all", N_("Resolve all differences")
    SYNC_RETRY = "sync.retry", N_("Retry")
    SYNC_RETRY_ALL = "sync.retry_all", N_("Retry all")
    SYNC_SERVER_WINS = "sync.server_wins", N_("Resolve: the server's side")
    SYNC_TAKE_FROM_SERVER = "sync.take_from_server", N_("Take the server's values")
    TOKEN_CREATE = "token.create", N_("Make API token"), "token.revoke"
    TOKEN_REVOKE = "token.revoke", N_("Revoke API token")


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
