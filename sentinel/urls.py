"""The gate's addresses (contract). The portal includes them at its root."""

from django.urls import path

from sentinel import views

urlpatterns = [
    path("sentinel/ok", views.ok, name="sentinel-ok"),
    path("ok", views.ok),
    path("sentinel/status", views.status, name="sentinel-status"),
    path("sentinel/ok/<path:database>", views.ok, name="sentinel-ok-database"),
]

# Django looks at these in the root URLconf only, so they serve the stand-alone process.
handler404 = views.not_found
handler500 = views.server_error
