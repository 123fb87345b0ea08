"""Read amounts of money as people and back offices write them: 1.299,00 EUR, £2.50, 99p, 2 for 3.00, 1,99 €/kg."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

# $ alone and ¥ alone are taken for what they mean most often; a catalogue whose $ are no US dollars has a column of currencies,
# which stands above the sign. kr is the krona of four countries: unknown.
SIGNS = {
    **{"us$": "USD", "c$": "CAD", "ca$": "CAD", "a$": "AUD", "au$": "AUD", "nz$": "NZD", "hk$": "HKD", "s$": "SGD", "mx$": "MXN"},
    **{"r$": "BRL", "€": "EUR", "euro": "EUR", "£": "GBP", "$": "USD", "¥": "JPY", "￥": "JPY", "円": "JPY", "元": "CNY"},
    **{"₹": "INR", "rs.": "INR", "rs": "INR", "₩": "KRW", "₺": "TRY", "₽": "RUB", "₴": "UAH", "₪": "ILS", "₫": "VND", "฿": "THB"},
    **{
        "zł": "PLN",
        "zl": "PLN",
        "kč": "CZK",
        "ft": "HUF",
        "lei": "RON",
        "fr.": "CHF",
        "sfr": "CHF",
        "kr.": "",
        "kr": "",
        ":-": "",
    },
}
_CODES = (
    "AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KRW KZT MAD MXN MYR NGN NOK NZD PEN "
    "PHP PKR PLN QAR RON RSD RUB SAR SEK SGD THB TRY TWD UAH USD UYU VND ZAR"
)
CODES = frozenset(_CODES.split())
CENTS = {"p": "GBP", "¢": "USD", "ct": "EUR", "cent": "EUR", "cents": ""}
UNITS = {"kg": "kg", "kilo": "kg", "100 g": "100 g", "100g": "100 g", "g": "g", "l": "l", "litre": "l", "liter": "l"}
UNITS |= {"lt": "l", "100 ml": "100 ml", "100ml": "100 ml", "lb": "lb", "oz": "oz", "m": "m"}
UNITS |= dict.fromkeys(("st", "stk", "stück", "pc", "pcs", "each", "ea", "piece", "pièce"), "piece")

_SPACES = str.maketrans(dict.fromkeys("\u00a0\u2009\u202f\u2007", " ") | dict.fromkeys("\u2019\u2018`\u00b4", "'") | {"−": "-"})
_NUMBER = re.compile(r"\d[\d., ']*\d|\d")
_THOUSANDS = re.compile(r"(?<=\d)[ '](?=\d{3}(?!\d))")
_SIGN = re.compile("|".join(re.escape(one) for one in sorted(SIGNS, key=len, reverse=True)))
_CODE = re.compile(r"(?<![a-z])([a-z]{3})(?![a-z])")
_CENT = re.compile(r"^(\d{1,3})\s*(p|¢|ct|cents?)\.?$")
_SEVERAL = re.compile(r"^\D{0,4}(\d{1,2})\s*(?:for|für|pour|por|per|voor|za|för|/|à|@)\s*(?=\D{0,4}\d)")
_PER = re.compile(r"(?:/|\bper\b|\bpro\b|\bje\b|\bpar\b|\bal\b)\s*(?:1\s*)?(100 ?(?:g|ml)|[a-zéèü]+)\.?$")
_FRENCH = re.compile(r"^(\d+)\s*(€|£|\$)\s*(\d\d)$")  # 1€99
_WHOLE = re.compile(r"(?<=\d)[.,]\s?(?:-{1,2}|–|—)$|(?<=\d)(?:-{1,2}|–|—|:-)$")  # 12,- and 12.–
_DECIMAL = {",": re.compile(r",\d{1,2}$"), ".": re.compile(r"\.\d{1,2}$")}


class Money(NamedTuple):
    """Hold an amount of money.

    Args:
        amount: NaN if there is none, or more than one.
        currency: ISO 4217 code, or empty if it is not said.
        pieces: that the amount buys: 2 of "2 for 3.00".
        per: what it is the price of, for a unit price: kg, 100 g, l; empty for a pack.
    """

    amount: float
    currency: str = ""
    pieces: int = 1
    per: str = ""


NONE = Money(math.nan)


def parse(text: str, decimal: str = "") -> Money:
    """Return the one amount that `text` is, and nothing but is.

    Args:
        text: with or without a currency, decimals after a comma or a point, thousands apart by a point, comma, space or '.
        decimal: the sign before decimals, for numbers such as 1.299 that could be both: `decimal_of` a column. Where it is not
            known, three digits after one sign are thousands, unless a 0 stands before it.
    """
    told = text.translate(_SPACES).strip().lower()
    if not told:
        return NONE
    if plain := _plain(told):
        return plain
    if cents := _CENT.match(told):
        return Money(int(cents[1]) / 100, CENTS[cents[2]])
    if french := _FRENCH.match(told):
        return Money(float(f"{french[1]}.{french[3]}"), SIGNS[french[2]])
    currency, told = _currency(told)
    per = ""
    if (unit := _PER.search(told)) and unit[1] in UNITS:
        per, told = UNITS[unit[1]], told[: unit.start()].strip()
    pieces = 1
    if several := _SEVERAL.match(told):
        pieces, told = int(several[1]), told[several.end() :]
    told = _WHOLE.sub("", told.strip(" =:*"))
    found = _NUMBER.fullmatch(f"0{told}" if told.startswith((".", ",")) else told.strip())
    amount = number(found[0], decimal) if found else math.nan
    return Money(amount, currency, pieces, per) if math.isfinite(amount) and pieces else NONE


def number(text: str, decimal: str = "") -> float:
    """Return a number of digits and signs between them, NaN if it is none; see `parse`."""
    bare = _THOUSANDS.sub("", text)
    signs = [c for c in bare if c in ".,"]
    if not signs:
        return _finite(bare) if bare.isascii() and bare.isdigit() else math.nan
    last = signs[-1]
    if len(set(signs)) == 2:
        point = last if signs.count(last) == 1 else ""
    elif len(signs) > 1:
        point = ""
    else:
        before, after = bare.split(last)
        thousands = len(after) == 3 and 0 < len(before) <= 3 and before[0] != "0"
        point = last if not thousands or decimal == last else ""
    whole, _, rest = bare.rpartition(point) if point else (bare, "", "")
    groups = re.split("[.,]", whole)
    if not all(one.isascii() and one.isdigit() for one in (*groups, *((rest,) if point else ()))):
        return math.nan
    # Thousands come in threes; in twos in India (1,00,000), but for the last.
    if len(groups) > 1 and (len(groups[-1]) != 3 or any(len(one) not in (2, 3) for one in groups[1:-1])):
        return math.nan
    return _finite(f"{''.join(groups)}.{rest or 0}")


def _finite(digits: str) -> float:
    """Return a number, NaN for one of hundreds of digits, which floats can't hold."""
    found = float(digits)
    return found if math.isfinite(found) else math.nan


