"""The dump as a stream: no byte is lost, no hostile name or body leads to a wrong section."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backups.dumpfile import manifests
from backups.dumpfile.digesting import Digester
from backups.dumpfile.manifests import ManifestDamaged, manifest_of, manifest_text, objects_in
from backups.dumpfile.sections import Kind
from backups.dumpfile.splitter import Splitter

# ---------------------------------------------------------------- Dumps of any content

HOSTILE = st.sampled_from(
    ["`", "``", "\n", "\r", ";", ";\n", ";;", "'", '"', "\\", "--", "-- ", "/*", "*/", "#", " ", "☂", "%",
     "DELIMITER ;;\n", "\nDELIMITER ;\n", "\n-- Dump completed\n", "\nDump completed",
     "\nTable structure for table `x`\n", "-- Dumping data for table `x`\n", "INSERT INTO `x` VALUES (1);\n",
     "/*!50003 DROP PROCEDURE IF EXISTS `x` */;", "a", "Z", "0", "\0", "\x1a", "BEGIN", "END",
     150 * ";"]
)  # fmt: skip
hostile = st.lists(HOSTILE, min_size=1, max_size=6).map("".join)
# Neither server takes a name that ends in a blank or a newline, or that holds a zero.
names = hostile.map(lambda text: f"{text.replace(chr(0), '')[:40]}_")
FLAVOURS = ("mariadb", "mysql")


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A string as SHOW CREATE and the rows of a dump have it: on one line."""
    for plain, escaped in (
        ("\\", "\\\\"),
        ("'", "''"),
        ("\n", "\\n"),
        ("\r", "\\r"),
        ("\0", "\\0"),
        ("\x1a", "\\Z"),
    ):
        text = text.replace(plain, escaped)
    return f"'{text}'"


def heading(text: str) -> str:
    """What the dump programs write above a part; a newline in a name is followed by dashes."""
    return "\n--\n-- " + text.replace("\n", "\n-- ") + "\n--\n\n"


@st.composite
def bodies(draw: st.DrawFn, backslash: bool) -> str:
    """The text of a routine: statements, strings over many lines, comments, all well formed."""
    lines = []
    for _ in range(draw(st.integers(1, 5))):
        text = draw(hostile)
        kind = draw(st.integers(0, 6))
        if kind == 0:
            lines.append("SELECT 1;")
        elif kind == 1:
            escaped = text.replace("\\", "\\\\") if backslash else text
            lines.append("SELECT '" + escaped.replace("'", "''") + "';")
        elif kind == 2:
            lines.append("SELECT " + quoted(text.replace("\0", "") + "_") + ";")
        elif kind == 3:
            lines.append("/* " + text.replace("*/", "").replace("*", "") + " */")
        elif kind == 4:
            lines.append("-- " + text.replace("\n", " ").replace("\r", " "))
        elif kind == 5:
            lines.append("# " + text.replace("\n", " ").replace("\r", " "))
        else:
            lines.append("SELECT 2; -- Table structure for table `x`")
    return "BEGIN\n" + "\n".join(lines) + "\nEND"


@dataclass
class Dump:
    text: str
    sections: list[tuple[str, str]]

    @property
    def bytes(self) -> bytes:
        return self.text.encode()


def sql_mode(backslash: bool) -> str:
    mode = "STRICT_TRANS_TABLES" if backslash else "NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES"
    return f"/*!50003 SET sql_mode              = '{mode}' */ ;\n"


SAVED = (
    "/*!50003 SET @saved_cs_client      = @@character_set_client */ ;\n"
    "/*!50003 SET @saved_cs_results     = @@character_set_results */ ;\n"
)
RESTORED = (
    "/*!50003 SET sql_mode              = @saved_sql_mode */ ;\n"
    "/*!50003 SET character_set_client  = @saved_cs_client */ ;\n"
)
SAVED_MODE = "/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;\n"


