"""What stands behind the ? of a path: a name that is not known changes what is asked for, so it is refused."""

from collections.abc import Collection
from difflib import get_close_matches

from fastapi import Request
from fastapi.dependencies.models import Dependant

from api.auth import OPEN, path_within
from provision.core.errors import InvalidInput


async def known_parameters(request: Request) -> None:
    """For every route. Raises: InvalidInput with the nearest name."""
    given = request.query_params
    if not given or path_within(request.scope) in OPEN:
        return
    known = _names(request.scope["route"].dependant)
    for name in given:
        if name not in known:
            raise InvalidInput(f"There is no parameter {name} here. {_hint(name, known)}", parameter=name)


def _names(needs: Dependant) -> set[str]:
    """Of the parameters of a route, and of what it depends on."""
    return {field.alias for field in needs.query_params}.union(*map(_names, needs.dependencies))


def _hint(name: str, known: Collection[str]) -> str:
    """`dry_run` is near to `dryRun`."""
    folded = {_folded(one): one for one in known}
    near = get_close_matches(_folded(name), folded, 1)
    if near:
        return f"The nearest is {folded[near[0]]}."
    return f"There are: {', '.join(sorted(known))}." if known else "It takes none."


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
