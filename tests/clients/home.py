"""Keeps a client at home: this process connects to loopback and to nothing else.

`guard()` looks at every connection and every look-up of a name that the
process wants to make, whichever library wants it, and refuses those that lead
elsewhere. `wanted()` says where they would have led.
"""

import contextlib
import ipaddress
import socket
import sys

# Exit status of a program that only this has failed in.
LEFT_HOME = 3

_wanted = []


def guard():
    """From now on; it cannot be taken back."""
    sys.addaudithook(_hook)
    # It is tried out, with an address and a name that lead nowhere.
    with contextlib.suppress(OSError):
        socket.create_connection(("192.0.2.1", 9), timeout=0.1)
    with contextlib.suppress(OSError):
        socket.getaddrinfo("a.invalid", 9)
    if wanted() != ["192.0.2.1", "a.invalid"]:
        raise RuntimeError("connections pass this guard unseen")


def wanted():
    """Where the process wanted to go since the last time this was asked."""
    found = sorted(set(_wanted))
    _wanted.clear()
    return found


def _hook(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments
    else:
        return
    # The address of a local socket is a path.
    if not isinstance(address, tuple) or is_home(address[0]):
        return
    _wanted.append(str(address[0]))
    raise ConnectionRefusedError(f"{address[0]} is not at home")


def is_home(host):
    """Whether a name or an address stays on this machine."""
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
