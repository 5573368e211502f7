"""Mail servers, the people who sign in here, and the rules in force."""

import streamlit as st

from provision.core.access import Permission
from webui.kit import ui
from webui.kit.i18n import _
from webui.settings import operators, policy, servers, tokens

who = ui.signed_in(Permission.SERVER_WRITE)
with ui.title(_("Settings")):
    adding = st.container(horizontal=True, horizontal_alignment="right")

PARTS = {"servers": _("Mail servers"), "operators": _("Operators"), "tokens": _("API tokens"), "policy": _("Rules")}
part = ui.Listing("st").part(PARTS)

if part == "servers":
    servers.part(adding)

if part == "operators":
    operators.part(adding)

if part == "tokens":
    tokens.part(adding)

if part == "policy":
    policy.part(adding)
