"""What a database holds, in the reader's words: `kind` is the word that rows, manifests and JSON have."""

from __future__ import annotations

from backups.text.sentences import phrase, template

_KINDS = frozenset({
    template("header"), template("database"), template("sequence"), template("table"), template("rows"),
    template("trigger"), template("view placeholder"), template("event"), template("procedure"),
    template("function"), template("package"), template("package body"), template("library"),
    template("view"), template("events"), template("routines"), template("routine"), template("footer"),
    template("repository"),
})  # fmt: skip


def kind_word(kind: str) -> str:
    """A kind for a sentence, as in "view"; what is none of ours as it is."""
    return phrase(str(kind)) if kind in _KINDS else kind


def of_kind(kind: str, name: str) -> str:
    """A thing by kind and name, as in "view totals"."""
    return phrase("{kind} {name}", kind=kind_word(kind), name=name) if name else kind_word(kind)
