"""Networks that are named in settings and tokens, and who is within them."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = Sequence[IPv4Network | IPv6Network]


def parse_networks(text: str) -> Networks:
    """Separated by blanks or commas. Raises: ValueError."""
    return tuple(ip_network(part) for part in text.replace(",", " ").split())


def parse_address(text: str | None) -> IPv4Address | IPv6Address | None:
    """None where it is no address. An IPv4 address that is written as IPv6 is the IPv4 one."""
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_within(text: str | None, networks: Networks) -> bool:
    """What is no address is in no network."""
    address = parse_address(text)
    return address is not None and any(address in network for network in networks)
