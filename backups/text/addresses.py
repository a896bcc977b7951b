"""Servers' addresses, compared by their names alone."""

from __future__ import annotations


def tcp_host(host: str) -> str:
    """A host as drivers and client programs are told of it.

    By the name localhost some of them would mean a socket, which may be another server's than what listens
    on the port, and some the port.
    """
    return "127.0.0.1" if host == "localhost" else host.strip("[]")


def place(host: str, port: int) -> tuple[str, int]:
    """An address as it is compared with others: in one spelling, so far as names tell."""
    return tcp_host(host).lower() if not host.startswith("/") else host, port


def same_address(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two hosts with their ports are one server by their names."""
    return place(*one) == place(*other)
