"""Filters of lists."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.utils import parse_date_str

# Within them each day begins and ends in every zone.
_YEARS = (1900, 9000)


class DaysFilter(RangeDateFilter):
    """From one day to another in TIME_ZONE, both included: unfold's own ends where the last begins."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        """What lies within the days; a text that is no day limits nothing."""
        wanted: dict[str, Any] = {}
        if first := self._day("from"):
            wanted[f"{self.parameter_name}__gte"] = start_of(first)
        if last := self._day("to"):
            wanted[f"{self.parameter_name}__lt"] = start_of(last + timedelta(days=1))
        return queryset.filter(**wanted)

    def _day(self, end: str) -> date | None:
        found: date | None = parse_date_str(self.used_parameters.get(f"{self.parameter_name}_{end}") or "")
        return found if found and _YEARS[0] <= found.year <= _YEARS[1] else None


def start_of(day: date) -> datetime:
    """The first moment of a day in TIME_ZONE."""
    return timezone.make_aware(datetime.combine(day, time.min))
