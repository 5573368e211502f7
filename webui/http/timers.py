"""A page's timers keep quiet while what a person has done is under way.

A script that has ended leaves its last messages to the event loop. Whoever asks for a fragment in that moment makes
Streamlit begin a new script thread, and what the ended one had still to say is thrown away: the page goes on showing
what was there before the click. A timer asks again by itself some seconds later, so what it asks meanwhile is dropped.
Source: streamlit 1.67, `AppSession.request_rerun` and `_handle_scriptrunner_event_on_event_loop`.
"""

import asyncio

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

WHOLE_PAGE = frozenset({ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_WITH_COMPILE_ERROR})
FRAGMENT = WHOLE_PAGE | {ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY}
PATIENCE = 30  # seconds; a click that Streamlit ignores has no end
SHORT = 300  # bytes; the end of a run is told in fewer, and what is longer need not be read


class TimersWait:
    """Drops what timers ask for on a websocket, from each click until its run has ended for the browser, too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        page = UnderWay()

        async def receive_what_counts() -> Message:
            message = await receive()
            while page.should_wait(message):
                message = await receive()
            return message

        async def send_and_look(message: Message) -> None:
            await send(message)
            page.look(message)

        await self.app(scope, receive_what_counts, send_and_look)


class UnderWay:
    """Whether a person waits for a run of this page."""

    def __init__(self) -> None:
        self.ends: frozenset[int] = frozenset()  # how the run may end
        self.until = 0.0

    def should_wait(self, message: Message) -> bool:
        asked = _asked(message)
        if asked is None:
            return False
        now = asyncio.get_running_loop().time()
        if asked.is_auto_rerun:
            return bool(self.ends) and now < self.until
        self.ends = FRAGMENT if asked.fragment_id and self.ends != WHOLE_PAGE else WHOLE_PAGE
        self.until = now + PATIENCE
        return False

    def look(self, message: Message) -> None:
        if self.ends and _ended(message) in self.ends:
            self.ends = frozenset()


def _asked(message: Message) -> ClientState | None:
    """The run that is asked for; None for everything else, garbage included, which is Streamlit's to refuse."""
    try:
        told = BackMsg.FromString(message.get("bytes") or b"")
    except DecodeError:
        return None
    return told.rerun_script if told.WhichOneof("type") == "rerun_script" else None


def _ended(message: Message) -> int | None:
    """How a run has ended, if this says so."""
    data = message.get("bytes") or b""
    if len(data) > SHORT:
        return None
    told = ForwardMsg.FromString(data)
    return told.script_finished if told.WhichOneof("type") == "script_finished" else None
