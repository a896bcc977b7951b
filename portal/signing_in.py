"""The form of the sign-in page, in our words."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from backups.text.sentences import phrase


class SignInForm(AuthenticationForm):
    """Says nothing of staff accounts."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": phrase("Name or password is wrong. Capital and small letters count."),
    }

    def confirm_login_allowed(self, user: AbstractBaseUser) -> None:
        """Whether somebody may come in whose password is right."""
        if user.is_active and not getattr(user, "is_staff", False):
            raise ValidationError(phrase("Your account has no role yet: ask an Administrator for one."))
        super().confirm_login_allowed(user)
