"""What is known of crops and pests by their EPPO code: names, breaks between them, hosts, and the priority pests of the EU.

The tables hold what their sources say, and a few engineering defaults that are marked. The rules that use them take changes as
settings. Codes are those of EPPO's Global Database (gd.eppo.int): plants have five letters, pests six.
"""

from __future__ import annotations

from collections.abc import Mapping

# The same species sown in winter or in spring: what is true of the species is true of both.
SPECIES = {
    **dict.fromkeys(("TRZAW", "TRZAS"), "TRZAX"),
    **dict.fromkeys(("HORVW", "HORVS"), "HORVX"),
    **dict.fromkeys(("SECCW", "SECCS"), "SECCE"),
    **dict.fromkeys(("BRSNW", "BRSNS"), "BRSNN"),
}
# Words of field files besides the names of the schema's classes.
WORDS = {
    **{"wheat": "TRZAX", "winter wheat": "TRZAW", "spring wheat": "TRZAS", "barley": "HORVX", "winter barley": "HORVW"},
    **{"spring barley": "HORVS", "rye": "SECCE", "winter rye": "SECCW", "oats": "AVESA", "oat": "AVESA", "maize": "ZEAMX"},
    **{"corn": "ZEAMX", "sorghum": "SORVU", "rice": "ORYSA", "soybean": "GLXMA", "soy": "GLXMA", "soya": "GLXMA"},
    **{"rapeseed": "BRSNN", "oilseed rape": "BRSNN", "canola": "BRSNN", "winter rapeseed": "BRSNW", "spring rapeseed": "BRSNS"},
    **{"sunflower": "HELAN", "sugar beet": "BEAVA", "potato": "SOLTU", "pea": "PIBSX", "field pea": "PIBSX"},
    **{"field bean": "VICFX", "faba bean": "VICFX", "alfalfa": "MEDSA", "lucerne": "MEDSA", "cotton": "GOSHI"},
    **{"sugar cane": "SACOF", "sugarcane": "SACOF", "tomato": "LYPES", "vine": "VITVI", "grapevine": "VITVI", "olive": "OLVEU"},
    **{"flax": "LIUUT", "linseed": "LIUUT", "onion": "ALLCE", "cabbage": "BRSOL", "mustard": "SINAL"},
}
# Years without the crop, or one of its group, before it comes again: the lower end of Mueller 1988, table 3.2 in Kristiansen,
# Taji and Reganold (eds.) 2006, Organic Agriculture: A Global Perspective. Crops that often follow themselves in practice (wheat,
# barley, maize, soybean, rice), and those that stand for years, are left out.
BREAKS = {
    **{"AVESA": 3, "SOLTU": 3, "BEAVA": 4, "BRSNN": 3, "PIBSX": 4, "LIUUT": 6, "VICFX": 3, "BRSOL": 3, "ALLCE": 4},
    "HELAN": 3,  # an engineering default, for white mould (Sclerotinia), which rapeseed has too
}
# Crops that share soil-borne pests count as one: clubroot of cabbages, cyst nematodes and blight of nightshades.
GROUPS = {
    **dict.fromkeys(("BRSNN", "BRSOL", "SINAL"), "brassicas"),
    **dict.fromkeys(("SOLTU", "LYPES"), "nightshades"),
}
# Sown before the crop of the key is usually off the field; an engineering default for the temperate north.
TOO_LATE = {"BRSNW": ("BEAVA", "ZEAMX", "GLXMA"), "HORVW": ("BEAVA",)}
PERENNIAL = ("VITVI", "OLVEU")
# Two harvests of one season that are usual: soybean, then maize (safrinha); wheat or barley, then soybean or maize.
DOUBLE = (("GLXMA", "ZEAMX"), ("TRZAX", "GLXMA"), ("HORVX", "GLXMA"), ("HORVX", "ZEAMX"))
# Hosts of pests that have few; polyphagous ones (fall armyworm, Japanese beetle, whitefly, Xylella) fit anywhere. EPPO Global
# Database; Colorado beetle: EFSA Journal 2020;18(12):6359.
HOSTS = {
    "LPTNDE": ("SOLTU", "LYPES", "SOLME"),
    "PHYTIN": ("SOLTU", "LYPES"),
    "GNORAB": ("LYPES", "SOLTU", "SOLME"),
    "SEPTTR": ("TRZAX", "TRZDU", "TTLWI", "TTLSO"),
    "DIABVI": ("ZEAMX",),
    "PLASVI": ("VITVI",),
    "UNCINE": ("VITVI",),
    "DACUOL": ("OLVEU",),
    "CERCBE": ("BEAVA", "BEAVX"),
}
# Priority pests of the Union: Delegated Regulation (EU) 2019/1702, annex; all 20, huanglongbing by its three bacteria.
PRIORITY_PESTS = {
    "AGRLAX": "Agrilus anxius",
    "AGRLPL": "Agrilus planipennis",
    "ANSTLU": "Anastrepha ludens",
    "ANOLCN": "Anoplophora chinensis",
    "ANOLGL": "Anoplophora glabripennis",
    "ANTHEU": "Anthonomus eugenii",
    "AROMBU": "Aromia bungii",
    "PARZCO": "Bactericera cockerelli",
    "DACUDO": "Bactrocera dorsalis",
    "DACUZO": "Bactrocera zonata",
    "BURSXY": "Bursaphelenchus xylophilus",
    "LIBEAF": "Candidatus Liberibacter africanus",
    "LIBEAM": "Candidatus Liberibacter americanus",
    "LIBEAS": "Candidatus Liberibacter asiaticus",
    "CONHNE": "Conotrachelus nenuphar",
    "DENDSI": "Dendrolimus sibiricus",
    "GUIGCI": "Phyllosticta citricarpa",
    "POPIJA": "Popillia japonica",
    "RHAGPO": "Rhagoletis pomonella",
    "LAPHFR": "Spodoptera frugiperda",
    "ARGPLE": "Thaumatotibia leucotreta",
    "XYLEFA": "Xylella fastidiosa",
}


