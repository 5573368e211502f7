"""Who may import whom, which packages are allowed where, and how large things may grow."""

import ast
import re
import tomllib
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from provision.servers.kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("provision", "pages", "webui", "api")
CODE = [*(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))), ROOT / "dashboard.py"]
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
FRONT = ("pages", "webui", "api", "provision.cli", "dashboard")
PURE = ("provision.core",)
# What knows all kinds of mail server and no single one.
KINDLESS = tuple(f"provision.{name}" for name in ["core", "storage", "sync", "services", "queries", "audit"])
OF_A_KIND = re.compile(r"docker.?mailserver|\bdms|_dms", re.IGNORECASE)

# Layers from the top: a module imports from its own layer or below.
LAYERS = [
    ("dashboard",),
    ("pages", "webui.main"),
    ("webui.entry",),
    ("webui.sidebar",),
    ("webui.login",),
    (
        "webui.overview",
        "webui.mailboxes",
        "webui.aliases",
        "webui.domains",
        "webui.sync",
        "webui.logs",
        "webui.settings",
    ),
    ("webui.kit",),
    ("webui.http",),
    ("webui",),
    ("provision.__main__",),
    ("api", "provision.cli"),
    ("provision.jobs",),
    ("provision.ops", "provision.transfer"),
    ("provision.app",),
    ("provision.services", "provision.queries"),
    ("provision.sync", "provision.identity"),
    ("provision.audit", "provision.servers"),
    ("provision.settings",),
    ("provision.storage", "provision.telemetry"),
    ("provision.core",),
]
OUTSIDE = frozenset(
    {
        "sqlalchemy",
        "docker",
        "requests",
        "httpx",
        "socket",
        "imapclient",
        "time",
        "datetime",
        "structlog",
    }
)
# A foreign package and where it may be imported.
PACKAGES = {
    "streamlit": ("dashboard", "webui", "pages"),
    "streamlit_authenticator": ("webui",),
    "pandas": ("webui", "pages"),
    "fastapi": ("api", "webui.http.asgi"),
    "limits": ("api",),
    "prometheus_client": ("api", "provision.telemetry.metrics"),
    "docker": ("provision.servers.dms.docker_engine", "provision.servers.dms.docker_exec"),
    "paramiko": ("provision.servers.dms.docker_engine",),
    "typer": ("provision.cli",),
    "imapclient": ("provision.servers.login_check",),
    "alembic": ("provision.storage.database",),
    "babel": ("webui.kit.i18n", "webui.kit.format"),
    "cryptography": ("provision.storage.encryption",),
}
# Lists that keep their rows, by a comment to the formatter, in all Python files here: may only go down.
UNFORMATTED = 8
KEPT = re.compile(r"#\s*(?:fmt|yapf):\s*(?:skip|off|disable)")
NOT_OURS = {".venv", ".git", ".hg", "node_modules", "build", "dist"}


def name_of(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(text_of(path))))


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports, also inside functions; `from a import b` gives `a.b` where that is a module."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if is_module(whole) else node.module


@cache
def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def all_imports() -> Iterator[tuple[str, str]]:
    """(who, whom), names of modules."""
    return ((name_of(path), module) for path in CODE for module in sorted(imports(path)))


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(place + ".") for place in places)


@cache
def layer_of(module: str) -> int | None:
    return next((number for number, names in enumerate(LAYERS) if within(module, names)), None)


def place_of(module: str) -> str | None:
    """The package among LAYERS that it belongs to."""
    return next((place for names in LAYERS for place in names if within(module, (place,))), None)


def is_above(module: str, own: str) -> bool:
    layer, own_layer = layer_of(module), layer_of(own)
    return layer is not None and own_layer is not None and layer < own_layer


def require_none(offenders: Collection[Any]) -> None:
    """Of a list that it compares pytest shows the beginning; here each one is named."""
    __tracebackhide__ = True
    items = offenders.items() if isinstance(offenders, dict) else offenders
    assert not offenders, "\n".join(["", *map(str, items)])


def test_there_is_code_to_look_at() -> None:
    """A folder that was renamed would make the rules below hold for nothing."""
    counts = {folder: sum(path.is_relative_to(ROOT / folder) for path in CODE) for folder in FOLDERS}
    require_none([folder for folder, count in counts.items() if count < 3])
    require_none([name for name in PURE + FRONT if not any(within(name_of(path), (name,)) for path in CODE)])


def test_a_module_imports_from_its_own_layer_or_below() -> None:
    require_none([pair for pair in all_imports() if is_above(pair[1], pair[0])])