@st.composite
def tables(draw: st.DrawFn, flavour: str) -> Dump:
    name, column = draw(names), draw(names)
    text = heading(f"Table structure for table {quoted(name)}")
    text += f"DROP TABLE IF EXISTS {quoted(name)};\n"
    text += "/*!40101 SET @saved_cs_client     = @@character_set_client */;\n"
    text += f"CREATE TABLE {quoted(name)} (\n  {quoted(column)} int DEFAULT {literal(draw(hostile))}\n"
    text += f") ENGINE=InnoDB COMMENT={literal(draw(hostile))};\n"
    text += "/*!40101 SET character_set_client = @saved_cs_client */;\n"
    text += heading(f"Dumping data for table {quoted(name)}")
    text += f"/*!40000 ALTER TABLE {quoted(name)} DISABLE KEYS */;\n"
    between = (" VALUES\n", ",\n") if flavour == "mariadb" else (" VALUES ", ",")
    for _ in range(draw(st.integers(0, 2))):
        rows = [f"({literal(draw(hostile))},{number})" for number in range(draw(st.integers(1, 3)))]
        text += f"INSERT INTO {quoted(name)}{between[0]}{between[1].join(rows)};\n"
    text += f"/*!40000 ALTER TABLE {quoted(name)} ENABLE KEYS */;\n"
    sections = [(Kind.TABLE, name), (Kind.ROWS, name)]
    for _ in range(draw(st.integers(0, 2))):
        trigger, backslash = draw(names), draw(st.booleans())
        text += SAVED + SAVED_MODE + sql_mode(backslash) + "DELIMITER ;;\n"
        text += "/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER "
        text += f"{quoted(trigger)} BEFORE INSERT ON {quoted(name)} FOR EACH ROW\n"
        text += f"{draw(bodies(backslash))} */;;\nDELIMITER ;\n" + RESTORED
        sections.append((Kind.TRIGGER, trigger))
    return Dump(text, sections)


@st.composite
def routines(draw: st.DrawFn, flavour: str) -> Dump:
    name, backslash = draw(names), draw(st.booleans())
    kind = draw(st.sampled_from([Kind.PROCEDURE, Kind.FUNCTION]))
    drop = f"/*!50003 DROP {kind.upper()} IF EXISTS {quoted(name)} */;\n"
    text = SAVED_MODE + sql_mode(backslash) + drop + SAVED if flavour == "mariadb" else (
        drop + SAVED + SAVED_MODE + sql_mode(backslash)
    )  # fmt: skip
    text += f"DELIMITER ;;\nCREATE DEFINER=`root`@`%` {kind.upper()} {quoted(name)}()\n"
    text += draw(bodies(backslash)) + ("\n;;\n" if flavour == "mariadb" else " ;;\n")
    text += "DELIMITER ;\n" + RESTORED
    return Dump(text, [(kind, name)])


@st.composite
def dumps(draw: st.DrawFn) -> Dump:
    flavour = draw(st.sampled_from(FLAVOURS))
    text = "/*M!999999\\- enable the sandbox mode */ \n" if flavour == "mariadb" else ""
    text += "-- MySQL dump 10.13  Distrib 9.7.4\n--\n-- Host: localhost    Database: shop\n"
    text += "-- ------------------------------------------------------\n-- Server version\t9.7.4\n\n"
    text += "/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;\n/*!40103 SET TIME_ZONE='+00:00' */;\n"
    sections = [(Kind.HEADER, "")]
    parts = draw(st.lists(tables(flavour), max_size=3))
    for part in parts:
        text += part.text
        sections += part.sections
    bodied = draw(st.lists(routines(flavour), max_size=3))
    if bodied:
        text += heading("Dumping routines for database 'shop'")
    for part in bodied:
        text += part.text
        sections += part.sections
    for name in draw(st.lists(names, max_size=2)):
        text += heading(f"Final view structure for view {quoted(name)}")
        text += f"/*!50001 DROP VIEW IF EXISTS {quoted(name)}*/;\n"
        text += f"/*!50001 VIEW {quoted(name)} AS select 1 AS {quoted(draw(names))} */;\n"
        sections.append((Kind.VIEW, name))
    text += "/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n\n/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;\n\n"
    sections.append((Kind.FOOTER, ""))
    return Dump(text + "-- Dump completed\n", sections)


