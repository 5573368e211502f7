"""Texts that break programs: the Big List of Naughty Strings (blns.json, MIT, see blns.LICENSE) and 500 of our own.

python -m tests.attack.naughty prints how many there are.
"""

import json
import random
from pathlib import Path

BLNS: list[str] = [text for text in json.loads((Path(__file__).parent / "blns.json").read_text()) if text]
COUNT = 500
HOST = "evil.example"  # whatever leads there was made by what somebody typed
CANARY_FILE = "/tmp/postroom-attack-command-was-run"

CONTROLS = [chr(number) for number in (*range(32), 127, *range(128, 160))]
INVISIBLE = [
    *"\u00ad\u200b\u200c\u200d\u2060\ufeff\u180e\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2069",
    "\U000e0041",
]
SEPARATORS = ["|", ":", ",", ";", "\t", "\r\n", "\n", "\r", "\u2028", "\u2029", "\x85", "\0", "#", "%", "\\", "/", " "]
QUOTES = ['"', "'", "`", "''", '""', "\\'", '\\"', "“", "«", "‘"]
SHELL = [
    f"$(touch {CANARY_FILE})", f"`touch {CANARY_FILE}`", f"; touch {CANARY_FILE};", f"| touch {CANARY_FILE}",
    f"&& touch {CANARY_FILE} #", f"\ntouch {CANARY_FILE}\n", "${IFS}", "$HOME", "~root", "--help", "-rf", "!!", "{a,b}",
    "*", "?", "[a-z]", "<(id)", ">&2", "%0a id",
]  # fmt: skip
MARKUP = [
    ":red[x]", ":material/delete:", ":streamlit:", ":smile:", f"![x](http://{HOST}/x.png)", f"[x](http://{HOST})",
    f"http://{HOST}/a", f"www.{HOST}", f"<http://{HOST}>", f'<img src="http://{HOST}/x">',
    "<script>alert(1)</script>", f'<a href="javascript:fetch(`http://{HOST}`)">x</a>', "<svg/onload=alert(1)>",
    "**bold**", "# heading", "a\n===\nb", "$x^2$", "$$\\input{/etc/passwd}$$", "```\ncode", "|a|b|\n|-|-|\n|1|2|",
    "- [ ] task", "> quote", "1. one", "&lt;b&gt;&amp;", "a -> b <- c -- d", ":violet-badge[x]", "[^1]", "~~gone~~",
    "---", f"x@{HOST}", f"mailto:x@{HOST}", f"<iframe src=//{HOST}>", "</style><style>*{display:none}",
    "javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "{{7*7}}", "${7*7}", "%(name)s",
    "{0.__class__}", "%s%n",
]  # fmt: skip
FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    f'=HYPERLINK("http://{HOST}")',
    "=cmd|'/c calc'!A0",
    "\t=1",
    "'=1",
    "''=1",
]
PATHS = [
    "../../../etc/passwd", "..\\..\\x", "/etc/passwd", "....//....//", "%2e%2e%2f", "..%c0%af", "file:///etc/passwd",
    ".", "..", "~/.ssh", "\\\\host\\share", "CON", "a/b", "%00", "a\0.csv",
]  # fmt: skip
LANGUAGES = [
    "' OR '1'='1", "'; DROP TABLE mailbox; --", '" OR ""="', "1; SELECT pg_sleep(9)", "%' ESCAPE '", "_", "%",
    "*)(uid=*))(|(uid=*", "\\", "\\0", "(a+)+$", "[", "(?P<x>", ".*", "^$", "regexp:/etc/passwd", "pcre:/x/",
    "/^.*$/ x@y", "inline:{a=b}", "|/bin/id", ":include:/etc/passwd", "root: |id", "{PLAIN}secret", "fail=y",
    "userdb_mail=/etc", "nopassword=y", "%u", "%{ldap:x}", "a b c", "@", "@@", "a@b@c", "@example.com@",
    "\"a b\"@example.com", "a@[127.0.0.1]", "a@localhost", "a@example.com.", "a..b@example.com", ".a@example.com",
]  # fmt: skip
UNICODE = [
    "é" * 8, "e\u0301" * 8, "Z" + "\u0351\u0360\u0489" * 20, "ﷺ" * 9, "עברית abc ١٢٣", "日本語", "中文字",
    "👩‍👩‍👧‍👦", "𝒜𝓃𝓃𝒶", "ß", "İ", "ı", "ſ", "K", "ﬀ", "аnna", "ɑnna", "１２３", "²", "Ⅷ", "\ud7ff\ue000", "\ufffe",
    "\U0010ffff", "xn--", "xn--a", "☃.net", "a\u3002b",
]  # fmt: skip
LONG = [
    "a" * 65,
    "a" * 201,
    "a" * 321,
    "日" * 1_000,
    "a" * 10_000,
    "a." * 200 + "a",
    ("a" * 63 + ".") * 4 + "com",
    "9" * 400,
    "-" * 300,
]
NUMBERS = [
    "-1",
    "0x10",
    "1e309",
    "NaN",
    "Infinity",
    "-0",
    "1_000",
    "1,5",
    "٣",
    "9" * 25,
    "null",
    "None",
    "undefined",
    "true",
    "[]",
    "{}",
]
SHAPES = ["{}", "a{}b", "{}@example.com", "anna{}@example.com", "anna@{}", "anna@example.com{}", " {} ", "{0}{0}"]


def ours() -> list[str]:
    """Every piece by itself first, then pieces in shapes and pairs; the same at each run."""
    kinds = (CONTROLS, INVISIBLE, SEPARATORS, QUOTES, SHELL, MARKUP, FORMULAS, PATHS, LANGUAGES, UNICODE, LONG, NUMBERS)
    pieces = list(dict.fromkeys(piece for kind in kinds for piece in kind))
    dice = random.Random(7)
    found = dict.fromkeys(pieces)
    while len(found) < COUNT:
        piece = dice.choice(pieces) + dice.choice(("", dice.choice(pieces)))
        found[dice.choice(SHAPES).replace("{0}", "{}").replace("{}", piece)] = None
    return list(found)[:COUNT]


OURS = ours()
ALL = list(dict.fromkeys([*BLNS, *OURS]))


def hard(count: int) -> list[str]:
    """Fewer, for ways in that are slow: some of every kind, always the same."""
    step = len(OURS) / count
    return [OURS[int(number * step)] for number in range(count)]


if __name__ == "__main__":
    print(f"{len(BLNS)} of the list and {len(OURS)} of our own, {len(ALL)} altogether")
