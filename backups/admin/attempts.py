"""Failed sign-ins: the pages that axes brings along, whose searches may be of any length as well."""

from __future__ import annotations

from django.contrib import admin

from backups.admin.base import ShortSearch

for _model, _page in list(admin.site._registry.items()):
    if _model._meta.app_label == "axes":
        admin.site.unregister(_model)
        admin.site.register(_model, type(type(_page).__name__, (ShortSearch, type(_page)), {}))
