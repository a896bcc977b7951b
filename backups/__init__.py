"""What Vedetta does: backups, their proofs, restores."""

# The one place that says it: the wheel, the pages, `version` and the release notes read it here.
__version__ = "1.0.0"