def eppo(word: object) -> str:
    """Return the EPPO code of a crop from a code or a word of a field file; empty for what is not known.

    Five or six capitals or digits that are no word of `WORDS` count as a code.
    """
    said = str(word or "").strip()
    named = WORDS.get(said.lower().replace("_", " "), "")
    return named or (said if said.isupper() and said.isalnum() and len(said) in (5, 6) else "")


def species(code: str) -> str:
    """Return the code of the species, for one of its winter or spring form."""
    return SPECIES.get(code, code)


def group(code: str) -> str:
    """Return what counts as the same crop in a rotation."""
    return GROUPS.get(species(code), species(code))


def break_needed(crop: str, earlier: str, breaks: Mapping[str, float] = BREAKS) -> float:
    """Return the years without `earlier` that should lie before `crop`; 0 if the one may follow the other."""
    if not crop or group(crop) != group(earlier):
        return 0.0
    return max(breaks.get(species(code), 0.0) for code in (crop, earlier))


def unlikely(crop: str, before: str) -> str:
    """Return why `crop` hardly follows `before` in the next season; empty if nothing speaks against it."""
    if species(before) in TOO_LATE.get(crop, ()):
        return f"{crop} is sown before {before} is off the field"
    if crop and before and species(crop) != species(before) and {crop, before} & set(PERENNIAL):
        return f"{before} and {crop}: one of them stands for many years"
    return ""


def fits(pest: str, host: str, hosts: Mapping[str, object] = HOSTS) -> bool:
    """Tell whether a pest lives on a host, as far as the table says; True for what it does not know."""
    known = hosts.get(pest)
    return not host or not isinstance(known, (tuple, list)) or species(host) in known
