"""Name the goods of the sample shop: made-up brands, sizes, prices and numbers, with variants that are easily mixed up.

Numbers begin with 952, which GS1 keeps for demonstrations and examples; those of weighed goods with 21, of the range that a shop
gives out for use within itself (GS1 General Specifications, prefixes).
"""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "black": (34, 34, 38),
    "white": (242, 241, 236),
    "grey": (150, 152, 156),
    "red": (193, 34, 40),
    "orange": (237, 125, 28),
    "yellow": (245, 205, 50),
    "green": (52, 138, 66),
    "blue": (34, 84, 168),
    "purple": (110, 56, 140),
    "pink": (228, 110, 158),
    "brown": (112, 70, 42),
}
PATHS = {  # class of the schema -> category as the catalogue of the shop writes it
    "soft_drink": "Food > Beverage > Soft drink",
    "water": "Food > Beverage > Water",
    "juice": "Food > Beverage > Juice",
    "coffee": "Food > Beverage > Coffee",
    "tea": "Food > Beverage > Tea",
    "beer": "Food > Beverage > Alcohol > Beer",
    "wine": "Food > Beverage > Alcohol > Wine",
    "spirits": "Food > Beverage > Alcohol > Spirits",
    "cereal": "Food > Cereal",
    "dairy": "Food > Dairy",
    "snack": "Food > Snack",
    "confectionery": "Food > Confectionery",
    "condiment": "Food > Condiment",
    "oil": "Food > Oil",
    "baby_food": "Food > Baby food",
    "fruit": "Food > Fruit",
    "vegetable": "Food > Vegetable",
    "medicine": "Medicine",
    "personal_care": "Personal care",
    "cleaning": "Cleaning",
    "pet": "Pet",
}
KEY = "{:05d}"  # of a product in the shop


