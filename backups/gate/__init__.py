"""The gate as the portal sees it: its files, drills, nginx's lines."""
