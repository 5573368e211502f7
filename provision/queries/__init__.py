"""The front door for reading. Every list takes the Actor and shows what they may see; filtering, sorting and paging
happen in SQL, so a page of 50 out of 100,000 costs milliseconds. Only domains, mail servers and operators, of which
there are few, come all at once.

Lists come as `Page` of plain dicts (for tables and JSON); one thing comes as its row.
"""

from provision.queries.explain import Explanation, Remedy
from provision.queries.lists import Page, kept_to_pages, prefetch
from provision.queries.log import LogFilter, LogReads, begin_of, end_of
from provision.queries.mailboxes import MAILBOX_SORTS, MailboxFilter, MailboxReads
from provision.queries.servers import FULL_PERCENT, ServerReads
from provision.queries.warnings import WarningReads


class Queries(MailboxReads, ServerReads, LogReads, WarningReads):
    """Everything that can be looked at."""


__all__ = [
    "FULL_PERCENT",
    "MAILBOX_SORTS",
    "Explanation",
    "LogFilter",
    "MailboxFilter",
    "Page",
    "Queries",
    "Remedy",
    "begin_of",
    "end_of",
    "kept_to_pages",
    "prefetch",
]
