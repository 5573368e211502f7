"""For a server process of test_lost_clicks: moments of microseconds, in which a click could be lost, take longer.

30 ms pass while Streamlit forgets old widgets, and 60 ms before the event loop sends what a script has drawn.
"""

import time

from streamlit.runtime.app_session import AppSession
from streamlit.runtime.state.session_state import WStates

forget = WStates.remove_stale_widgets


def forget_slowly(states: WStates, *arguments: object) -> None:
    left = WStates(dict(states.states), dict(states.widget_metadata))
    forget(left, *arguments)  # type: ignore[arg-type]
    time.sleep(0.03)
    states.states = left.states


def send_later(session: AppSession, callback) -> None:  # type: ignore[no-untyped-def]
    loop = session._event_loop
    loop.call_soon_threadsafe(lambda: loop.call_later(0.06, callback))


WStates.remove_stale_widgets = forget_slowly  # type: ignore[assignment]
AppSession._call_soon_on_event_loop = send_later  # type: ignore[assignment]
