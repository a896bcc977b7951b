"""Tables of all types and keys with rows in them, drawn at random, and what changes them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Draw = Callable[[random.Random], str]
HOSTILE = (
    "", " ", "a", "A", "a ", "à", "it's", 'say "so"', "back\\slash", "\\", "'", "';", "*/", "/*! x */",
    "-- x", "`", "line\nbreak", "\r\n\t", "\0", "x\0y", "\x1a", "\x1b[31m", "%_", "NULL", "0", "false",
    "@vedetta_row", "0x41", "é\\", "日本\\表", "𝄞", "👩\u200d🚀", "\u202eevil", "délimiter ;;", "#",
    "; DROP TABLE t; --",
)  # fmt: skip
LATIN = [each for each in HOSTILE if all(ord(letter) < 0x100 for letter in each)]


def quoted(text: str) -> str:
    """A text in SQL, by its bytes."""
    return f"_utf8mb4 0x{text.encode().hex()}" if text else "''"


def raw(data: bytes) -> str:
    """Bytes in SQL."""
    return f"0x{data.hex()}" if data else "''"


def _text(of: Sequence[str], longest: int) -> Draw:
    return lambda draw: quoted("".join(draw.choices(of, k=draw.randint(0, 3)))[:longest])


def _bytes(longest: int) -> Draw:
    return lambda draw: raw(draw.randbytes(draw.randint(0, longest)) + b"\0" * draw.randint(0, 1))


def _of(*literals: str) -> Draw:
    return lambda draw: draw.choice(literals)


def _date(draw: random.Random) -> str:
    return draw.choice(
        ["0000-00-00", "2024-02-30", "1000-01-01", "9999-12-31", f"20{draw.randint(10, 99)}-05-00"]
    )


def _moment(digits: int) -> Draw:
    def drawn(draw: random.Random) -> str:
        day = f"2024-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}"
        return f"'{day} 02:30:59.{draw.randrange(10**digits):0{digits}}'"

    return drawn


def _double(draw: random.Random) -> str:
    return draw.choice(
        ["'-0'", "1e16", "0.1", "-1.7976931348623157e308", repr(draw.uniform(-1e9, 1e9)), "3e-300"]
    )


INTEGERS = [str(number) for number in (0, 1, -1, 127, -128)]
TYPES: dict[str, Draw] = {
    "tinyint": _of(*INTEGERS),
    "int(7) unsigned zerofill": _of("0", "42", "4294967295"),
    "bigint unsigned": _of("0", "9007199254740993", "18446744073709551615"),
    "bigint": _of("-9223372036854775808", "9223372036854775807", "0"),
    "decimal(65,30)": _of("0", "-0.000000000000000000000000000001", "99999999999999999999999999999999999.5"),
    "decimal(9,2) zerofill": _of("5.5", "0"),
    "float": lambda draw: draw.choice(
        ["3.14159", "1e16", "16777217", "'-0'", "1.17549e-38", f"{draw.random():.9}"]
    ),
    "float(7,3)": lambda draw: f"{draw.uniform(-1000, 1000):.4}",
    "double": _double,
    "double(30,5)": lambda draw: repr(draw.uniform(-1e9, 1e9)),
    "bit(1)": _of("b'0'", "b'1'"),
    "bit(12)": lambda draw: f"b'{draw.randrange(4096):b}'",
    "bit(64)": lambda draw: f"b'{draw.randrange(1 << 64):b}'",
    "year": _of("0", "1901", "2155", "2024"),
    "date": lambda draw: f"'{_date(draw)}'",
    "datetime": lambda draw: f"'{_date(draw)} 00:00:00'",
    "datetime(6)": _moment(6),
    "timestamp": _of("'2024-03-31 02:30:00'", "'2024-10-27 02:30:00'", "'1970-01-01 12:00:01'"),
    "timestamp(3)": _moment(3),
    "time": _of("'-838:59:59'", "'00:00:00'", "'100:00:01'"),
    "time(4)": _of("'00:00:00.1000'", "'-00:00:00.0001'"),
    "char(40)": _text(HOSTILE, 40),
    "varchar(60)": _text(HOSTILE, 60),
    "varchar(60) character set latin1": _text(LATIN, 60),
    "varchar(60) character set utf16": _text(HOSTILE, 60),
    "varchar(60) collate utf8mb4_bin": _text(HOSTILE, 60),
    "varchar(60) character set sjis": _text(("表", "ソ", "a", "'"), 60),
    "mediumtext": lambda draw: quoted("".join(draw.choices(HOSTILE, k=draw.choice([1, 5, 500])))),
    "enum('a','','x y','it''s','é')": _of("'a'", "''", "'x y'", "'it''s'", quoted("é")),
    "set('a','b','x y')": _of("''", "'a'", "'a,x y'", "'b'"),
    "binary(8)": lambda draw: raw(draw.randbytes(draw.randint(0, 8))),
    "varbinary(20)": _bytes(19),
    "blob": lambda draw: raw(draw.randbytes(draw.choice([0, 5, 3000]))),
    "geometry": lambda draw: f"ST_GeomFromText('POINT({draw.randint(0, 9)} {draw.random()})')",
    "json": lambda draw: quoted(
        draw.choice(['{"b": 1.0, "a": "é\\n"}', "[1e100, null]", '"\\u0000 \\\\"', "3"])
    ),
}
OF_MARIADB: dict[str, Draw] = {
    "uuid": lambda draw: f"'{draw.randbytes(4).hex()}-e89b-12d3-a456-426614174000'",
    "inet6": _of("'::1'", "'2001:db8::ff'", "'::'"),
    "inet4": _of("'0.0.0.0'", "'10.1.2.3'"),
}
OF_MYSQL: dict[str, Draw] = {
    "vector(2)": lambda draw: f"string_to_vector('[{draw.randint(0, 9)}, {draw.random()}]')",
}
KEYS: dict[str, tuple[list[str], str]] = {
    "none": ([], ""),
    "int": (["int"], "primary key (k0)"),
    "composite": (["varchar(20)", "smallint"], "primary key (k1, k0)"),
    "binary": (["binary(16)"], "primary key (k0)"),
    "case": (["varchar(20) character set latin1"], "primary key (k0)"),
    "float": (["float"], "primary key (k0)"),
    "decimal": (["decimal(10,3)"], "primary key (k0)"),
    "moment": (["timestamp(3)", "date"], "primary key (k0, k1)"),
    "words": (["enum('a','b','c','d','e','f')", "year"], "primary key (k0, k1)"),
    "bits": (["bit(12)"], "unique key (k0)"),
    "prefix": (["blob"], "primary key (k0(6))"),
    "unique with null": (["int null"], "unique key (k0)"),
}
OF_KEYS: dict[str, Draw] = {
    "int": lambda draw: str(draw.randint(0, 60)),
    "int null": lambda draw: draw.choice(["NULL", "NULL", str(draw.randint(0, 60))]),
    "smallint": lambda draw: str(draw.randint(-3, 3)),
    "varchar(20)": _text(("a", "b", "é", "'", " ", "\\"), 20),
    "varchar(20) character set latin1": _text(("a", "b", "é", "'", "c", "\\"), 20),
    "binary(16)": lambda draw: raw(draw.randbytes(draw.choice([3, 16]))),
    "float": lambda draw: f"{draw.uniform(-9, 9):.8}",
    "decimal(10,3)": lambda draw: f"{draw.randint(-90, 90) / 8:.3f}",
    "timestamp(3)": _moment(3),
    "date": lambda draw: f"'{_date(draw)}'",
    "enum('a','b','c','d','e','f')": _of(*(f"'{letter}'" for letter in "abcdef")),
    "year": _of("0", "1901", "2000", "2024"),
    "bit(12)": lambda draw: f"b'{draw.randrange(4096):b}'",
    "blob": lambda draw: raw(draw.randbytes(draw.randint(5, 9))),
}


@dataclass(frozen=True)
class World:
    """A table, and how values of its columns are drawn."""

    name: str
    create: str
    columns: dict[str, Draw]

    def inserted(self, draw: random.Random, rows: int) -> list[str]:
        """Statements that bring rows, if their keys are free."""
        names = ", ".join(self.columns)
        return [
            f"INSERT IGNORE INTO {self.name} ({names}) VALUES ({', '.join(self._values(draw))})"
            for _ in range(rows)
        ]

    def changed(self, draw: random.Random) -> list[str]:
        """Statements that change, delete and bring some rows, and bring some twice."""
        found = self.inserted(draw, 3)
        for _ in range(5):
            name = draw.choice(list(self.columns))
            value = (
                draw.choice([self.columns[name](draw), "NULL"])
                if name.startswith("c")
                else self.columns[name](draw)
            )
            found.append(f"UPDATE IGNORE {self.name} SET {name} = {value} {self._some(draw)}")
        found.append(f"DELETE FROM {self.name} {self._some(draw)}")
        names = ", ".join(name for name in self.columns)
        found.append(
            f"INSERT IGNORE INTO {self.name} ({names}) SELECT {names} FROM {self.name} {self._some(draw)}"
        )
        draw.shuffle(found)
        return found

    def swapped(self) -> list[str]:
        """Statements after which rows of which both numbers are there have each other's."""
        return [f"UPDATE {self.name} SET swapped = {far}swapped" for far in ("1000 + ", "1000 - ")]

    def _values(self, draw: random.Random) -> list[str]:
        return [
            "NULL" if name.startswith("c") and not draw.randrange(4) else drawn(draw)
            for name, drawn in self.columns.items()
        ]

    @staticmethod
    def _some(draw: random.Random) -> str:
        return f"ORDER BY RAND({draw.randrange(10**6)}) LIMIT {draw.randint(1, 4)}"


