"""How the admin looks: read by django-unfold."""

UNFOLD = {
    "SITE_TITLE": "Vedetta",
    "SITE_HEADER": "Vedetta",
}
