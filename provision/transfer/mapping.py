"""Which column of a file is what: recognised by its heading, or said by a person. Columns of others lead to ours."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from provision.core.errors import InvalidInput
from provision.transfer.cells import NO, YES

COLUMNS = ("email", "password", "password_hash", "display_name", "quota_mb", "aliases", "enabled")
SECRET_COLUMNS = frozenset({"password", "password_hash"})
# What a column can be, and how it is headed by Google Workspace, Microsoft 365 and Entra, cPanel, Plesk, Modoboa and in
# lists of staff; as `plain` gives them back. Of several the one that comes first here is meant.
HEADINGS: dict[str, tuple[str, ...]] = {
    "email": (
        *("email", "email address", "address", "primary email", "user principal name", "userprincipalname", "mail"),
        *("e mail", "e mail address", "mail address", "e mail adresse", "email adresse", "mailadresse", "mail adresse"),
        *("adresse e mail", "adresse email", "courriel", "adresse électronique", "メールアドレス", "メール", "eメール"),
        *("邮箱", "邮箱地址", "电子邮箱", "电子邮件", "user name", "username", "mailname", "loginname", "login"),
    ),
    "domain": ("domain", "domäne", "domaine", "ドメイン", "域名"),
    "password": (
        *("password", "initial password", "temporary password", "passwd", "passwort", "kennwort"),
        *("mot de passe", "パスワード", "密码"),
    ),
    "password_hash": ("password hash", "hash", "crypted password", "passwort hash"),
    "display_name": (
        *("display name", "displayname", "full name", "name", "anzeigename", "nom complet", "nom affiché"),
        *("nom d affichage", "表示名", "氏名", "名前", "姓名", "显示名称"),
    ),
    "first_name": ("first name", "firstname", "given name", "givenname", "vorname", "prénom", "prenom", "名"),
    "last_name": ("last name", "lastname", "surname", "family name", "nachname", "familienname", "nom", "姓"),
    "quota_mb": ("quota mb", "quota", "mailbox quota", "kontingent mb", "kontingent", "quota mo", "容量", "配额"),
    "quota_gb": ("quota gb", "mailbox size gb", "kontingent gb", "quota go", "容量 gb", "配额 gb"),
    "aliases": ("aliases", "alias", "email aliases", "aliasse", "エイリアス", "别名"),
    "enabled": (
        *("enabled", "active", "accountenabled", "account enabled", "status", "aktiv", "aktiviert", "actif", "activé"),
        *("有効", "状態", "状态", "启用"),
    ),
    "disabled": ("disabled", "block credential", "block sign in", "block sign in yes no", "gesperrt", "bloqué"),
}
INSTEAD = {"quota_mb": "quota_gb", "enabled": "disabled", "display_name": "last_name"}  # what a file may have for it
# Modoboa exports without a header; what stands behind these columns are domains.
MODOBOA = ("object", "loginname", "password hash", "first name", "last name", "enabled", "group", "address", "quota")
BESIDES = re.compile(r"\[[^\]]*\]|\brequired\b|[^\w\[]+|[_\[]")  # `Email Address [Required]`, `quota_mb`, `E-Mail`
FAR_EAST = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def plain(heading: str) -> str:
    return " ".join(BESIDES.sub(" ", unicodedata.normalize("NFKC", heading).casefold()).split())


def recognise(header: Sequence[str]) -> dict[str, str]:
    """The heading of each of our columns that is found."""
    known = {plain(heading): heading for heading in reversed(header)}
    found = {}
    for column, names in HEADINGS.items():
        if name := next((name for name in names if name in known), None):
            found[column] = known[name]
    return found


def is_ours(header: Sequence[str]) -> bool:
    """Whether a file is headed as our own: then a column that is not known is a slip, and not one of somebody else."""
    return "email" in (heading.lower() for heading in header)


def said(pairs: Iterable[str]) -> dict[str, str]:
    """`email=Mail`, as it is typed. Nothing behind `=`: the column is left out. Raises: InvalidInput."""
    found = {}
    for pair in pairs:
        column, is_pair, heading = pair.partition("=")
        if column not in HEADINGS or not is_pair:
            raise InvalidInput(f"{pair} is no column=heading; columns are: {', '.join(HEADINGS)}.")
        found[column] = heading
    return found


def without_header(row: Sequence[str]) -> tuple[str, ...]:
    """The headings of a file that has none but is known by its first row, else nothing."""
    if len(row) < len(MODOBOA) or row[0].strip().lower() != "account" or "@" not in row[1]:
        return ()
    return (*MODOBOA, *(f"domain {n}" for n in range(1, len(row) - len(MODOBOA) + 1)))


def as_ours(cells: Mapping[str, str]) -> dict[str, str]:
    """The cells of a row as our own columns have them: joined where others have two for it."""
    ours = {column: cells.get(column, "") for column in COLUMNS}
    if cells.get("domain", "").strip() and "@" not in ours["email"]:
        ours["email"] = f"{ours['email'].strip()}@{cells['domain'].strip()}"
    first, last = (cells.get(name, "").strip() for name in ("first_name", "last_name"))
    if not ours["display_name"].strip():
        names = (last, first) if FAR_EAST.search(last + first) else (first, last)
        ours["display_name"] = " ".join(filter(None, names))
    if (size := cells.get("quota_gb", "").strip()) and not ours["quota_mb"]:
        ours["quota_mb"] = f"{size} GB" if size[-1].isdigit() else size
    if word := cells.get("disabled", "").strip().casefold():
        ours["enabled"] = "no" if YES.fullmatch(word) else "yes" if NO.fullmatch(word) else word
    return ours