def decimal_of(texts: Iterable[str]) -> str:
    """Return the sign before decimals in a column of amounts, "," or ".", by those that can't be read otherwise; else empty."""
    votes = {",": 0, ".": 0}
    for text in texts:
        digits = "".join(c for c in text if c.isdigit() or c in ".,").strip(".,")
        for sign, form in _DECIMAL.items():
            votes[sign] += form.search(digits) is not None
    if votes[","] == votes["."]:
        return ""
    return max(votes, key=lambda sign: votes[sign])


def currency_of(text: str) -> str:
    """Return the ISO 4217 code that a cell of a column of currencies says: EUR, eur, € or Euro; empty if none is known."""
    told = text.translate(_SPACES).strip().lower()
    return told.upper() if told.upper() in CODES else SIGNS.get(told, "")


def currency_in(header: str) -> str:
    """Return the ISO 4217 code in the name of a column of prices: `Preis (EUR)`, `price_usd`, `VK €`; empty if it has none."""
    told = re.sub(r"[_()\[\]/.:]+", " ", header.translate(_SPACES).lower())
    return _currency(told)[0]


def _plain(told: str) -> Money | None:
    """Return what most cells hold, a number with a point or no sign at all, without further looking; None for all else."""
    whole, point, rest = told.partition(".")
    if whole.isascii() and whole.isdigit() and (not point or (rest.isascii() and rest.isdigit() and len(rest) != 3)):
        return Money(amount) if math.isfinite(amount := float(told)) else NONE
    return None


def _currency(told: str) -> tuple[str, str]:
    """Return the currency in a text and the text without it."""
    for code in _CODE.finditer(told):
        if code[1].upper() in CODES:
            _, rest = _sign((told[: code.start()] + told[code.end() :]).strip())  # $ 5.00 USD says it twice
            return code[1].upper(), rest
    return _sign(told)


def _sign(told: str) -> tuple[str, str]:
    if sign := _SIGN.search(told):
        letters = sign[0][0].isalpha() and sign.start() and told[sign.start() - 1].isalpha()
        if not letters:
            return SIGNS[sign[0]], (told[: sign.start()] + told[sign.end() :]).strip()
    return "", told
