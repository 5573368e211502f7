"""A browser tab without a browser: Streamlit's own messages over the websocket, also those that no page offers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from webui.http.sessions import COOKIE

SECONDS = 30
Value = str | bool | int | list[int]
ENDS = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)
TEXTS = ("alert", "markdown", "text", "heading", "code", "toast", "exception")


@dataclass
class Tab:
    """`tab.open("mailboxes")`, `tab.press("Create mailbox")`, `tab.fill("Address", "x")`; `words` is what is drawn."""

    socket: ClientConnection
    pages: dict[str, str] = field(default_factory=dict)  # address → page hash
    parts: dict[str, Any] = field(default_factory=dict)  # id of a widget → its message
    fragments: dict[str, str] = field(default_factory=dict)  # id of a widget → id of the fragment it is in
    timers: list[str] = field(default_factory=list)  # fragments that the page asks for every few seconds
    held: dict[str, Value] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    raw: bytes = b""
    page_hash: str = ""
    session_id: str = ""
    heading_place: tuple[int, ...] = ()  # of the last heading, among what is drawn
    sent_away_to: str = ""

    def open(self, page: str = "", query: str = "") -> None:
        self.parts, self.fragments, self.held, self.timers, self.page_hash = {}, {}, {}, [], ""
        message = BackMsg()
        message.rerun_script.page_name, message.rerun_script.query_string = page, query
        self.send(message)

    def run(self, *, fragment: str = "", trigger: str = "", changed: Mapping[str, Value] | None = None) -> None:
        """One run of the script or of a fragment; ids may be anything at all."""
        self.ask(fragment=fragment, trigger=trigger, changed=changed)
        self.wait()

    def ask(
        self,
        *,
        fragment: str = "",
        trigger: str = "",
        changed: Mapping[str, Value] | None = None,
        timer: bool = False,
    ) -> None:
        """The same without waiting for what comes. `timer`: as the browser asks by itself."""
        message = BackMsg()
        message.rerun_script.is_auto_rerun = timer
        state = message.rerun_script
        state.page_script_hash, state.fragment_id = self.page_hash, fragment
        for name, value in {**self.held, **(changed or {})}.items():
            _set(state.widget_states.widgets.add(id=name), value)
        if trigger:
            state.widget_states.widgets.add(id=trigger).trigger_value = True
        self._tell(message)

    def slip_in(self, fragment: str, trigger: str, changed: Mapping[str, Value]) -> None:
        """The same for a fragment that this session may not have: such a message gets no answer."""
        message = BackMsg()
        message.rerun_script.page_script_hash, message.rerun_script.fragment_id = self.page_hash, fragment
        for name, value in changed.items():
            _set(message.rerun_script.widget_states.widgets.add(id=name), value)
        message.rerun_script.widget_states.widgets.add(id=trigger).trigger_value = True
        self.socket.send(message.SerializeToString())

    def send(self, message: BackMsg) -> None:
        self._tell(message)
        self.wait()

    def _tell(self, message: BackMsg) -> None:
        self.words, self.raw, self.sent_away_to = [], b"", ""
        self.socket.send(message.SerializeToString())

    def wait(self, *ends: int) -> None:
        """Until a run has begun and ended, in one of these ways if given: the end of the run before may still come."""
        begun = False
        while True:
            data = self.socket.recv(SECONDS, decode=False)
            self.raw += data
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "navigation":
                self.page_hash = message.navigation.page_script_hash
                self.pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
            elif kind == "new_session":
                begun = True
                self.session_id = message.new_session.initialize.session_id
            elif kind == "auth_redirect":
                self.sent_away_to = message.auth_redirect.url
            elif kind == "auto_rerun":
                self.timers.append(message.auto_rerun.fragment_id)
            elif kind == "delta":
                self._drawn(message.delta.new_element, message.delta.fragment_id)
                if message.delta.new_element.WhichOneof("type") == "heading":
                    self.heading_place = tuple(message.metadata.delta_path)
            elif begun and kind == "script_finished" and message.script_finished in (ends or ENDS):
                return

    def _drawn(self, element: Any, fragment: str) -> None:
        kind = element.WhichOneof("type")
        part = getattr(element, kind) if kind else None
        if kind in TEXTS:
            self.words += [getattr(part, name) for name in ("body", "code_text", "message") if hasattr(part, name)]
        elif getattr(part, "id", ""):
            self.parts[part.id], self.fragments[part.id] = part, fragment

    # ---- as a person does ------------------------------------------------------------------

    def find(self, label: str) -> str:
        """The id of the last widget drawn that is called so."""
        found = [name for name, part in self.parts.items() if getattr(part, "label", None) == label]
        if not found:
            raise LookupError(f"{label} is not on the page: {sorted(self.labels)}, {self.said}")
        return found[-1]

    def fill(self, label: str, value: Value) -> None:
        self.held[self.find(label)] = value

    def press(self, label: str) -> None:
        name = self.find(label)
        self.run(trigger=name, fragment=self.fragments[name])

    @property
    def labels(self) -> set[str]:
        return {getattr(part, "label", "") for part in self.parts.values()}

    @property
    def said(self) -> str:
        return "\n".join(self.words).replace("\\", "").replace(":small[]", "")


def _set(widget: Any, value: Value) -> None:
    if isinstance(value, bool):
        widget.bool_value = value
    elif isinstance(value, int):
        widget.int_value = value
    elif isinstance(value, str):
        widget.string_value = value
    else:
        widget.int_array_value.data.extend(value)


@contextmanager
def tab(url: str, token: str = "", **headers: str) -> Iterator[Tab]:
    """A tab of whoever holds this session token."""
    given = {"Cookie": f"{COOKIE}={token}"} if token else {}
    address = url.replace("http:", "ws:") + "/_stcore/stream"
    protocols = [Subprotocol("streamlit")]
    with connect(address, subprotocols=protocols, additional_headers={**given, **headers}, max_size=None) as socket:
        yield Tab(socket)
