"""Where a request comes from: the address of the connection, or what a trusted proxy says. Nothing is decided by it here."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def source(request: HttpRequest) -> str:
    """Who asks: the peer's address, or the one that a trusted proxy names. An IPv6 client has a /64 of its own."""
    address = _parsed(request.META.get("REMOTE_ADDR", ""))
    proxies = [ipaddress.ip_network(text) for text in getattr(settings, "LOCKDOWN_TRUSTED_PROXIES", ())]
    if address and any(address in network for network in proxies):
        address = _parsed(request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()) or address
    if address is None:
        return "local"
    if address.version == 6:
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
