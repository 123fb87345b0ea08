"""Guess which column of a table holds what: by the names that shops give them, in several languages, and by what is in them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from hyla.errors import ConfigError, did_you_mean
from hyla.images import EXTENSIONS
from hyla_retail.gtin import normalise

# Role -> names of columns without accents, spaces and what stands in brackets, in the order in which they are taken. English,
# German, French, Spanish, Italian, Dutch, Portuguese, Swedish, Danish, Polish; feeds of Google Merchant, Shopify, Amazon, Open
# Food Facts, GDSN; transaction logs.
_WORDS = {
    "gtin": (
        "gtin gtin14 gtin13 gtin12 gtin8 ean ean13 ean8 eancode upc upca upccode barcode barcodenumber gtincode eannummer "
        "eannr codebarre codebarres codeabarres codigodebarras codbarras codigoean codiceean codiceabarre streepjescode "
        "strichcode streckkod stregkode kodkreskowy globaltradeitemnumber variantbarcode jan jancode"
    ),
    "sku": (
        "sku skuid skucode variantsku itemsku articlenumber articleno articleid itemnumber itemno itemcode itemid "
        "productid productcode productnumber productsku artikelnummer artikelnr artnr artikel referencia reference ref "
        "refproduit codearticle codigo codicearticolo codice varenummer artikelkod indeks kodproduktu id key product item "
        "code asin"
    ),
    "name": (
        "name productname title producttitle itemname articlename classname displayname description productdescription "
        "itemdescription bezeichnung artikelbezeichnung artikelname produktname benennung nom nomproduit libelle "
        "designation nombre nombreproducto descripcion denominacion nome nomeprodotto descrizione denominazione naam "
        "productnaam omschrijving descricao namn produktnamn benamning navn varenavn nazwa nazwaproduktu label text"
    ),
    "brand": (
        "brand brandname brands brandowner vendor manufacturer marke markenname hersteller marque fabricant marca "
        "fabricante marchio produttore merk fabrikant varumarke tillverkare maerke marka"
    ),
    "category": (
        "category categorypath categories productcategory googleproductcategory producttype taxonomy gpc gpcbrick "
        "gpccategorycode brick kategorie warengruppe produktgruppe categorie rayon famille categoria seccion familia "
        "reparto famiglia rubriek productgroep kategori varugrupp varegruppe kategoria department group productgroup "
        "class type coarseclassname"
    ),
    "price": (
        "price listprice regularprice retailprice salesprice sellingprice currentprice variantprice shelfprice "
        "preis verkaufspreis vk vkpreis bruttopreis prix prixttc prixdevente precio pvp prezzo prijs verkoopprijs preco "
        "pris cena amount msrp rrp uvp unitprice"
    ),
    "currency": "currency currencycode waehrung wahrung devise monnaie moneda divisa valuta moeda waluta",
    "size": (
        "size packsize packagesize netcontent netcontents content contents quantity netweight weight volume "
        "unitpricingmeasure inhalt fullmenge fuellmenge menge packungsgrosse gebinde contenance contenu poids tamano "
        "contenido peso formato contenuto inhoud gewicht tamanho storlek innehall storrelse indhold pojemnosc gramatura"
    ),
    "image": (
        "image images imagefile imagepath imagename imagelink imageurl imagesrc picture pictures photo photos photofile "
        "file filename path iconicimagepath bild bilder bilddatei foto fotos imagem imagen imagenes immagine immagini "
        "afbeelding billede zdjecie img packshot packshots thumbnail"
    ),
    "store": (
        "store storeid storecode storenumber shop site location outlet branch filiale markt magasin tienda negozio "
        "puntovendita winkel filiaal loja butik sklep"
    ),
    "fixture": (
        "fixture fixtureid planogram planogramid planogramname bay gondola module section segment rack regal regalmodul "
        "rayonnage estanteria modulo scaffale schap stelling hylla reol regale"
    ),
    "shelf": (
        "shelf shelfnumber shelfno shelfid level row boden fachboden regalboden ebene etagere niveau tablette balda "
        "estante nivel ripiano plank legplank prateleira hyllplan hylde polka"
    ),
    "position": (
        "position positionnumber pos slot location locationid sequence order column platz posicion posizione positie "
        "posicao place pozycja"
    ),
    "facings": (
        "facings facing hfacings horizontalfacings numberoffacings nfacings facingswide frontings fronts frentes caras "
        "facciate count quantity qty"
    ),
    "date": "date datetime taken timestamp datum fecha data dato",
    "user": "user userid customer customerid member household householdid basket kunde client cliente klant",
    "item": "item itemid sku gtin ean upc product productid article artikel key barcode",
    "time": "time timestamp datetime date orderdate orderedat purchasedat invoicedate day datum zeit",
    "quantity": "quantity qty count units pieces menge anzahl quantite cantidad quantita aantal",
}
NAMES: Mapping[str, tuple[str, ...]] = {role: tuple(words.split()) for role, words in _WORDS.items()}
# Columns that come by the number or by the level: image_2, additional_image_link, category_3, subcategory, ean and upc.
MORE: Mapping[str, re.Pattern[str]] = {
    "gtin": re.compile(r"(gtin|ean|upc|barcode)(code|number|nr)?\d*"),
    "image": re.compile(r"(additional)?(image|picture|photo|bild|foto|img)(link|url|path|file|src)?s?\d+|additionalimage\w*"),
    "category": re.compile(
        r"(category|level|kategorie|categorie|categoria|kategori|lvl|warengruppe)(level)?\d+|sub(category|group|class)\d*"
    ),
}
_SAMPLE = 200  # rows that are looked at to see what a column holds
_SHARE = 0.9  # of them that must be alike
_BRACKETS = re.compile(r"\([^)]*\)|\[[^]]*\]")


@cache
def bare(name: str) -> str:
    """Return the name of a column as `NAMES` has it: `Artikel-Nr. (intern)` is artikelnr."""
    folded = unicodedata.normalize(
        "NFKD", _BRACKETS.sub("", name).casefold().replace("ø", "o").replace("ł", "l").replace("æ", "ae")
    )
    return "".join(c for c in folded if c.isascii() and c.isalnum()) or "".join(c for c in name.casefold() if c.isalnum())


def guess(columns: Sequence[str], roles: Sequence[str], given: Mapping[str, str] | None, file: str) -> dict[str, list[int]]:
    """Return role -> places of its columns: one for most, several for images, levels of categories and GTINs.

    A column has one role: the first, in the order of `roles`, that knows its name; of one role, the name that stands first.

    Args:
        columns: of the file, in order.
        roles: that are looked for: keys of `NAMES`.
        given: role -> column that the user named, which stands above any guess.
        file: for errors.

    Raises:
        ConfigError: for a role that is unknown, or a column that the file does not have.
    """
    names = [bare(name) for name in columns]
    found: dict[str, list[int]] = {}
    for role, named in (given or {}).items():
        if role not in roles:
            raise ConfigError(f"columns.{role} is no column that is looked for", did_you_mean(str(role), roles), roles)
        column = str(named)  # YAML reads the column 2024 as a number
        at = next((n for n, name in enumerate(columns) if column in (name, name.strip())), None)
        at = names.index(bare(column)) if at is None and bare(column) in names else at
        if at is None:
            raise ConfigError(f"{file} has no column {column!r} for columns.{role}", did_you_mean(column, columns), columns)
        found[role] = [at]
    taken = {at for places in found.values() for at in places}
    for role in roles:
        if role in found:
            continue
        first = next((names.index(name) for name in NAMES[role] if name in names and names.index(name) not in taken), None)
        more = [
            n for n, name in enumerate(names) if role in MORE and MORE[role].fullmatch(name) and n not in taken and n != first
        ]
        places = [*([] if first is None else [first]), *more]
        if places:
            found[role] = sorted(places) if role == "category" else places
            taken.update(places)
    return found


def by_content(columns: Sequence[str], rows: Sequence[Sequence[str]], found: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """Return `found` with columns of GTINs and of pictures added that no name gave away: nine in ten
    values are such, of 3 or more.
    """
    free = sorted(set(range(len(columns))) - {at for places in found.values() for at in places})
    tests: Mapping[str, Callable[[str], bool]] = {"gtin": _is_gtin, "image": _is_picture}
    more: dict[str, int] = {}
    for role, test in tests.items():
        if role in found:
            continue
        for at in free:
            values = [row[at] for row in rows[:_SAMPLE] if at < len(row) and row[at].strip()]
            if len(values) >= 3 and sum(map(test, values)) >= _SHARE * len(values) and at not in more.values():
                more[role] = at
                break
    return {**found, **{role: [at] for role, at in more.items()}}


def _is_gtin(text: str) -> bool:
    return bool(normalise(text))


def _is_picture(text: str) -> bool:
    return text.strip().lower().endswith(tuple(EXTENSIONS))
