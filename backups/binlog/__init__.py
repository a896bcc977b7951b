"""Binary logs of MySQL and MariaDB as bytes, pure: no I/O, no server, no settings."""