def test_no_package_imports_one_beside_it() -> None:
    """Of the same layer: two pages, sync and identity."""
    beside = [(name, module) for name, module in all_imports() if layer_of(name) == layer_of(module) is not None]
    require_none([pair for pair in beside if place_of(pair[0]) != place_of(pair[1])])


def test_foreign_packages_are_imported_where_they_are_allowed() -> None:
    wrong = []
    for name, module in all_imports():
        allowed = PACKAGES.get(module.partition(".")[0])
        if allowed is not None and not within(name, allowed):
            wrong.append((name, module))
    require_none(wrong)


def test_the_pure_modules_know_no_database_and_no_network() -> None:
    pure = [(name, module) for name, module in all_imports() if within(name, PURE)]
    require_none([pair for pair in pure if pair[1].partition(".")[0] in OUTSIDE])


def test_the_front_speaks_to_no_mail_server() -> None:
    """Writing is a Provisioner method, reading a query; only the list of kinds is shown."""
    core = (
        "provision.sync.work",
        "provision.sync.progress",
        "provision.storage.database",
        "provision.storage.encryption",
    )
    front = [(name, module) for name, module in all_imports() if within(name, FRONT)]
    require_none([pair for pair in front if within(pair[1], core) or within(pair[1], ("provision.servers.dms",))])


def test_only_sync_opens_a_mail_server() -> None:
    openers = [name_of(path) for path in CODE if "open_server" in text_of(path)]
    require_none(
        [name for name in openers if not within(name, ("provision.servers.kinds",)) and name != "provision.sync.engine"]
    )


def test_every_module_of_the_core_has_a_layer() -> None:
    unknown = {name_of(path) for path in CODE if layer_of(name_of(path)) is None}
    require_none(unknown - {"provision"})


def test_what_is_of_one_kind_of_mail_server_stays_with_it() -> None:
    """Pauses, race windows, rules for addresses and sentences come from the kind's traits, by no name."""
    kept = [path for path in CODE if within(name_of(path), KINDLESS)]
    require_none([name_of(path) for path in kept if OF_A_KIND.search(text_of(path))])


# ---- budgets -------------------------------------------------------------------------------


@cache
def lengths(path: Path) -> dict[str, int]:
    """Lines of each function, its decorators and docstring included."""
    found = {}
    for node in nodes(path):
        if isinstance(node, FUNCTION):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found[f"{name_of(path)}.{node.name} in line {node.lineno}"] = (node.end_lineno or 0) - first + 1
    return found


def longer_than(most: int, paths: list[Path]) -> dict[str, int]:
    counts = {name_of(path): len(text_of(path).splitlines()) for path in paths}
    return {name: count for name, count in counts.items() if count > most}


def test_a_file_has_400_lines_at_most() -> None:
    require_none(longer_than(400, CODE))


def test_a_page_has_60_lines_at_most() -> None:
    require_none(longer_than(60, [path for path in CODE if path.parent.name == "pages"]))


def test_a_function_has_40_lines_at_most() -> None:
    require_none({name: count for path in CODE for name, count in lengths(path).items() if count > 40})


def test_half_of_the_functions_have_10_lines_at_most() -> None:
    assert median(count for path in CODE for count in lengths(path).values()) <= 10


def test_a_page_has_150_lines_at_most() -> None:
    require_none(longer_than(150, sorted((ROOT / "pages").glob("*.py"))))


def test_a_kind_of_mail_server_has_200_lines_at_most() -> None:
    modules = [kind.target.partition(":")[0] for kind in KINDS.values()]
    require_none(longer_than(200, [ROOT.joinpath(*module.split(".")).with_suffix(".py") for module in modules]))


# ---- the formatter and the linter ------------------------------------------------------------


def ruff() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    return settings


def python_files() -> Iterator[Path]:
    for top in ROOT.iterdir():
        if top.name not in NOT_OURS:
            yield from top.rglob("*.py") if top.is_dir() else [top] if top.suffix == ".py" else []


def test_hardly_anything_is_kept_from_the_formatter() -> None:
    exempt = {str(path.relative_to(ROOT)): len(KEPT.findall(text_of(path))) for path in python_files()}
    assert sum(exempt.values()) <= UNFORMATTED, {name: count for name, count in exempt.items() if count}


def test_ruff_refuses_lines_of_more_than_120_characters() -> None:
    lint = ruff()["lint"]
    assert ruff()["line-length"] == 120
    assert "E" in lint["select"]
    ignored = [*lint["ignore"], *lint.get("extend-ignore", [])]
    require_none([rule for rule in ignored if "E501".startswith(rule)])


def test_ruff_lets_no_further_files_off() -> None:
    assert ruff()["lint"]["per-file-ignores"] == {"tests/*": ["S"], "migrations/*": ["S"]}
    assert ruff()["extend-exclude"] == [".venv"]
