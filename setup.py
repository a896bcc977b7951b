"""What goes into the wheel; all else is told in pyproject.toml.

Pages and the files for nginx, systemd and Docker lie in folders of their own, beside the packages. In the
wheel they are below `portal`, because a folder called `templates` among all packages could be anybody's.
"""

from setuptools import find_packages, setup

setup(
    include_package_data=False,  # or it takes folders of files for packages
    packages=[
        *find_packages(include=["backups*", "portal*", "sentinel*"]),
        "portal.templates",
        "portal.deploy",
    ],
    package_dir={"portal.templates": "templates", "portal.deploy": "deploy"},
    package_data={
        "backups": ["commit.txt"],
        "backups.mysql": ["driver.cnf"],
        "backups.restic": ["pinned.json"],
        "portal": ["static/**/*", "locale/**/*"],
        "portal.templates": ["**/*"],
        "portal.deploy": ["**/*"],
    },
)
