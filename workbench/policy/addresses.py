"""Which network addresses belong to the open internet, and which to this machine, its neighbours or its cloud."""

from __future__ import annotations

import ipaddress

_NOT_PUBLIC = (
    ipaddress.ip_network("168.63.129.16/32"),  # metadata of Azure's machines; looks public
    ipaddress.ip_network("192.0.0.0/24"),  # metadata of Oracle's; older Pythons call it public
)
_UNICAST = ipaddress.ip_network("2000::/3")
"""All that is given out of IPv6. Outside of it lie old and local forms, some with an address of this machine inside."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an address is of the open internet; an address that carries an IPv4 address inside is judged by that.

    >>> is_public("8.8.8.8"), is_public("169.254.169.254"), is_public("::ffff:127.0.0.1")
    (True, False, False)

    Raises ValueError for what is no address.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.teredo is not None or ip not in _UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_PUBLIC)
