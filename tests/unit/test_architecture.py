"""Who may import whom, which packages are allowed where, and how large things may grow."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from provision.servers import KINDS

ROOT = Path(__file__).resolve().parents[2]
CODE = [
    path for folder in ("provision", "pages", "webui", "api") for path in sorted((ROOT / folder).rglob("*.py"))
] + sorted(ROOT.glob("dashboard.py"))
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
FRONT = ("pages", "webui", "api", "provision.cli", "dashboard")
PURE = (
    "provision.errors",
    "provision.address",
    "provision.passwords",
    "provision.secret",
    "provision.state",
    "provision.plan",
)

# Layers from the top: a module imports from its own layer or below.
LAYERS = [
    ("dashboard",),
    ("pages", "webui", "api", "provision.cli", "provision.__main__", "provision.jobs"),
    ("provision.backup", "provision.doctor", "provision.firststart", "provision.retention"),
    (
        "provision.bootstrap",
        "provision.csvfile",
        "provision.sheet",
        "provision.sample",
        "provision.imports",
        "provision.health",
    ),
    (
        "provision.provisioner",
        "provision.queries",
        "provision.signin",
        "provision.tokens",
        "provision.answers",
        "provision.policy",
        "provision.keys",
    ),
    ("provision.sync",),
    ("provision.rounds",),
    ("provision.plan", "provision.desired", "provision.servers", "provision.audit", "provision.credentials"),
    (
        "provision.access",
        "provision.database",
        "provision.sealing",
        "provision.models",
        "provision.config",
        "provision.search",
        "provision.rules",
    ),
    (
        "provision.state",
        "provision.pushes",
        "provision.address",
        "provision.passwords",
        "provision.secret",
        "provision.metrics",
        "provision.serverlog",
    ),
    ("provision.errors", "provision.operations"),
]
# A foreign package and where it may be imported.
PACKAGES = {
    "streamlit": ("dashboard", "webui", "pages"),
    "streamlit_authenticator": ("webui",),
    "pandas": ("webui", "pages"),
    "fastapi": ("api", "webui.asgi"),
    "limits": ("api",),
    "prometheus_client": ("api", "provision.metrics"),
    "docker": ("provision.servers.docker_engine", "provision.servers.docker_exec"),
    "paramiko": ("provision.servers.docker_engine",),
    "typer": ("provision.cli",),
    "imapclient": ("provision.credentials",),
    "alembic": ("provision.database",),
    "cryptography": ("provision.sealing",),
}


def name_of(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions; `from a import b` gives `a.b` where that is a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                whole = ROOT.joinpath(*node.module.split("."), alias.name)
                is_module = whole.is_dir() or whole.with_suffix(".py").exists()
                yield f"{node.module}.{alias.name}" if is_module else node.module


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(place + ".") for place in places)


def layer_of(module: str) -> int | None:
    return next((number for number, names in enumerate(LAYERS) if within(module, names)), None)


def ids(path: Path) -> str:
    return name_of(path)


@pytest.mark.parametrize("path", CODE, ids=ids)
def test_it_imports_from_its_own_layer_or_below(path: Path) -> None:
    own = layer_of(name_of(path))
    for module in imports(path):
        layer = layer_of(module)
        if own is not None and layer is not None:
            assert layer >= own, f"{name_of(path)} may not import {module}"


@pytest.mark.parametrize("path", CODE, ids=ids)
def test_its_foreign_packages_are_allowed_there(path: Path) -> None:
    for module in imports(path):
        allowed = PACKAGES.get(module.partition(".")[0])
        assert allowed is None or within(name_of(path), allowed), f"{name_of(path)} may not import {module}"


@pytest.mark.parametrize("path", [p for p in CODE if within(name_of(p), PURE)], ids=ids)
def test_the_pure_modules_know_no_database_and_no_network(path: Path) -> None:
    foreign = {module.partition(".")[0] for module in imports(path)}
    assert not foreign & {
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


@pytest.mark.parametrize("path", [p for p in CODE if within(name_of(p), FRONT)], ids=ids)
def test_the_front_speaks_to_no_mail_server(path: Path) -> None:
    """Writing is a Provisioner method, reading a query; only the list of kinds is shown."""
    for module in imports(path):
        assert not within(module, ("provision.desired", "provision.database", "provision.sealing")), (
            f"{name_of(path)} imports {module}"
        )
        assert not module.startswith("provision.servers."), f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", [p for p in CODE if name_of(p) != "provision.sync"], ids=ids)
def test_only_sync_opens_a_mail_server(path: Path) -> None:
    assert "open_server" not in path.read_text() or within(name_of(path), ("provision.servers",))


def test_every_module_of_the_core_has_a_layer() -> None:
    unknown = [name_of(path) for path in CODE if layer_of(name_of(path)) is None]
    assert set(unknown) <= {"provision"}


# ---- budgets -------------------------------------------------------------------------------


def lengths(path: Path) -> dict[str, int]:
    """Lines of each function, its decorators and docstring included."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, FUNCTION):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found[f"{node.name} in line {node.lineno}"] = (node.end_lineno or 0) - first + 1
    return found


def line_count(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("path", CODE, ids=ids)
def test_a_file_has_400_lines_at_most(path: Path) -> None:
    assert line_count(path) <= 400


@pytest.mark.parametrize("path", CODE, ids=ids)
def test_a_function_has_40_lines_at_most(path: Path) -> None:
    assert {name: lines for name, lines in lengths(path).items() if lines > 40} == {}


def test_half_of_the_functions_have_10_lines_at_most() -> None:
    assert median(lines for path in CODE for lines in lengths(path).values()) <= 10


@pytest.mark.parametrize("path", sorted((ROOT / "pages").glob("*.py")), ids=ids)
def test_a_page_has_150_lines_at_most(path: Path) -> None:
    assert line_count(path) <= 150


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_mail_server_has_200_lines_at_most(kind: str) -> None:
    module = KINDS[kind].target.partition(":")[0]
    assert line_count(ROOT.joinpath(*module.split(".")).with_suffix(".py")) <= 200
