"""Whatever is in the files, we read what Postfix and Dovecot read: they are asked, by postmap and doveadm."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.core.rules import Decides, Rule, mailbox_effects
from provision.servers.dms.foreign import read_regexp
from provision.servers.dms.lines import VirtualFile
from provision.servers.dms.state import quota_bytes
from tests.conftest import HASH
from tests.mail.conftest import Mail
from tests.nightly import by_day

EXAMPLES = settings(
    max_examples=by_day(60, 1000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Ask = Callable[..., str]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """A table as Postfix reads it with docker-mailserver's settings."""
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\nsmtputf8_enable = no\n")

    def ask(kind: str, text: str, *how: str) -> str:
        (tmp_path / "table").write_bytes(text.encode("utf-8", "surrogateescape"))
        os.utime(tmp_path / "table", (0, 0))  # of a file that has just been written it waits for more, two seconds
        command = ["/usr/sbin/postmap", "-c", str(tmp_path), *how, f"{kind}:{tmp_path / 'table'}"]
        done = subprocess.run(command, capture_output=True, check=False)
        return done.stdout.decode("utf-8", "surrogateescape")

    return ask


# ---- aliases -------------------------------------------------------------------------------

ADDRESSES = ["a@x.io", "A@X.io", "@x.io", "@X.IO", "b@x.io", "c@y.net", "ü@x.io", "Ü@x.io", "\u212a@x.io", "sales"]
BREAKS = ["\n", "\n", "\n", "\n ", "\n\t", "\r\n", "\r", "\n\n", "\n   \n", "\n#", "\n  # c", "#"]
BLANKS = [" ", "\t", "  ", ",", ", ", "\u00a0", "\u2028", "\x0b", "\x0c", "\x85"]
OTHERS = ["\ufeff", "\udcfc", "|/bin/cat", "/dev/null", ":"]
PIECES = ADDRESSES + BREAKS + BLANKS + OTHERS
texts = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@EXAMPLES
@given(text=texts)
def test_aliases_are_those_that_postfix_finds(ask: Ask, text: str) -> None:
    ours = {key: VirtualFile.destinations(value) for key, value in VirtualFile(text).items()}
    lines = [line.split("\t", 1) for line in ask("texthash", text, "-s").split("\n") if line]
    assert ours == {key: VirtualFile.destinations(value) for key, value in lines}


# ---- rules ---------------------------------------------------------------------------------

PATTERNS = ["^a", "@x\\.io$", "^(.*)@x\\.io$", "^[a-b]+@", "A@X", "^(a|b)@(.*)$", "io$", "^.@y"]
rules = st.builds(
    lambda no, pattern, flag, target: f"{no}/{pattern}/{flag} {target}",
    st.sampled_from(["", "", "!"]),
    st.sampled_from(PATTERNS),
    st.sampled_from(["", "", "i"]),
    st.sampled_from(["one@z.de", "two@z.de, three@z.de", "four@z.de"]),
)
blocks = st.builds(
    lambda pattern, inner: "\n".join((f"if /{pattern}/", *inner, "endif")),
    st.sampled_from(PATTERNS),
    st.lists(rules, max_size=2),
)
tables = st.lists(rules | blocks | st.sampled_from(["", "# c", "  # d", "/^(.*)@y\\.net$/ $1@z.de"]), max_size=6).map(
    "\n".join
)


@EXAMPLES
@given(text=tables, address=st.sampled_from(["a@x.io", "b@x.io", "ab@x.io", "c@y.net", "a@y.net", "zz@q.org"]))
def test_rules_lead_where_postfix_says(ask: Ask, text: str, address: str) -> None:
    """Of the two sorts of patterns that Postfix knows, what is common to both."""
    routes, unreadable = read_regexp(text)
    assert unreadable == []
    told = mailbox_effects([Rule(Decides.ROUTE, "f", route.pattern, route.target) for route in routes], address)
    target = ask("regexp", text, "-q", address).strip()
    assert told == ([f"Mail for {address} is decided by a rule in f: it goes to {target}."] if target else [])


# ---- quotas --------------------------------------------------------------------------------

SIZES = st.from_regex(r"[0-9]{1,4}[bkmgtBKMGT]?[iI]?[bB]?", fullmatch=True) | st.sampled_from(
    [
        "unlimited",
        "1.5G",
        "-1",
        "5 M",
        " 5M",
        "5M ",
        "+5M",
        "0",
        "0M",
        "1P",
        "8388608T",
        "9223372036854775807",
        "5IB",
        "10%",
    ]
)


@settings(max_examples=by_day(4, 40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(SIZES, min_size=10, max_size=25))
def test_a_quota_that_we_read_is_the_one_that_dovecot_applies(mail: Mail, sizes: list[str]) -> None:
    names = [f"u{number}@example.com" for number in range(len(sizes))]
    mail.world.write("".join(f"{name}|{HASH.reveal()}\n" for name in names))
    mail.world.write("".join(f"{name}:{size}\n" for name, size in zip(names, sizes, strict=True)), "dovecot-quotas.cf")
    mail.host.feed(mail.world.volume)
    for name, size in zip(names, sizes, strict=True):
        ours = quota_bytes(size.rstrip())
        if ours is not None:
            assert mail.host.quota_bytes(name) == (-(-ours // 1024) * 1024 or None), size
