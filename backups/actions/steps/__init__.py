"""What several verbs have in common, and what a verb asks before it begins."""
