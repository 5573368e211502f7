"""What the README says of the settings is what the code reads."""

import re
from pathlib import Path

from provision.settings.config import Settings, variables

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def defaults() -> dict[str, object]:
    """Each variable by the name the README should use, with its default."""
    return {variables(name)[-1]: field.default for name, field in Settings.model_fields.items()}


def test_it_lists_every_setting_and_no_other() -> None:
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE)) == set(defaults())


def test_it_tells_the_true_defaults() -> None:
    told = dict(re.findall(r"^\| `([A-Z_]+)` \| ?`?([^|`]*)`? ?\|", README, re.MULTILINE))
    for name, default in defaults().items():
        shown = told[name].strip()
        if default is None or default == "":
            assert shown == ""
        elif isinstance(default, bool):
            assert shown == str(default).lower()
        elif isinstance(default, int | float):
            assert float(shown) == default
        else:
            assert shown == str(default)


def test_it_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) <= 120
