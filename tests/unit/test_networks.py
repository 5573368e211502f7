"""Who is within the networks that settings and tokens name."""

import pytest

from provision.core.networks import is_within, parse_networks

NETWORKS = parse_networks("10.0.0.0/8, 192.0.2.7 2001:db8::/32")


@pytest.mark.parametrize(
    ("address", "within"),
    [
        ("10.1.2.3", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::1", True),
        ("::1", False),
        ("unknown", False),
        ("", False),
        (None, False),
    ],
)
def test_what_is_no_address_is_in_no_network(address: str | None, within: bool) -> None:
    assert is_within(address, NETWORKS) is within


def test_nobody_is_within_no_network() -> None:
    assert not is_within("10.1.2.3", parse_networks(" , "))


def test_a_host_within_a_network_is_no_network() -> None:
    with pytest.raises(ValueError, match="host bits"):
        parse_networks("10.0.0.1/8")
