"""Tickets: for one person and one snapshot, once, soon, and only for who still may."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from backups.downloads import tickets, wire
from backups.errors import Problem
from backups.models import DownloadTicket, Snapshot
from tests.admin.conftest import past, person, roles
from tests.together import at_once
from tools.history import History

__all__ = ["past", "person", "roles"]
MakePerson = Callable[[str], User]


@pytest.fixture
def restorer(person: MakePerson) -> User:
    """Somebody who may download."""
    return person("Restorer")


@pytest.fixture
def snapshot(past: History) -> Snapshot:
    """Some snapshot that is held."""
    return Snapshot.objects.filter(forgotten_at=None)[0]


def refused(token: str) -> str:
    """The code of why a ticket is not taken."""
    with pytest.raises(Problem) as raised:
        tickets.spend(token)
    return raised.value.code


def test_a_ticket_is_good_once(restorer: User, snapshot: Snapshot) -> None:
    token = tickets.issue(restorer, snapshot, ["orders", "customers"])

    spent = tickets.spend(token)

    assert (spent.snapshot, spent.person, spent.tables) == (snapshot, restorer, ["customers", "orders"])
    assert refused(token) == "downloads.no_ticket"


def test_only_a_digest_of_it_is_kept(restorer: User, snapshot: Snapshot) -> None:
    token = tickets.issue(restorer, snapshot)

    row = DownloadTicket.objects.values_list().get()

    assert not any(token in str(value) for value in row)
    assert refused(DownloadTicket.objects.get().digest) == "downloads.no_ticket"
    assert refused("") == "downloads.no_ticket"


def test_a_ticket_is_good_for_a_minute(restorer: User, snapshot: Snapshot) -> None:
    before = timezone.now() - timedelta(seconds=tickets.VALID_SECONDS + 1)
    assert refused(tickets.issue(restorer, snapshot, now=before)) == "downloads.no_ticket"


def test_tickets_of_days_ago_are_not_kept(restorer: User, snapshot: Snapshot) -> None:
    tickets.issue(restorer, snapshot, now=timezone.now() - timedelta(days=2))
    tickets.issue(restorer, snapshot)
    assert DownloadTicket.objects.count() == 1


def test_who_lost_the_right_meanwhile_has_nothing_of_the_ticket(
    person: MakePerson, snapshot: Snapshot
) -> None:
    def left(user: User) -> None:
        user.is_active = False
        user.save()

    def of_no_staff(user: User) -> None:
        user.is_staff = False
        user.save()

    for number, loses in enumerate((left, of_no_staff, lambda user: user.groups.clear())):
        user = person("Restorer")
        token = tickets.issue(user, snapshot)
        loses(user)
        assert refused(token) == "downloads.may_not"
        User.objects.filter(pk=user.pk).update(username=f"of before {number}")


def test_a_snapshot_that_was_forgotten_meanwhile_is_not_read(restorer: User, snapshot: Snapshot) -> None:
    token = tickets.issue(restorer, snapshot)
    Snapshot.objects.filter(pk=snapshot.pk).update(forgotten_at=timezone.now())
    assert refused(token) == "downloads.forgotten"


def test_a_file_that_was_made_of_a_snapshot_is_had_after_it_was_forgotten(
    restorer: User, snapshot: Snapshot
) -> None:
    purpose = tickets.of_file(7)
    Snapshot.objects.filter(pk=snapshot.pk).update(forgotten_at=timezone.now())
    token = tickets.issue(restorer, snapshot, purpose=purpose)

    assert tickets.spend(token, purpose=purpose).snapshot == snapshot


def test_a_ticket_for_a_purpose_is_good_for_no_download(restorer: User, snapshot: Snapshot) -> None:
    """Nor with the purpose behind it, as a line of the portal's could have it."""
    purpose = tickets.of_log(3)
    token = tickets.issue(restorer, snapshot, purpose=purpose)

    for made_up in (token, token + purpose, f"{token} {purpose}"):
        assert refused(made_up) == "downloads.no_ticket"
    assert tickets.spend(token, purpose=purpose).snapshot == snapshot


def test_no_token_goes_over_the_end_of_its_line() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"vedetta-downloads 1 token\nlog of database 3\n")
        with pytest.raises(wire.Unspoken):
            wire.read_greeting(here, seconds=5)


def test_a_ticket_goes_with_the_person(restorer: User, snapshot: Snapshot) -> None:
    token = tickets.issue(restorer, snapshot)
    restorer.delete()
    assert refused(token) == "downloads.no_ticket"


@pytest.mark.django_db(transaction=True)
def test_of_many_who_spend_it_at_once_one_has_it(file_database: None, person: MakePerson) -> None:
    """On a real file, as in production: in memory nobody waits for a lock."""
    from tools import history

    history.make(days=5)
    token = tickets.issue(person("Restorer"), Snapshot.objects.filter(forgotten_at=None)[0])

    def spend() -> str:
        try:
            tickets.spend(token)
        except Problem as problem:
            return problem.code
        return "good"

    assert sorted(at_once(6, spend)) == [*["downloads.no_ticket"] * 5, "good"]