def digested(data: bytes, cuts: list[int] | None = None) -> tuple[Digester, bytes]:
    """A digester that was fed with the data cut at these places, and what it gave out."""
    digester = Digester()
    places = sorted({min(cut, len(data)) for cut in cuts or []})
    out = b"".join(
        bytes(piece.data)
        for begin, end in zip([0, *places], [*places, len(data)], strict=True)
        for piece in digester.feed(data[begin:end])
    )
    return digester, out + b"".join(bytes(piece.data) for piece in digester.close())


cuts = st.lists(st.integers(0, 5000), max_size=30)


@given(dump=dumps())
def test_sections_are_those_of_the_dump_whatever_it_holds(dump: Dump) -> None:
    digester, out = digested(dump.bytes)

    found = [(section["kind"], section["name"]) for section in digester.sections({})]
    assert found == dump.sections
    assert out == dump.bytes
    assert digester.is_complete


@given(dump=dumps(), cuts=cuts)
def test_chunks_make_no_difference(dump: Dump, cuts: list[int]) -> None:
    whole, _ = digested(dump.bytes)
    cut, out = digested(dump.bytes, cuts)

    assert out == dump.bytes
    assert cut.sections({}) == whole.sections({})
    assert cut.is_complete == whole.is_complete


@given(data=st.binary() | hostile.map(str.encode), cuts=cuts)
def test_any_bytes_come_out_as_they_went_in(data: bytes, cuts: list[int]) -> None:
    whole, _ = digested(data)
    cut, out = digested(data, cuts)

    assert out == data
    assert cut.sections({}) == whole.sections({})


@given(dump=dumps(), share=st.floats(0, 0.999))
def test_dump_that_was_cut_off_is_not_complete(dump: Dump, share: float) -> None:
    end = int((len(dump.bytes) - len(b"-- Dump completed\n")) * share)

    digester, _ = digested(dump.bytes[:end])

    assert not digester.is_complete


def test_comment_lines_do_not_change_a_digest() -> None:
    one = b"-- MySQL dump, today\nSELECT 1;\n-- Dump completed on Monday\n"
    other = b"-- MySQL dump, tomorrow\n\n--\nSELECT 1;\n-- Dump completed on Tuesday\n"

    assert digested(one)[0].sections({}) == digested(other)[0].sections({})


# ---------------------------------------------------------------- The manifest

inventories = st.dictionaries(st.sampled_from(["table", "view"]), st.lists(names, max_size=3), max_size=2)


def with_manifest(dump: Dump, **facts: object) -> tuple[bytes, dict[str, object]]:
    digester, _ = digested(dump.bytes)
    told = {"server": {"flavour": "mariadb", "version": "10.11.19"}, "inventory": {}, **facts}
    manifest = manifest_of(digester.sections({}), **told)
    return dump.bytes + manifest_text(manifest), manifest


@given(dump=dumps(), database=names, inventory=inventories)
@settings(max_examples=50)
def test_manifest_at_the_end_is_read_back(dump: Dump, database: str, inventory: dict[str, list[str]]) -> None:
    data, manifest = with_manifest(dump, database=database, inventory=inventory)

    digester, out = digested(data)

    assert out == data
    assert digester.manifest() == json.loads(json.dumps(manifest))
    assert digester.sections({}) == manifest["sections"]


def test_dump_without_a_manifest_has_none() -> None:
    assert digested(b"SELECT 1;\n-- Dump completed\n")[0].manifest() is None


@given(data=st.data())
@settings(max_examples=50)
def test_damaged_manifest_is_noticed(data: st.DataObject) -> None:
    whole, manifest = with_manifest(Dump("SELECT 1;\n-- Dump completed\n", []), database="shop")
    begin = whole.index(b'-- {"version"')
    place = data.draw(st.integers(begin, len(whole) - 2))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
    damaged = whole[:place] + bytes([value]) + whole[place + 1 :]

    try:
        found = digested(damaged)[0].manifest()
    except ManifestDamaged:
        return
    assert found != manifest
    # Only a head that was broken out of its comment is no manifest any more.
    pytest.fail(f"read as {found}")


