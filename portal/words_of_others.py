"""What django-unfold, django-axes, Django-Q and Django say on our pages, where their own catalogues lack it.

Nothing imports this: it is here for whoever translates, as `manage.py makemessages` looks through no package.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop as _
from django.utils.translation import ngettext_lazy

OF_UNFOLD = (
    _("Select record"), _("Select action"), _("Collapse"), _("Value"), _("From"), _("To"), _("Date from"),
    _("Date to"), _("Select action to run"), _("Select value"), _("Run"), _("Filters"), _("Expand row"),
    _("Welcome back to"), _("Welcome"), _("Type to search"), _("No data"), _("More actions"),
    _("You have been successfully logged out from the administration"), _("All applications"), _("True"),
    _("False"), _("Apply Filters"), _("Select all rows"), _("Recent searches"), _("No recent searches"),
    _("No results matching your query"), _("Loading more results..."), _("Cancel"), _("Submit"),
    _("No results found"), _("Reset filters"), _("Go back"), _("Previous"), _("Next"),
    _("Search apps and models..."), _("General"), _("Light"), _("Dark"), _("System"), _("Return to site"),
    _("Toggle password visibility"), _("Click to cancel"), _("This item will be deleted."), _("Date"),
    _("This page yielded into no results. Create a new item or reset your filters."),
    ngettext_lazy(
        "\n                Found %(counter)s result in %(time)s seconds\n            ",
        "\n                Found %(counter)s results in %(time)s seconds\n            ",
        "counter",
    ),
)  # fmt: skip

# Its Italian catalogue is older than these.
OF_DJANGO = (
    _("Error:"),
    _("Enter a valid domain name."),
    _("Enter a valid %(protocol)s address."),
    ngettext_lazy(
        "This password is too short. It must contain at least %d character.",
        "This password is too short. It must contain at least %d characters.",
        "count",
    ),
)  # fmt: skip

OF_AXES = (
    _("Account locked: too many login attempts. Please try again later."),
    _("Account locked: too many login attempts. Contact an admin to unlock your account."),
    _("access attempt"), _("access attempts"), _("access failure"), _("access failures"), _("access log"),
    _("access logs"), _("Access lock out"), _("Attempt Time"), _("Logout Time"), _("IP Address"),
    _("Username"), _("User Agent"), _("HTTP Accept"), _("Failed Logins"), _("GET Data"), _("POST Data"),
    _("Form Data"), _("Meta Data"), _("Clean up expired attempts"), _("Locked Out"), _("Attempt Remaining"),
    _("Expires At"), _("Not set"), _("Session key hash (sha256)"),
)  # fmt: skip

# Its schedules and messages are on our pages; its own pages of tasks are not.
OF_DJANGO_Q = (
    _("Name"), _("Function"), _("Hook"), _("Arguments"), _("Keyword arguments"), _("Schedule Type"),
    _("Once"), _("Minutes"), _("Hourly"), _("Daily"), _("Weekly"), _("Biweekly"), _("Monthly"),
    _("Bimonthly"), _("Quarterly"), _("Yearly"), _("Cron"), _("Repeats"), _("Next Run"),
    _("Cron expression"), _("Last task id"), _("Name of the target cluster"), _("Intended date kwarg"),
    _("Scheduled task"), _("Scheduled tasks"), _("Queued task"), _("Queued tasks"), _("Successful task"),
    _("Successful tasks"), _("Failed task"), _("Failed tasks"), _("Cluster"), _("Result"), _("success"),
    _("last_run"), _("n = n times, -1 = forever"), _("Number of minutes for the Minutes type"),
    _("How often this task should be enqueued."), _("When this schedule runs next (stored in UTC)."),
    _("Optional label to identify this schedule in the admin."), _("e.g. module.tasks.function"),
)  # fmt: skip