@dataclass(frozen=True)
class Good:
    """Hold one product of the shop.

    Args:
        sku: its key in the shop.
        gtin: 14 digits.
        brand, variety: what is printed large, and below.
        kind: class of the schema.
        size: as the pack says it.
        price: EUR.
        shape: how it is drawn; see `sample_packs`.
        width, height: in units of the drawing, about three to a pixel and a half of a photo.
        colours: names of the main colour, of the second, and of what is inside.
        pattern: of the main face.
        claims: tags of the schema that the pack carries as words.
    """

    sku: str
    gtin: str
    brand: str
    variety: str
    kind: str
    size: str
    price: float
    shape: str
    width: int
    height: int
    colours: tuple[str, str, str]
    pattern: str
    claims: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return what the catalogue calls it, without the brand and the size."""
        return f"{self.brand} {self.variety}"

    @property
    def printed(self) -> str:
        """Return its size as it is printed, with a capital L, since a small one looks like a 1."""
        return f"{self.size[:-1]}L" if self.size.endswith(" l") else self.size

    @property
    def packaging(self) -> str:
        """Return its tag of the schema."""
        return {"flask": "bottle"}.get(self.shape, self.shape)

    @property
    def tints(self) -> tuple[str, ...]:
        """Return its colours, as tags of the schema: those that cover much of it."""
        main, second, inside = self.colours
        more = (
            inside
            if self.shape in ("bottle", "flask", "jar", "tray")
            else second
            if self.pattern in ("rays", "stripes")
            else main
        )
        return tuple(dict.fromkeys((main, more)))


def numbered(body: str) -> str:
    """Return the 13 digits of an EAN from its first 12: weights 1 and 3 in turn, and what lacks to the next ten."""
    total = sum(int(digit) * (1, 3)[n % 2] for n, digit in enumerate(body))
    return f"{body}{-total % 10}"


# brand | variety | class | size | EUR | shape | width height | main second inside | pattern | claims
_TABLE = """
Brisa|Orange|soft_drink|330 ml|0.89|can|200 330|orange yellow orange|dots|
Brisa|Lemon|soft_drink|330 ml|0.89|can|200 330|yellow green yellow|dots|
Brisa|Cola|soft_drink|330 ml|0.89|can|200 330|red white brown|wave|
Brisa|Cola Zero|soft_drink|330 ml|0.89|can|200 330|black red brown|wave|sugar_free
Brisa|Cola|soft_drink|500 ml|1.19|bottle|165 345|red white brown|wave|
Brisa|Cola|soft_drink|1.5 l|1.89|bottle|205 372|red white brown|wave|
Fernwell|Still|water|500 ml|0.59|bottle|160 340|blue white white|band|
Fernwell|Sparkling|water|500 ml|0.59|bottle|160 340|green white white|band|
Fernwell|Still|water|1.5 l|0.95|bottle|205 375|blue white white|band|
Orchard Lane|Apple|juice|1 l|2.29|carton|185 350|green white green|fruit|
Orchard Lane|Orange|juice|1 l|2.29|carton|185 350|orange white orange|fruit|
Orchard Lane|Cherry|juice|1 l|2.49|carton|185 350|red white red|fruit|organic
Monte Alto|Ground|coffee|500 g|6.99|bag|190 300|brown yellow brown|stripes|fairtrade
Monte Alto|Beans|coffee|1 kg|12.99|bag|225 352|black yellow brown|stripes|fairtrade
Monte Alto|Instant|coffee|200 g|7.49|jar|170 260|brown yellow brown|plain|
Leaf & Sons|Green Tea|tea|40 g|2.79|box|240 190|green white green|leaf|organic
Leaf & Sons|Black Tea|tea|40 g|2.59|box|240 190|black yellow black|leaf|fairtrade
Leaf & Sons|Peppermint|tea|40 g|2.59|box|240 190|blue green green|leaf|organic
Morning Mill|Oat Flakes|cereal|500 g|1.79|box|250 345|yellow brown brown|band|vegan
Morning Mill|Crunchy|cereal|375 g|3.29|box|250 345|orange brown brown|band|
Morning Mill|Choco|cereal|375 g|3.29|box|250 345|brown orange brown|band|
Alm|Whole Milk|dairy|1 l|1.39|carton|180 345|blue white white|wave|
Alm|Low Fat Milk|dairy|1 l|1.35|carton|180 345|white blue white|wave|
Alm|Oat Drink|dairy|1 l|2.19|carton|180 345|green white white|wave|vegan lactose_free
Berrywood|Strawberry|condiment|340 g|2.49|jar|175 225|red white red|fruit|gluten_free
Berrywood|Apricot|condiment|340 g|2.49|jar|175 225|orange white orange|fruit|gluten_free
Rosso|Ketchup|condiment|450 ml|2.39|flask|170 340|red white red|band|
Rosso|Pickles|condiment|670 g|2.19|jar|210 290|green white green|stripes|vegan
Krisp|Paprika|snack|175 g|1.99|bag|260 350|red yellow yellow|rays|
Krisp|Salted|snack|175 g|1.99|bag|260 350|blue yellow yellow|rays|vegan
Krisp|Sour Cream|snack|175 g|1.99|bag|260 350|green yellow yellow|rays|
Krisp|Salted|snack|75 g|1.09|bag|190 260|blue yellow yellow|rays|vegan
Velora|Milk|confectionery|100 g|1.49|box|185 330|purple white brown|wave|fairtrade
Velora|Dark|confectionery|100 g|1.69|box|185 330|black purple brown|wave|fairtrade vegan
Olivar|Olive Oil|oil|500 ml|6.49|bottle|150 350|green yellow green|band|
Olivar|Olive Oil|oil|750 ml|8.99|bottle|165 375|green yellow green|band|
Tiny Spoon|Carrot|baby_food|190 g|1.15|jar|160 200|orange white orange|fruit|organic
Tiny Spoon|Apple|baby_food|190 g|1.15|jar|160 200|green white yellow|fruit|organic
Hopfenau|Pils|beer|500 ml|1.09|bottle|150 365|green white brown|band|
Hopfenau|Pils|beer|500 ml|0.99|can|205 360|green white brown|band|
Colline|Rosso|wine|750 ml|5.99|bottle|155 378|red white black|plain|organic
Colline|Bianco|wine|750 ml|5.99|bottle|155 378|white yellow green|plain|
North Cape|Gin|spirits|700 ml|14.99|bottle|175 370|white blue white|plain|
Medora|Pain Relief|medicine|20 tablets|3.95|box|255 150|white red white|band|
Medora|Cold Relief|medicine|20 tablets|5.45|box|255 150|white blue white|band|
Medora|Cough Syrup|medicine|100 ml|6.25|bottle|140 250|white green brown|band|
Purelle|Shampoo|personal_care|250 ml|2.95|flask|160 320|pink white pink|wave|vegan
Purelle|Shower Gel|personal_care|250 ml|2.45|flask|160 320|blue white blue|wave|vegan
Klarin|Lemon|cleaning|1 l|2.15|flask|195 370|yellow blue yellow|rays|
Klarin|Ocean|cleaning|1 l|2.15|flask|195 370|blue yellow blue|rays|
Wuffo|Beef|pet|400 g|1.29|can|215 265|red yellow brown|stripes|
Wuffo|Chicken|pet|400 g|1.29|can|215 265|yellow red brown|stripes|
Farmgate|Apples|fruit|1 kg|2.99|tray|330 230|white green red|plain|organic
Farmgate|Tomatoes|vegetable|500 g|2.49|tray|330 230|white red red|plain|
"""
_STRANGERS = """
Zapp|Energy|soft_drink|250 ml|1.39|can|170 300|purple yellow yellow|rays|
Nomi|Noodles|ready_meal|70 g|0.99|bag|230 270|pink orange yellow|dots|
Sunday|Crackers|snack|200 g|1.59|box|250 260|grey red yellow|stripes|
"""
WEIGHED = ("fruit", "vegetable")


def _goods(table: str, first: int) -> tuple[Good, ...]:
    made = []
    for n, line in enumerate(table.strip().splitlines(), first):
        brand, variety, kind, size, price, shape, measure, colours, pattern, claims = line.split("|")
        body = f"21{n:05d}00000" if kind in WEIGHED else f"9521{n * 37:08d}"
        width, height = (int(one) for one in measure.split())
        main, second, inside = colours.split()
        gtin, sku = numbered(body).zfill(14), KEY.format(40_000 + n * 11)
        look = (shape, width, height, (main, second, inside), pattern, tuple(claims.split()))
        made.append(Good(sku, gtin, brand, variety, kind, size, float(price), *look))
    return tuple(made)


GOODS = _goods(_TABLE, 1)
STRANGERS = _goods(_STRANGERS, 901)  # on the shelves, but in no catalogue
FIXTURES = {"A1": GOODS[:12], "A2": GOODS[12:26], "B1": GOODS[26:38], "B2": GOODS[38:]}  # what each carries
