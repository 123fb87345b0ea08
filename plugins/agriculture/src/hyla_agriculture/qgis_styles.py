"""Colour labels in QGIS as the schema says: styles as a GeoPackage holds them in its table `layer_styles`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from hyla.draw import color_of
from hyla.schema import Schema

SYMBOLS = {"polygons": "fill", "points": "marker", "lines": "line"}


def table(schema: Schema, layers: Sequence[str], column: str, when: Any) -> list[dict[str, Any]]:
    """Return the rows of `layer_styles`: for each layer the style that QGIS opens it with.

    Args:
        schema: whose classes are coloured.
        layers: of `SYMBOLS`.
        column: that holds the class.
        when: time of the last change.
    """
    words: dict[str, Any] = {
        **{"f_table_catalog": "", "f_table_schema": "", "f_geometry_column": "geom", "styleName": "classes", "styleSLD": ""},
        **{"useAsDefault": True, "description": "colours of the schema", "owner": "", "ui": "", "update_time": when},
    }
    return [{**words, "f_table_name": layer, "styleQML": qml(schema, SYMBOLS[layer], column)} for layer in layers]


def qml(schema: Schema, symbol: str, column: str) -> str:
    """Return a style of QGIS 3 that colours each class as the review page does.

    Args:
        schema: whose classes are coloured.
        symbol: fill, marker or line.
        column: that holds the class.
    """
    categories, symbols = [], []
    for number, class_id in enumerate(i for i, one in enumerate(schema.classes) if not one.abstract):
        color = ",".join(map(str, color_of(schema, class_id)))
        kind, values = {
            "fill": ("SimpleFill", {"color": f"{color},90", "outline_color": f"{color},255", "outline_width": "0.4"}),
            "line": ("SimpleLine", {"line_color": f"{color},255", "line_width": "0.6"}),
            "marker": ("SimpleMarker", {"color": f"{color},255", "outline_color": "35,35,35,255", "size": "2.5"}),
        }[symbol]
        said = quoteattr(schema.names[class_id])
        categories.append(f'<category render="true" symbol="{number}" value={said} label={said} type="string"/>')
        options = "".join(f'<Option name="{key}" type="QString" value="{value}"/>' for key, value in values.items())
        old = "".join(f'<prop k="{key}" v="{value}"/>' for key, value in values.items())  # before QGIS 3.26
        symbols.append(
            f'<symbol name="{number}" type="{symbol}" alpha="1" clip_to_extent="1" force_rhr="0">'
            f'<layer class="{kind}" enabled="1" locked="0" pass="0"><Option type="Map">{options}</Option>{old}</layer></symbol>'
        )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.22.0" styleCategories="Symbology">'
        f'<renderer-v2 type="categorizedSymbol" attr={quoteattr(column)} symbollevels="0" forceraster="0" enableorderby="0">'
        f"<categories>{''.join(categories)}</categories><symbols>{''.join(symbols)}</symbols></renderer-v2></qgis>"
    )
