"""The character sets in which a client may speak to a server, read as the servers read them."""

from __future__ import annotations

# Python's codec for each, and where the servers read a character otherwise; "" where they know none.
_LATIN1 = dict(
    zip(map(chr, range(0x80, 0xA0)), bytes(range(0x80, 0xA0)).decode("cp1252", "replace"), strict=True)
)
_CODECS: dict[str, tuple[str, dict[str, str]]] = {
    "latin1": ("latin-1", {code: letter for code, letter in _LATIN1.items() if letter != "\ufffd"}),
    "latin2": ("iso8859-2", {}),
    "latin5": ("iso8859-9", {}),
    "latin7": ("iso8859-13", {}),
    "cp1250": ("cp1250", {}),
    "cp1251": ("cp1251", {}),
    "cp1256": ("cp1256", dict.fromkeys("\u0679\u0688\u06a9\u0691\u06ba\u06be\u06c1\u06d2", "")),
    "cp1257": ("cp1257", {}),
    "cp850": ("cp850", {}),
    "cp852": ("cp852", {}),
    "cp866": ("cp866", {"\u2116": "\u207f", "\xa4": "\xb2"}),
    "koi8r": ("koi8-r", {}),
    "koi8u": ("koi8-u", {"\u2219": "\u2022"}),
    "greek": (
        "iso8859-7",
        {"\u2018": "\u02bd", "\u2019": "\u02bc", "\u20ac": "", "\u20af": "", "\u037a": ""},
    ),
    "hebrew": ("iso8859-8", {"\xaf": "\u203e"}),
    "tis620": ("tis-620", {}),
    "macroman": ("mac-roman", {}),
    "macce": ("mac-latin2", {}),
    "hp8": ("hp-roman8", {}),
    "ascii": ("ascii", {}),
    "sjis": ("shift_jis", {"\uff3c": "\\"}),
    "cp932": ("cp932", dict.fromkeys("\x80\uf8f0\uf8f1\uf8f2\uf8f3", "")),
    "ujis": ("euc-jp", {"\uff3c": "\\"}),
    "eucjpms": (
        "euc-jp",
        dict(zip("\u301c\u2016\u2212\xa2\xa3\xac", "\uff5e\u2225\uff0d\uffe0\uffe1\uffe2", strict=True)),
    ),
    "euckr": ("cp949", {}),
    "gb2312": ("gb2312", {}),
    "gbk": ("gbk", {}),
    "gb18030": ("gb18030", {"\ue7c7": "\u1e3f"}),
    "big5": ("big5", dict.fromkeys("\u2574\uffe3\u02cd\uff0f\uff3c\u5341\u5345", "")),
}
# Multi-byte characters whose later bytes may look like a quote's backslash or like a backtick, by the
# client character sets in which they occur. https://dev.mysql.com/doc/refman/8.4/en/charset-asian-sets.html
_GBK = rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]"
WIDE = {
    "gbk": _GBK,
    "gb18030": rb"[\x81-\xfe][\x30-\x39][\x81-\xfe][\x30-\x39]|" + _GBK,
    "big5": rb"[\xa1-\xf9][\x40-\x7e\xa1-\xfe]",
    "sjis": rb"[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]",
    "cp932": rb"[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]",
}


# Where bytes below 0x80 are other letters than those of ASCII.
UNLIKE_ASCII = frozenset({"swe7"})


def is_wide(charset: str) -> bool:
    """Whether quotes can only be found where it is known what is in which character set."""
    return charset in WIDE


def is_utf8(charset: str) -> bool:
    """Whether names of such a client are in UTF-8. The server takes those of `binary` for that as well."""
    return charset.startswith("utf8") or charset == "binary"


def is_known(charset: str) -> bool:
    """Whether it is known here which letters a character set has."""
    return is_utf8(charset) or charset in _CODECS


def text_of(data: bytes, charset: str) -> str | None:
    """What bytes say in a character set; None where they say nothing there, or nobody knows."""
    codec, otherwise = ("utf-8", {}) if is_utf8(charset) else _CODECS.get(charset, ("ascii", {}))
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        return None
    if otherwise:
        if any(otherwise.get(letter) == "" for letter in text):
            return None
        text = text.translate({ord(letter): own for letter, own in otherwise.items()})
    return text


def bytes_of(text: str, charset: str) -> bytes | None:
    """How a character set writes a text; None where it does not have all of it, or nobody knows."""
    codec, otherwise = ("utf-8", {}) if is_utf8(charset) else _CODECS.get(charset, ("ascii", {}))
    try:
        data = text.translate({ord(own): code for code, own in otherwise.items() if own > "\x7f"}).encode(
            codec
        )
    except UnicodeEncodeError:
        return None
    # What the servers write otherwise would be read as another character.
    return data if text_of(data, charset) == text else None


def decoded(name: bytes, charset: str) -> str:
    """A name's bytes as text; what is no character stays what it is."""
    text = text_of(name, charset)
    return name.decode("utf-8", errors="surrogateescape") if text is None else text
