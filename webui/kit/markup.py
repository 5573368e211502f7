"""Text that somebody else wrote, on its way into Markdown."""

import re

MEANT = re.compile(r"([][\\`*_{}<>()#+!|$:~@&=^-]|(?<=\d)\.)")  # what Markdown lets us write with a backslash
# Streamlit looks for links, icons and arrows again when the backslashes are gone, but only within one piece of text.
MEANT_LATER = re.compile(r"(?=://)|(?<=www)(?=\.)|(?=@)|(?<=:)(?=\w)|(?<=[-<>~])(?=[-=>])", re.IGNORECASE)
NOTHING = ":small[]"  # shows nothing, and parts the text before it from the text after it


def plain(text: str) -> str:
    """For st.markdown and its kind: what is shown is this text, and none of it is markup."""
    line = re.sub(r"[ \t\r\n]+", " ", text).strip(" ")
    return NOTHING.join(MEANT.sub(r"\\\1", part) for part in MEANT_LATER.split(line))
