"""For a server process of test_lost_clicks: Streamlit takes 30 ms, not a few µs, to forget old widgets."""

import time

from streamlit.runtime.state.session_state import WStates

forget = WStates.remove_stale_widgets


def forget_slowly(states: WStates, *arguments: object) -> None:
    left = WStates(dict(states.states), dict(states.widget_metadata))
    forget(left, *arguments)  # type: ignore[arg-type]
    time.sleep(0.03)
    states.states = left.states


WStates.remove_stale_widgets = forget_slowly  # type: ignore[assignment]
