"""The state of everything at a glance."""

from provision.access import Permission
from webui import ui
from webui.i18n import _

who = ui.signed_in(Permission.SYNC_READ)
ui.title(_("Overview"))