def a_world(draw: random.Random, name: str, flavour: str) -> World:
    """A table of any types and key."""
    types = TYPES | (OF_MARIADB if flavour == "mariadb" else OF_MYSQL)
    of_key, key = KEYS[draw.choice(list(KEYS))]
    names = {f"k{at}": kind for at, kind in enumerate(of_key)}
    columns: dict[str, Draw] = {each: OF_KEYS[kind] for each, kind in names.items()}
    lines = [f"{each} {kind}{'' if 'null' in kind else ' NOT NULL'}" for each, kind in names.items()]
    for at, kind in enumerate(draw.sample(list(types), draw.randint(4, 12))):
        columns[f"c{at}"] = types[kind]
        lines.append(f"c{at} {kind} NULL{draw.choice(['', '', ' INVISIBLE'])}")
    # As swaps need it: of each number, some rows have one and some its opposite.
    columns["swapped"] = lambda draw: draw.choice(["NULL", *map(str, range(-9, 10))])
    lines += [
        "swapped int NULL", "UNIQUE KEY (swapped)",
        "g0 int GENERATED ALWAYS AS (swapped * 2) VIRTUAL",
        "g1 varchar(20) GENERATED ALWAYS AS (swapped) STORED",
        "touched timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
        *([key] if key else []),
    ]  # fmt: skip
    draw.shuffle(lines)
    return World(name, f"CREATE TABLE {name} ({', '.join(lines)}) DEFAULT CHARSET=utf8mb4", columns)
