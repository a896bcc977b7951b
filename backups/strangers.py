"""Rows that came out of a repository: what of them is switched off until a person has looked at it."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Model

from backups import services
from backups.models import Database, Repository

_NO_SCHEDULE = {"backup_cron": "", "verify_cron": ""}
_NO_TEST_RESTORES_ELSEWHERE = {"verify_host": "", "verify_user": "", "verify_password_ref": ""}


def switch_off_unfit() -> Iterator[str]:
    """Take the schedules of databases whose rows no form would take; answers a sentence each."""
    refused = {each.pk: why for each in Repository.objects.all() if (why := _unfit(each))}
    for pk, why in refused.items():
        yield f"Repository {Repository.objects.get(pk=pk).name} is not used: {why}"
    for database in Database.objects.order_by("pk"):
        why = _unfit(database)
        if why or database.repository_id in refused:
            Database.objects.filter(pk=database.pk).update(**_NO_SCHEDULE)
        if why:
            yield f"Database {database.name} is not backed up: {why}"
    for person in get_user_model().objects.order_by("pk"):
        if why := _unfit(person):
            get_user_model().objects.filter(pk=person.pk).update(is_active=False)
            yield f"{person.get_username()} cannot sign in: {why}"


def switch_off_strange() -> Iterator[str]:
    """Of a copy that is not ours: nobody signs in, and only the database of .env is backed up."""
    people = get_user_model().objects.filter(is_active=True)
    names = sorted(people.values_list("username", flat=True))
    people.update(is_active=False)
    _let_in_the_admin()
    if left := [name for name in names if not people.filter(username=name).exists()]:
        yield f"Of the copy cannot sign in until an administrator lets them: {', '.join(left)}."
    # What dead runs left is on machines of then, and this says where somebody wants things deleted.
    for run in [*services.runs_that_left("scratch"), *services.runs_that_left("partial")]:
        for name in ("scratch", "partial"):
            services.left_cleared(run.pk, name)
    for database in Database.objects.exclude(verify_host="").order_by("pk"):
        # All that a database holds would be loaded there.
        Database.objects.filter(pk=database.pk).update(**_NO_TEST_RESTORES_ELSEWHERE)
        yield (
            f"Test restores of {database.name} do not go to {database.verify_host}:{database.verify_port} "
            "until somebody names that server again."
        )
    for database in Database.objects.order_by("pk"):
        if (database.host, database.port, database.database) == (
            settings.MYSQL_HOST, settings.MYSQL_PORT, settings.MYSQL_DATABASE,
        ):  # fmt: skip
            continue
        Database.objects.filter(pk=database.pk).update(**_NO_SCHEDULE)
        yield f"Database {database.name} has no schedules until somebody gives it some."


def _let_in_the_admin() -> None:
    """The administrator whom .env names signs in as .env says, whatever a copy says of them."""
    users = get_user_model()
    for admin in users.objects.filter(username=settings.PORTAL_ADMIN_USER):
        if settings.PORTAL_ADMIN_PASSWORD:
            admin.set_password(settings.PORTAL_ADMIN_PASSWORD)
            admin.is_active = admin.is_staff = admin.is_superuser = True
            admin.save()


def _unfit(row: Model) -> str:
    """Why a row would not be taken from a form; empty where it would."""
    try:
        row.full_clean()
    except ValidationError as error:
        return " ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
    return ""
