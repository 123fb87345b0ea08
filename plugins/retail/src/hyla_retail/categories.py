"""Find the class of the schema that a category of a catalogue means: by code, by name, or by one of the words shops use for it.

A category is a path from the general to the special, `Food > Dairy > Milk`. Its steps are compared as whole names, so a path that
says nothing known means a product of no known category: nothing is guessed from parts of words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hyla.schema import Schema
from hyla_retail import beside

if TYPE_CHECKING:
    from hyla_retail.taxonomy import Taxonomy

TREES = (".xml", ".json", ".txt", ".csv", ".tsv")  # of a taxonomy that lies beside photos
ROOT, UNKNOWN = "product", "unknown_product"
RESTRICTED = ("alcohol", "tobacco", "medicine", "baby_food", "weapon")
VAGUE = ("household",)  # says so little that any other word of the path counts for more
# What shops call the classes, beside their names: English, German, French, Spanish, Italian, Dutch, Portuguese, Swedish.
ALIASES: Mapping[str, str] = {
    "food": "food items|grocery|groceries|lebensmittel|essen|épicerie|alimentation|alimentación|alimentos|alimentari|cibo"
    "|levensmiddelen|voeding|alimentação|mercearia|livsmedel|cooking baking ingredients|eggs|œufs|eier|huevos|uova",
    "fruit": "obst|früchte|fruta|frutta|frukt|fresh frozen fruits|frische früchte|berries|beeren|citrus fruit",
    "vegetable": "veg|veggies|gemüse|légumes|verduras|hortalizas|verdura|groente|groenten|legumes|grönsaker"
    "|fresh frozen vegetables|salad|salat|potato|kartoffel|kartoffeln|mushroom",
    "dairy": "milk|cheese|butter|cream|yogurt|yoghurt|sour cream|sour milk|oat milk|soy milk|oatghurt|soyghurt|milch|molkerei"
    "|milchprodukte|molkereiprodukte|käse|joghurt|lait|fromage|crèmerie|produits laitiers|leche|queso|lácteos|latticini"
    "|formaggio|zuivel|melk|kaas|leite|laticínios|queijo|mejeri|mjölk|ost|milk butter cream yogurts cheese eggs substitutes",
    "bakery": "bread|breads buns|bread bakery|baked goods|brot|backwaren|brot backwaren|bäckerei|boulangerie|panadería"
    "|panetteria|pane|brood|bakkerij|padaria|pão|bröd|cakes|kuchen|pains",
    "confectionery": "candy|sweets|chocolate|candy chocolate|gum|süßwaren|süssigkeiten|süßigkeiten|schokolade|confiserie"
    "|bonbons|chocolat|dulces|golosinas|dolciumi|cioccolato|snoep|chocolade|doces|godis|choklad"
    "|confectionery sugar sweetening",
    "snack": "snack foods|chips|crisps|nuts|biscuits|cookies|crackers|popcorn|knabbereien|knabberartikel|kekse|nüsse|galletas"
    "|aperitivos|biscotti|koekjes|noten|bolachas|kex|nötter",
    "cereal": "breakfast cereal|muesli|granola|oats|rice|pasta|noodles|flour|grains|getreide|müsli|nudeln|teigwaren|mehl|reis"
    "|céréales|pâtes|riz|farine|cereales|arroz|harina|cereali|riso|farina|pasta noodles|ontbijtgranen|rijst|meel|flingor"
    "|ris|mjöl|cereal grain pulse|grains rice cereal",
    "meat": "poultry|sausage|sausages|ham|beef|pork|chicken|fleisch|wurst|geflügel|viande|charcuterie|volaille|carne|aves"
    "|embutidos|salumi|vlees|vleeswaren|carnes|kött|chark|meat poultry other animals",
    "fish": "seafood|fish seafood|fisch|meeresfrüchte|poisson|poissons|fruits de mer|pescado|mariscos|pesce|peixe|fisk|skaldjur",
    "ready_meal": "ready meals|prepared foods|prepared meals|ready made combination meals|soup|soups|pizza|fertiggerichte"
    "|suppen|plats préparés|platos preparados|piatti pronti|kant en klaarmaaltijden|refeições prontas|färdigmat",
    "condiment": "sauce|sauces|condiments sauces|spices|seasonings|ketchup|mustard|vinegar|jam|honey|spreads|soßen|saucen"
    "|gewürze|essig|senf|honig|konfitüre|épices|condiments|vinaigre|miel|salsas|especias|vinagre|salse|spezie|aceto|sauzen"
    "|kruiden|molhos|temperos|såser|kryddor|sauces spreads dips condiments|seasonings preservatives extracts",
    "oil": "oils|cooking oil|cooking oils|olive oil|öl|öle|speiseöl|olivenöl|huile|huiles|aceite|aceites|olio|olie|óleo"
    "|azeite|olja|oils fats edible",
    "baby_food": "baby food|baby foods|infant formula|baby formula|baby toddler food|baby infant foods beverages|babynahrung"
    "|säuglingsnahrung|kindernahrung|alimentation infantile|aliments pour bébés|comida para bebés|alimentación infantil"
    "|alimenti per bambini|babyvoeding|comida para bebê|barnmat",
    "beverage": "beverages|drink|drinks|getränke|boissons|bebidas|bevande|dranken|dryck|drycker|non alcoholic beverages",
    "water": "mineral water|wasser|mineralwasser|eau|eaux|agua|acqua|água|vatten",
    "juice": "juices|fruit juice|saft|säfte|fruchtsaft|jus|jus de fruits|zumo|zumos|jugo|jugos|succo|succhi|sap|sappen"
    "|vruchtensap|suco|sucos",
    "soft_drink": "soft drink|soda|sodas|lemonade|cola|energy drink|sports energy drinks|fruit flavored drinks|limonade"
    "|limonaden|erfrischungsgetränke|sodas limonades|refresco|refrescos|bibite|frisdrank|refrigerante|refrigerantes|läsk",
    "coffee": "kaffee|café|caffè|koffie|kaffe|coffee coffee substitutes",
    "tea": "teas|tea infusions|tee|thé|thés|té|tè|thee|chá|te|tea infusions tisanes",
    "alcohol": "alcoholic beverages|alcoholic drinks|alcoholic beverages includes de alcoholised variants|alkohol|alkoholika"
    "|alkoholische getränke|alcool|alcools|boissons alcoolisées|bebidas alcohólicas|alcolici|alcoholische dranken"
    "|bebidas alcoólicas|alkoholdrycker|hard cider|cider",
    "beer": "beers|bier|biere|bière|bières|cerveza|cervezas|birra|bieren|cerveja|cervejas|öl",
    "wine": "wines|sparkling wine|champagne|wein|weine|sekt|vin|vins|vino|vinos|vini|wijn|wijnen|vinho|vinhos|viner",
    "spirits": "spirit|liquor|liquor spirits|liqueur|whisky|whiskey|vodka|gin|rum|brandy|spirituosen|schnaps|likör|spiritueux"
    "|licores|liquori|gedistilleerd|sterke drank|bebidas destiladas|sprit",
    "tobacco": "tobacco products|cigarettes|cigars|e cigarettes|vaping|vape|tobacco smoking accessories|tabak|tabakwaren"
    "|zigaretten|zigarren|tabac|tabaco|tabacco|sigarette|sigaretten|tobak|snus",
    "medicine": "medicines|drugs|medicine drugs|pharmaceutical drugs|otc|pharmacy|medikamente|arzneimittel|arznei|apotheke"
    "|médicaments|pharmacie|medicamentos|farmacia|medicinali|farmaci|medicijnen|geneesmiddelen|läkemedel",
    "personal_care": "personal care|beauty|cosmetics|toiletries|beauty personal care hygiene|shampoo|soap|hair care"
    "|körperpflege|kosmetik|hygiène|cosmétiques|soins du corps|higiene personal|cosmética|cura della persona"
    "|igiene personale|verzorging|persoonlijke verzorging|higiene pessoal|hygien|kroppsvård",
    "cleaning": "cleaning supplies|household cleaning supplies|cleaning hygiene|detergent|detergents|laundry|reinigung"
    "|reinigungsmittel|putzmittel|waschmittel|nettoyage|entretien|limpieza|detergentes|detersivi|pulizia|schoonmaak"
    "|schoonmaakmiddelen|limpeza|städ|rengöring",
    "household": "household supplies|home|home garden|kitchen|haushalt|haushaltswaren|maison|ménage|hogar|casa|huishouden"
    "|hushåll",
    "pet": "pets|pet food|pet care|pet care food|pet supplies|animals pet supplies|dog food|cat food|tiernahrung|tierbedarf"
    "|haustier|animalerie|nourriture pour animaux|mascotas|animali|dierenvoeding|huisdieren|animais|husdjur|djurmat",
    "baby_care": "baby|baby toddler|babies|diapers|nappies|diapering|windeln|säugling|bébé|bebé|pañales|bambini|infanzia"
    "|pannolini|luiers|bebê|fraldas|blöjor|couches culottes",
    "clothing": "clothes|apparel|apparel accessories|fashion|kleidung|bekleidung|mode|vêtements|ropa|abbigliamento|kleding"
    "|roupa|kläder",
    "electronics": "electronic|electronics accessories|batteries|elektronik|elektro|électronique|electrónica|elettronica"
    "|elektronica|eletrônicos|hemelektronik",
    "toys": "toy|toys games|games|spielzeug|spielwaren|jouets|juguetes|giocattoli|speelgoed|brinquedos|leksaker",
    "stationery": "office supplies|stationery office machinery occasion supplies|school supplies|schreibwaren|bürobedarf"
    "|papeterie|papelería|cartoleria|kantoorartikelen|papelaria|kontorsmaterial",
    "weapon": "weapons|knives|guns|ammunition|fireworks|waffen|messer|munition|feuerwerk|armes|couteaux|feux d artifice|armas"
    "|cuchillos|armi|coltelli|wapens|messen|vuurwerk|facas|vapen|fyrverkerier",
}
_JOIN = re.compile(r"\s*(?:&|/|,|;|\+|\b(?:and|und|et|y|e|en|och|or|oder|ou)\b)\s*")
_FILLING = re.compile(  # as `words` writes them
    "fresh|frozen|chilled|organic|bio|product|produkte|produit|producto|prodotti|producten|produkter|article|artikel|item|good"
    "|supply|department|abteilung|rayon|other|sonstige|all|canned|jarred|dried|prepared|processed|unprepared|unprocessed|perishable"
    "|shelf|stable|substitute"
)


class Categories:
    """Know which class of a schema a category path means.

    Args:
        schema: classes under `product`; their names, codes and the words of `ALIASES` are what a step of a path may be.
        taxonomy: a tree that the codes or last names of paths are looked up in, so that a code alone is a whole path.
    """

    def __init__(self, schema: Schema, taxonomy: Taxonomy | None = None) -> None:
        self.schema = schema
        self.taxonomy = taxonomy
        self.root = schema.ids.get(ROOT, 0)
        self._under = {int(i) for i in schema.under(ROOT)}
        self._paths = [self._path(i) for i in range(len(schema.classes))]
        self._restricted = {int(i) for i in schema.under(*RESTRICTED)}
        self._vague = {schema.ids[name] for name in VAGUE if name in schema.ids}
        self._named: tuple[dict[str, list[int]], dict[str, list[int]]] = ({}, {})  # by names, which come before aliases
        self._coded: dict[str, dict[str, int]] = {}  # code -> vocabulary -> class
        for i in sorted(self._under - {self.root, schema.ids.get(UNKNOWN, self.root)}):
            one = schema.classes[i]
            for scheme, code in one.codes.items():
                self._coded.setdefault(code, {})[scheme] = i
            names = (one.name, one.name.removeprefix(f"{one.parent}_"))
            for table, given in zip(self._named, (names, ALIASES.get(one.name, "").split("|")), strict=True):
                for key in {key for word in given for key in (words(word), _filled(words(word)))} - {""}:
                    table.setdefault(key, []).append(i)

    def class_id(self, path: Sequence[str]) -> int:
        """Return the most specific class that is met along `path`, from the general to the special; `product` if none is.

        What was met first says the branch, and later steps only refine it: `Pet > Food` is no food. A restricted class (alcohol,
        tobacco, medicine, baby food, weapons) counts wherever it is met, since to miss one costs more than to show one too many.
        """
        now, before = -1, ""
        for step in self._steps(path):
            joined = self._by_name(words(f"{before} {step}"), now)  # Baby > Food
            met = joined if joined >= 0 else self._meet(step, now)
            before = step
            refines = met >= 0 and (now < 0 or now in self._vague or now in self._paths[met])
            if refines or (met in self._restricted and now not in self._restricted):
                now = met
        return self.root if now < 0 else now

    def segment(self, class_id: int) -> int:
        """Return the most general class above a class, next below `product`: the segment of a juice is `food`."""
        path = self._paths[class_id]
        return path[1] if len(path) > 1 and path[0] == self.root else path[0]

    def depth(self, a: int, b: int) -> int:
        """Return how many levels two classes share, `product` not counted: juice and water share 2, food and beverage."""
        one, other = self._paths[a], self._paths[b]
        shared = sum(x == y for x, y in zip(one, other, strict=False))  # two paths that parted never meet again
        return max(0, shared - 1) if one[0] == self.root else shared

    def on_one_path(self, a: int, b: int) -> bool:
        """Tell whether one of two classes lies below the other, or they are the same."""
        return a in self._paths[b] or b in self._paths[a]

    def by_code(self, code: str, scheme: str = "") -> int:
        """Return the class that has a code, in one vocabulary or in any; -1 if none has, or several do."""
        found = {i for of, i in self._coded.get(code, {}).items() if scheme in ("", of)}
        return found.pop() if len(found) == 1 else -1

    def _path(self, i: int) -> tuple[int, ...]:
        path = [i]
        while parent := self.schema.classes[path[0]].parent:
            path.insert(0, self.schema.ids[parent])
        return tuple(path)

    def _steps(self, path: Sequence[str]) -> list[str]:
        steps = [str(step) for step in path if str(step).strip()]
        if self.taxonomy is not None and steps and (row := self.taxonomy.find(steps[-1])) >= 0:
            known = [word for i in self.taxonomy.path(row) for word in (self.taxonomy.code[i], self.taxonomy.name[i]) if word]
            return [*steps[:-1], *known]
        return steps

    def _meet(self, step: str, now: int) -> int:
        text = step.strip()
        if text.isdigit():
            return found if (found := self.by_code(text)) >= 0 else self._within(text)
        if (found := self._by_name(words(text), now)) >= 0:
            return found
        parts = [key for part in _JOIN.split(unicodedata.normalize("NFC", text).casefold()) if _filled(key := words(part))]
        if not parts:
            return -1
        met = [self._by_name(part, now) for part in parts]
        if min(met) < 0:
            return -1
        shared = self._paths[met[0]]
        for one in met[1:]:
            shared = tuple(a for a, b in zip(shared, self._paths[one], strict=False) if a == b)
        return shared[-1] if len(shared) > 1 else -1

    def _by_name(self, key: str, now: int) -> int:
        for table in self._named:
            found = (table.get(key) or table.get(_filled(key)) or []) if key else []
            if one := [i for i in found if now in self._paths[i]] or found:
                return one[0] if len(one) == 1 else -1
        return -1

    def _within(self, code: str) -> int:
        # Codes of GS1 GPC nest, two digits a level: class 501317 lies in family 5013 in segment 50. Bricks, 1000xxxx, do not.
        if len(code) == 8 and not code.startswith("1000"):
            return next((i for n in (6, 4, 2) if (i := self.by_code(code[:n].ljust(8, "0"), "gpc")) >= 0), -1)
        return -1


def open_categories(schema: Schema, taxonomy: str | None, source: str) -> Categories:
    """Return the categories of a schema with the taxonomy that a setting names; its file is read once, and again when it changed.

    Args:
        schema: see `Categories`.
        taxonomy: `auto` for taxonomy.* in the source; a path, relative to the source if it is there, else to the working folder;
            None for none.
        source: of the run.

    Raises:
        ConfigError: for a taxonomy that is named and not there, or can't be read; see `hyla_retail.taxonomy.read`.
    """
    path = beside.find(taxonomy, source, "taxonomy", TREES)
    if path is None:
        return Categories(schema)
    about = path.stat()
    return Categories(schema, _read(path, (about.st_mtime_ns, about.st_size)))


@lru_cache(maxsize=4)
def _read(path: Path, _state: tuple[int, int]) -> Taxonomy:
    from hyla_retail.taxonomy import read  # which takes `words` from here

    return read(path)


def words(text: str) -> str:
    """Return a name as it is compared: lower case, without accents and signs, `and` left out, plurals as singulars."""
    return " ".join(_singular(word) for word in plain(text).split())


def plain(text: str) -> str:
    """Return a name in lower case, without accents, signs and `and`."""
    spread = unicodedata.normalize("NFKD", _JOIN.sub(" ", unicodedata.normalize("NFC", text).casefold()))
    return " ".join("".join(c if c.isalnum() else " " for c in spread if not unicodedata.combining(c)).split())


def _filled(key: str) -> str:
    return " ".join(word for word in key.split() if not _FILLING.fullmatch(word))


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
