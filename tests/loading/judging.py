"""Whether a statement that a server was sent reaches out of the database that it was meant for.

Written apart from the product's own reader, and simpler: a judge that shares the code shares the fault.
It reads what a server's general log holds. It takes a backslash for an escape, as servers do by default;
what another mode or character set hides from it shows in the state of the server instead.
"""

from __future__ import annotations

import re

# A text, a comment (a conditional one only loses its marks), or anything else.
_PARTS = re.compile(
    r"(?P<text>'(?:[^'\\]|\\.|'')*+')|(?P<name>`[^`]*+`)"
    r"|(?P<comment>/\*(?!M?!).*?\*/|--(?=[\s\x00-\x1f])[^\n]*|#[^\n]*)|(?P<mark>/\*M?!\d*|\*/)",
    re.S,
)
_NEVER = re.compile(
    r"(?:USE|GRANT|REVOKE|CALL|PREPARE|EXECUTE|DEALLOCATE|HANDLER|LOAD|SHUTDOWN|RESTART|FLUSH|RESET|PURGE"
    r"|CHANGE|STOP|BINLOG|XA|INSTALL|UNINSTALL|BACKUP|CLONE|IMPORT|RENAME|SIGNAL|UPDATE|DELETE|TRUNCATE"
    r"|WITH|VALUES|TABLE|EXPLAIN|BEGIN NOT|IF|OPTIMIZE|REPAIR|LOCK INSTANCE|START (?:ALL |SLAVE|REPLICA)"
    r"|CONNECT|SOURCE|SYSTEM|ANALYZE (?!TABLE|LOCAL|NO_WRITE)|TEE|PAGER|DELIMITER|SET STATEMENT"
    r"|(?:CREATE|DROP)(?: OR REPLACE)? (?:DATABASE|SCHEMA)"
    r"|(?:CREATE|DROP|ALTER)(?: OR REPLACE)?"
    r" (?:USER|ROLE|SERVER|TABLESPACE|UNDO|LOGFILE|RESOURCE|SPATIAL|INSTANCE))\b",
    re.I,
)
_SETTINGS = re.compile(
    r"SET\b(?:.*[\s,@])?(?:GLOBAL|PERSIST|PERSIST_ONLY)\b[\s.]*[\w.`]+\s*:?="
    r"|SET (?:PASSWORD|ROLE|DEFAULT|GLOBAL TRANSACTION)\b",
    re.I | re.S,
)
_ANYWHERE = re.compile(
    r"\bINTO\s+(?:OUTFILE|DUMPFILE)\b|\bSONAME\b|\bDIRECTORY\s*=|\bTABLESPACE\s*=?\s*`?(?!innodb_file_per_table)\w|\bCONNECTION\s*=?\s*''"
    r"|\bENGINE\s*=?\s*`?(?:FEDERATED|CONNECT|SPIDER|SPHINX|S3)\b|\b(?:LOAD_FILE|SLEEP|BENCHMARK|GET_LOCK)\s*\(",
    re.I,
)
_DEFINITION = re.compile(r"CREATE\b[^(]*?\b(VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|PACKAGE)\b", re.I | re.S)
# Where the head ends, behind which a definition may name whatever it likes.
_HEAD_ENDS = {
    "VIEW": r"\bAS\b", "TRIGGER": r"\bFOR\s+EACH\b", "PROCEDURE": r"\(", "FUNCTION": r"\(",
    "EVENT": r"\bDO\b", "PACKAGE": r"\b(?:AS|IS)\b",
}  # fmt: skip


def reaches_out(statement: str, target: str, lives: tuple[str, ...] = ("shop", "other", "mysql")) -> str:
    """Why this statement must not have been sent, or "" where it may.

    `lives` are the databases that may not be named outside of texts, but in what only looks.
    """
    text = _PARTS.sub(_kept, statement).strip()
    if _NEVER.match(text):
        return "a statement of this kind"
    if re.match(r"ALTER\s+(?:DATABASE|SCHEMA)\b", text, re.I) and f"`{target}`" not in text:
        return "changes a database"
    if _SETTINGS.match(text):
        return "a setting of the server"
    found = _DEFINITION.match(text)
    if found:
        kind = found.group(1).upper()
        text = re.split(_HEAD_ENDS[kind], text, maxsplit=1, flags=re.I)[0]
        if kind == "EVENT" and not re.search(r"\bDISABLE\b", text.replace("`DISABLE`", ""), re.I):
            return "an event that is enabled"
    if wrong := _ANYWHERE.search(text):
        return f"holds {wrong.group()}"
    if _only_looks(text):
        return ""
    named = re.search(rf"(?<![\w$@])[`\"]?({'|'.join(lives)})[`\"]?(?![\w$])", text)
    return f"names {named.group(1)}" if named else ""


def _kept(part: re.Match[str]) -> str:
    if part["text"]:
        return "''"
    return part["name"] or " "


def _only_looks(text: str) -> bool:
    """What the product asks the server about itself."""
    return bool(re.match(r"SHOW\b|SELECT\b(?!.*\bother\b)(?!.*\bINTO\b)", text, re.I | re.S))