STRANGE: tuple[object, ...] = (
    5, [], "manifest", {"inventory": 5}, {"inventory": {"table": 5}}, {"inventory": {"table": [["a"]]}},
    {"sections": 5}, {"sections": [5]}, {"sections": [{"kind": "table"}]}, {"server": "10.11"},
    {"server": {"flavour": 1, "version": "1"}}, {"not_in_backup": [{"table": "a"}]}, {"bytes": "5"},
    {"bytes": True}, {"database": ["shop"]}, {"collations": {"a": None}}, {"definers": "root"},
)  # fmt: skip


@pytest.mark.parametrize("manifest", STRANGE, ids=str)
def test_what_has_not_the_form_of_a_manifest_is_none(manifest: object) -> None:
    assert not manifests.has_form(manifest)


def test_manifest_of_another_form_is_damaged_though_its_digest_fits() -> None:
    wrong: list[dict[str, object]] = [{"inventory": 5}, {"server": {}}, {"server": None}]
    for facts in wrong:
        data, _ = with_manifest(Dump("SELECT 1;\n-- Dump completed\n", []), **facts)
        with pytest.raises(ManifestDamaged):
            digested(data)[0].manifest()


def test_manifest_that_was_cut_off_is_noticed() -> None:
    whole, _ = with_manifest(Dump("SELECT 1;\n-- Dump completed\n", []), database="shop")
    body = whole.index(b'-- {"version"')

    for end in range(body, len(whole) - 1, 7):
        digester, _ = digested(whole[:end])
        with pytest.raises(ManifestDamaged):
            digester.manifest()


def test_objects_are_listed_as_the_server_lists_them() -> None:
    sections = [
        {"kind": Kind.TABLE, "name": "b"},
        {"kind": Kind.ROWS, "name": "b"},
        {"kind": Kind.TABLE, "name": "a"},
        {"kind": Kind.TRIGGER, "name": "t", "table": "b"},
        {"kind": Kind.TRIGGER, "name": "u", "table": "b"},
        {"kind": Kind.VIEW, "name": "v"},
        {"kind": Kind.FOOTER, "name": ""},
    ]

    assert objects_in(sections) == {"table": ["a", "b"], "trigger": ["b", "b"], "view": ["v"]}


# ---------------------------------------------------------------- Memory


def long_dump(megabytes: int) -> Iterator[bytes]:
    yield b"\n--\n-- Table structure for table `t`\n--\n\nCREATE TABLE `t` (\n  `d` longtext\n);\n"
    yield b"\n--\n-- Dumping data for table `t`\n--\n\n"
    row = b"('" + b"x" * 1000 + b"')"
    statement = b"INSERT INTO `t` VALUES " + b",".join([row] * 1000) + b";\n"
    for _ in range(megabytes):
        yield statement
    # A single row of this size, as a large blob makes it.
    yield b"INSERT INTO `t` VALUES ('"
    for _ in range(megabytes):
        yield b"y" * 1_000_000
    yield b"');\n-- Dump completed\n"


def test_memory_does_not_grow_with_the_dump() -> None:
    splitter = Splitter()
    tracemalloc.start()
    try:
        size = sum(len(piece.data) for chunk in long_dump(100) for piece in splitter.feed(chunk))
        size += sum(len(piece.data) for piece in splitter.close())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size > 200_000_000
    assert peak < 10_000_000
    assert splitter.is_complete


def test_body_in_another_language_ends_where_its_mark_says() -> None:
    body = '  return "it\'s"; // `\n-- Dump completed\n$$ ;;\n'
    text = (
        f"-- MySQL dump 10.13\n{heading('Dumping routines for database x')}"
        "/*!50003 DROP FUNCTION IF EXISTS `js` */;\nDELIMITER ;;\n"
        f"CREATE FUNCTION `js`() RETURNS int\n    LANGUAGE JAVASCRIPT\nAS $js$\n{body}$js$ ;;\nDELIMITER ;\n"
        "/*!50003 DROP PROCEDURE IF EXISTS `after` */;\nDELIMITER ;;\n"
        "CREATE PROCEDURE `after`() SELECT 1 ;;\n"
        "DELIMITER ;\n\n-- Dump completed\n"
    )
    splitter = Splitter()
    for data in (text.encode()[:200], text.encode()[200:]):
        list(splitter.feed(data))

    assert splitter.is_complete
    assert [section.name for section in splitter.sections if section.name] == ["js", "after"]
