"""What Vedetta does: backups, their proofs, restores."""

# As in pyproject.toml, which is not in the image.
__version__ = "0.1.0"
