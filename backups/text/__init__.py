"""Text: as people read it, and as strangers may not write it."""
