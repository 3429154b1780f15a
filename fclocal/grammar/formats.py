"""String formats of JSON Schema: how each is checked, and the pattern that the grammar uses for it.

A grammar pattern never admits what the check refuses. Formats that are not here assert nothing and are reported.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from fclocal.grammar.patterns import Unportable, for_check, searcher

# By definition these say how to read or show a value and forbid none.
ANNOTATIONS = frozenset({"binary", "password", "float", "double", "decimal", "text"})
INTEGER_RANGES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)}
    | {f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)}
)

_YEAR = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_LONG_MONTH = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
_SHORT_MONTH = "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
_DATE = f"(?:{_YEAR}-(?:{_LONG_MONTH}|{_SHORT_MONTH}|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = rf"{_CLOCK}:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:Z|[+-]{_CLOCK})"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_ATOM = "[A-Za-z0-9_+%&'-]+"
_N = "[0-9]{1,9}"
_CLOCK_SPAN = f"T(?:{_N}H(?:{_N}M(?:{_N}S)?)?|{_N}M(?:{_N}S)?|{_N}S)"
_DATE_SPAN = f"(?:{_N}Y(?:{_N}M(?:{_N}D)?)?|{_N}M(?:{_N}D)?|{_N}D)"
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_GROUP = "[0-9a-fA-F]{1,4}"
_HEX = "[0-9a-fA-F]"
_PCHAR = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_USER = "(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*@"
_REG_NAME = "(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*"
_AUTHORITY = rf"//(?:{_USER})?(?:\[[0-9A-Fa-f:.]+\]|{_REG_NAME})(?::[0-9]*)?"
_AFTER_PATH = rf"(?:\?(?:{_PCHAR}|[/?])*)?(?:#(?:{_PCHAR}|[/?])*)?"
_SCHEME = "[A-Za-z][A-Za-z0-9+.-]*"
_NO_COLON = "(?:[A-Za-z0-9._~!$&'()*+,;=@-]|%[0-9A-Fa-f]{2})"
_URI = rf"{_SCHEME}:(?:{_AUTHORITY}(?:/{_PCHAR}*)*|/?(?:{_PCHAR}+(?:/{_PCHAR}*)*)?){_AFTER_PATH}"
_RELATIVE_PATH = rf"/(?:{_PCHAR}+(?:/{_PCHAR}*)*)?|(?:{_NO_COLON}+(?:/{_PCHAR}*)*)?"
_RELATIVE = rf"(?:{_AUTHORITY}(?:/{_PCHAR}*)*|{_RELATIVE_PATH}){_AFTER_PATH}"
_POINTER = "(?:/(?:[^~/]|~[01])*)*"
_TEMPLATE = r"(?:[^\x00-\x20\x7f\"'%<>\\^`{|}]|%[0-9A-Fa-f]{2}|\{[+#./;?&=,!@|]?[A-Za-z0-9_.%,:*]+\})*"
_PLAIN_AUTHORITY = "//(?:[A-Za-z0-9._~+:-]+@)?[A-Za-z0-9._-]*(?::[0-9]{1,5})?"
_PLAIN_SCHEME = "[A-Za-z][A-Za-z0-9+.-]{0,30}"
_PLAIN_PATH = f"(?:{_PLAIN_AUTHORITY}(?:/{_PCHAR}*)*|{_PCHAR}+(?:/{_PCHAR}*)*)"
_PLAIN_URI = f"{_PLAIN_SCHEME}:{_PLAIN_PATH}{_AFTER_PATH}"

# What the grammar lets a model write, as ECMA patterns that must all match; a format without any is left to the check.
GRAMMAR_PATTERNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "date": (f"^{_DATE}$",),
        "time": (f"^{_TIME}$",),
        "date-time": (f"^{_DATE}T{_TIME}$",),
        "duration": (f"^P(?:{_DATE_SPAN}(?:{_CLOCK_SPAN})?|{_CLOCK_SPAN}|{_N}W)$",),
        "email": (rf"^{_ATOM}(?:\.{_ATOM})*@{_HOST}$", "^[^@]{1,64}@[^@]{1,180}$"),
        "hostname": (f"^{_HOST}$", "^.{1,253}$"),
        "ipv4": (rf"^(?:{_BYTE}\.){{3}}{_BYTE}$",),
        "ipv6": (
            f"^(?:(?:{_GROUP}:){{7}}{_GROUP}|::(?:{_GROUP}:){{0,5}}{_GROUP}|::"
            + "".join(f"|(?:{_GROUP}:){{{n}}}:(?:{_GROUP}(?::{_GROUP}){{0,{5 - n}}})?" for n in range(1, 6))
            + ")$",
        ),
        "uuid": (f"^{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}$",),
        "uri": (f"^{_PLAIN_URI}$",),
        "uri-reference": (f"^(?:{_PLAIN_URI}|/?{_NO_COLON}+(?:/{_PCHAR}*)*{_AFTER_PATH})$",),
        "json-pointer": (f"^{_POINTER}$",),
        "relative-json-pointer": (f"^(?:0|[1-9][0-9]{{0,8}})(?:#|{_POINTER})$",),
        "byte": ("^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",),
    }
)

# Plain spellings of formats that have richer ones, for when nothing else was accepted.
PLAIN_PATTERNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "idn-email": GRAMMAR_PATTERNS["email"],
        "idn-hostname": GRAMMAR_PATTERNS["hostname"],
        "iri": GRAMMAR_PATTERNS["uri"],
        "iri-reference": GRAMMAR_PATTERNS["uri-reference"],
        "uri-template": ("^[A-Za-z0-9/:.-]*$",),
        "regex": ("^[A-Za-z0-9 ]*$",),
    }
)

_DURATION = f"^P(?:{_DATE_SPAN}(?:{_CLOCK_SPAN})?|{_CLOCK_SPAN}|{_N}W)$".replace(_N, "[0-9]+")
_RFC3339_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)
_QUOTED_LOCAL = re.compile(r'"(?:[ !#-\[\]-~]|\\[ -~])*"')
_DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


def _matches(pattern: str) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        search = searcher(pattern)
        return search is not None and search(text)

    return check


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    """RFC 3339 full-time; a leap second is one only at the end of a day in UTC."""
    found = _RFC3339_TIME.fullmatch(text)
    if found is None:
        return False
    hour, minute, second = int(found[1]), int(found[2]), int(found[3])
    shift = 0
    if found[4]:
        if int(found[5]) > 23 or int(found[6]) > 59:
            return False
        shift = (int(found[5]) * 60 + int(found[6])) * (1 if found[4] == "+" else -1)
    if hour > 23 or minute > 59:
        return False
    return second < 60 or (second == 60 and (hour * 60 + minute - shift) % 1440 == 1439)


def _is_date_time(text: str) -> bool:
    return text[10:11] in ("T", "t") and _is_date(text[:10]) and _is_time(text[11:])


def _is_hostname(text: str) -> bool:
    return len(text) <= 253 and _matches(f"^{_HOST}$")(text)


def _is_idn_hostname(text: str) -> bool:
    if any(label.startswith("-") or label.endswith("-") for label in text.split(".")):
        return False
    try:
        return _is_hostname(text.encode("idna").decode("ascii"))
    except UnicodeError:
        return False


def _email(is_host: Callable[[str], bool], *, ascii_only: bool) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        local, at, domain = text.rpartition("@")
        if not at or len(local.encode("utf-8", "replace")) > 64:
            return False
        plain = local if ascii_only else re.sub(r"[^\x00-\x7f]", "a", local)
        if not _DOT_ATOM.fullmatch(plain) and not _QUOTED_LOCAL.fullmatch(plain):
            return False
        if domain.startswith("[") and domain.endswith("]"):
            literal = domain[1:-1]
            return _is_ipv6(literal[5:]) if literal.lower().startswith("ipv6:") else _is_ipv4(literal)
        return is_host(domain)

    return check


def _is_ipv4(text: str) -> bool:
    return _address(ipaddress.IPv4Address, text)


def _is_ipv6(text: str) -> bool:
    return "%" not in text and _address(ipaddress.IPv6Address, text)


def _address(kind: Callable[[str], object], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _international(check: Callable[[str], bool]) -> Callable[[str], bool]:
    """An IRI is a URI in which characters beyond ASCII may stand for letters."""
    return lambda text: check(re.sub("[\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U000efffd]", "a", text))


def _is_regex(text: str) -> bool:
    try:
        for_check(text)
    except Unportable:
        pass
    else:
        return searcher(text) is not None
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return False
    return True


# The formats that the final check decides.
CHECKS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "date": _is_date,
        "time": _is_time,
        "date-time": _is_date_time,
        "duration": _matches(_DURATION),
        "email": _email(_is_hostname, ascii_only=True),
        "idn-email": _email(_is_idn_hostname, ascii_only=False),
        "hostname": _is_hostname,
        "idn-hostname": _is_idn_hostname,
        "ipv4": _is_ipv4,
        "ipv6": _is_ipv6,
        "uri": _matches(f"^{_URI}$"),
        "uri-reference": _matches(f"^(?:{_URI}|{_RELATIVE})$"),
        "iri": _international(_matches(f"^{_URI}$")),
        "iri-reference": _international(_matches(f"^(?:{_URI}|{_RELATIVE})$")),
        "uri-template": _matches(f"^{_TEMPLATE}$"),
        "uuid": _matches(f"^{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}$"),
        "json-pointer": _matches(f"^{_POINTER}$"),
        "relative-json-pointer": _matches(f"^(?:0|[1-9][0-9]*)(?:#|{_POINTER})$"),
        "regex": _is_regex,
        "byte": _is_base64,
    }
)


def is_known(name: str) -> bool:
    """Whether the check decides this format, or there is nothing to decide."""
    return name in CHECKS or name in ANNOTATIONS or name in INTEGER_RANGES
