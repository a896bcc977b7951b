"""The portal's own database: whether it can be worked with, and its copy in the repository."""
