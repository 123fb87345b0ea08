"""Write small products in the layouts of data providers: SAFE folders, Landsat Collection 2 folders, STAC documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

WEST, NORTH = 600000.0, 5700000.0  # of every raster, in EPSG:32632
METRES = {
    **dict.fromkeys(("B02", "B03", "B04", "B08"), (10, 20, 60)),
    **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12", "SCL"), (20, 60)),
    **dict.fromkeys(("B01",), (20, 60)),
    **dict.fromkeys(("B09",), (60,)),
}
SAFE = "S2B_MSIL2A_20220413T102559_N0400_R108_T32UQC_20220413T134700.SAFE"
LANDSAT = "LC08_L2SP_195024_20200617_20200823_02_T1"


def raster(path: Path, samples: np.ndarray, metres: float = 10, **more: Any) -> Path:
    """Write (h, w) or (bands, h, w) as GeoTIFF or lossless JPEG 2000, by the suffix of `path`."""
    import rasterio
    from rasterio.transform import from_origin

    layers = samples if samples.ndim == 3 else samples[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    jp2: dict[str, Any] = {"driver": "JP2OpenJPEG", "QUALITY": 100, "REVERSIBLE": "YES", "YCBCR420": "NO"}
    options = {"driver": "GTiff"} if path.suffix.lower() != ".jp2" else jp2
    count, height, width = layers.shape
    with rasterio.open(
        path,
        "w",
        **options,
        **more,
        count=count,
        height=height,
        width=width,
        dtype=layers.dtype,
        crs="EPSG:32632",
        transform=from_origin(WEST, NORTH, metres, metres),
    ) as file:
        file.write(layers)
    return path


def safe(
    root: Path,
    name: str = SAFE,
    *,
    values: Mapping[str, int] | None = None,
    size: int = 60,
    scl: int = 4,
    suffix: str = ".jp2",
    xml: str | None = "",
    tiles: Sequence[str] = ("T32UQC",),
) -> Path:
    """Write a Sentinel-2 product of level 2A or 1C, each band with pixels of one value.

    Args:
        root: folder that the product goes into.
        name: of the product; its level and baseline also go into the metadata.
        values: digital numbers by band word; the bands of the level with 2000 where not given. Only bands named here are written.
        size: of the scene in pixels of 10 m; a multiple of 6.
        scl: class of all pixels.
        suffix: of the images, as Planetary Computer has .tif.
        xml: content of the product's metadata: written as ESA does if empty, left out if None.
        tiles: one granule for each.
    """
    folder, level = root / name, "L1C" if "MSIL1C" in name else "L2A"
    every = [word for word in METRES if level == "L2A" or word != "SCL"]
    words = dict.fromkeys(every, 2000) | {"SCL": scl} if values is None else dict(values)
    stamp = name.split("_")[2]
    for tile in tiles:
        granule = folder / "GRANULE" / f"{level}_{tile}_A026649_{stamp}"
        for word, value in words.items():
            if level == "L1C":
                own = min(METRES[word])
                raster(granule / "IMG_DATA" / f"{tile}_{stamp}_{word}{suffix}", _flat(value, size * 10 // own), own)
            for metres in METRES[word] if level == "L2A" else ():
                file = granule / "IMG_DATA" / f"R{metres}m" / f"{tile}_{stamp}_{word}_{metres}m{suffix}"
                kind = np.uint8 if word == "SCL" else np.uint16
                raster(file, _flat(value, size * 10 // metres, kind), metres)
        (granule / "MTD_TL.xml").write_text(tile_xml(level, tile))
    if xml is not None:
        (folder / f"MTD_MSI{level}.xml").write_text(xml or product_xml(name))
    return folder


def _flat(value: int, size: int, dtype: Any = np.uint16) -> np.ndarray:
    return np.full((size, size), value, dtype)


def product_xml(
    name: str = SAFE, *, offsets: Mapping[int, float] | None = None, baseline: str = "", quantification: str = "10000"
) -> str:
    """Return MTD_MSIL2A.xml or MTD_MSIL1C.xml as ESA writes it, cut to what matters; offsets only from baseline 04.00 on."""
    parts = name.removesuffix(".SAFE").split("_")
    level, number = parts[1][3:], parts[3][1:]
    baseline = baseline or f"{number[:2]}.{number[2:]}"
    if offsets is None:
        offsets = dict.fromkeys(range(13), -1000) if float(baseline) >= 4 else {}
    values, tag = "BOA_ADD_OFFSET_VALUES_LIST", "BOA_ADD_OFFSET"
    if level == "L1C":
        values, tag = "Radiometric_Offset_List", "RADIO_ADD_OFFSET"
    listed = "".join(f'<{tag} band_id="{band}">{offset}</{tag}>' for band, offset in offsets.items())
    scale = f'<BOA_QUANTIFICATION_VALUE unit="none">{quantification}</BOA_QUANTIFICATION_VALUE>'
    scale = f"<QUANTIFICATION_VALUES_LIST>{scale}</QUANTIFICATION_VALUES_LIST>" if level == "L2A" else scale.replace("BOA_", "")
    physical = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12"]
    bands = "".join(f'<Spectral_Information bandId="{n}" physicalBand="{band}"/>' for n, band in enumerate(physical))
    day = f"{parts[2][:4]}-{parts[2][4:6]}-{parts[2][6:8]}"
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<n1:Level-{level[1:]}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level[1:]}.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>{day}T10:25:59.024Z</PRODUCT_START_TIME>
      <PRODUCT_URI>{name}</PRODUCT_URI>
      <PROCESSING_LEVEL>Level-{level[1:]}</PROCESSING_LEVEL>
      <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
      <Datatake datatakeIdentifier="G{parts[0]}_{parts[2]}_026649_N{baseline}">
        <SPACECRAFT_NAME>Sentinel-{parts[0][1:]}</SPACECRAFT_NAME>
        <DATATAKE_SENSING_START>{day}T10:25:59.024Z</DATATAKE_SENSING_START>
        <SENSING_ORBIT_NUMBER>{int(parts[4][1:])}</SENSING_ORBIT_NUMBER>
      </Datatake>
    </Product_Info>
    <Product_Image_Characteristics>
      <Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>
      <Special_Values><SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX></Special_Values>
      {scale}
      {f"<{values}>{listed}</{values}>" if offsets else ""}
      <Spectral_Information_List>{bands}</Spectral_Information_List>
    </Product_Image_Characteristics>
  </n1:General_Info>
  <n1:Quality_Indicators_Info><Cloud_Coverage_Assessment>12.5</Cloud_Coverage_Assessment></n1:Quality_Indicators_Info>
</n1:Level-{level[1:]}_User_Product>
"""


def tile_xml(level: str = "L2A", tile: str = "T32UQC", baseline: str = "04.00") -> str:
    """Return MTD_TL.xml, cut to what matters."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<n1:Level-{level[1:]}_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-{level[1:]}_Tile_Metadata.xsd">
  <n1:General_Info>
    <TILE_ID>S2B_OPER_MSI_{level}_TL_ESRI_20220413T134700_A026649_{tile}_N{baseline}</TILE_ID>
    <SENSING_TIME>2022-04-13T10:30:21.000Z</SENSING_TIME>
  </n1:General_Info>
  <n1:Geometric_Info><Tile_Angles><Mean_Sun_Angle><ZENITH_ANGLE unit="deg">43.25</ZENITH_ANGLE></Mean_Sun_Angle></Tile_Angles>
  </n1:Geometric_Info>
</n1:Level-{level[1:]}_Tile_ID>
"""


def landsat(
    root: Path,
    product: str = LANDSAT,
    *,
    values: Mapping[str, int] | None = None,
    mtl: Sequence[str] = ("json",),
    size: int = 20,
    qa: int | None = 21824,
    folder: bool = True,
) -> Path:
    """Write a Landsat product of Collection 2; pixels of one value for each part (`SR_B4`, `ST_B10`, or `B4` at level 1).

    Args:
        root: folder that the product, or its files if `folder` is False, go into.
        product: its id.
        values: digital numbers by part; the bands of level 2 of Landsat 8 where not given.
        mtl: the forms of its metadata: json, xml, txt.
        size: in pixels.
        qa: value of QA_PIXEL (21824 is clear land), with a QA_RADSAT of 0; None for neither.
        folder: False to leave out the folder of the product's name.
    """
    place = root / product if folder else root
    place.mkdir(parents=True, exist_ok=True)
    parts = dict.fromkeys([f"SR_B{n}" for n in range(1, 8)] + ["ST_B10"], 12000) if values is None else dict(values)
    for part, value in (parts | ({"QA_PIXEL": qa, "QA_RADSAT": 0} if qa is not None else {})).items():
        raster(place / f"{product}_{part}.TIF", _flat(value, size), 30)
    for form in mtl:
        (place / f"{product}_MTL.{form}").write_text(mtl_text(product, form))
    return place


def mtl_groups(product: str = LANDSAT) -> dict[str, dict[str, str]]:
    """Return the groups of an MTL file, cut to what matters; level 2 has those of level 1 as well."""
    day = product.split("_")[3]
    level1: dict[str, str] = {}
    level2: dict[str, str] = {}
    for n in range(1, 10):
        level1 |= {f"REFLECTANCE_MULT_BAND_{n}": "2.0000E-05", f"REFLECTANCE_ADD_BAND_{n}": "-0.100000"}
        level2 |= {f"REFLECTANCE_MULT_BAND_{n}": "2.75e-05", f"REFLECTANCE_ADD_BAND_{n}": "-0.2"} if n < 8 else {}
    number = product[3]
    thermal = "ST_B10" if number in "89" else "ST_B6"
    return {
        "PRODUCT_CONTENTS": {"LANDSAT_PRODUCT_ID": product, "PROCESSING_LEVEL": product.split("_")[1], "COLLECTION_NUMBER": "02"},
        "IMAGE_ATTRIBUTES": {
            "SPACECRAFT_ID": f"LANDSAT_{number}",
            "DATE_ACQUIRED": f"{day[:4]}-{day[4:6]}-{day[6:]}",
            "CLOUD_COVER": "7.25",
            "SUN_ELEVATION": "30.00000000",
        },
        **({"LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": level2} if "_L2" in product else {}),
        "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS": {
            f"TEMPERATURE_MULT_BAND_{thermal}": "0.00341802",
            f"TEMPERATURE_ADD_BAND_{thermal}": "149.0",
        },
        "LEVEL1_RADIOMETRIC_RESCALING": level1,
    }


def mtl_text(product: str = LANDSAT, form: str = "json") -> str:
    """Return an MTL file as json, xml or txt."""
    groups = mtl_groups(product)
    if form == "json":
        return json.dumps({"LANDSAT_METADATA_FILE": groups})
    if form == "xml":
        inner = "".join(f"<{g}>{''.join(f'<{k}>{v}</{k}>' for k, v in of.items())}</{g}>" for g, of in groups.items())
        return f'<?xml version="1.0" encoding="UTF-8"?><LANDSAT_METADATA_FILE>{inner}</LANDSAT_METADATA_FILE>'
    lines = ["GROUP = LANDSAT_METADATA_FILE"]
    for group, of in groups.items():
        lines += [f"  GROUP = {group}", *(f'    {k} = "{v}"' for k, v in of.items()), f"  END_GROUP = {group}"]
    return "\n".join([*lines, "END_GROUP = LANDSAT_METADATA_FILE", "END"])


def stac_item(
    assets: Mapping[str, Mapping[str, Any]], *, id: str = "S2B_32UQC_20220413_0_L2A", collection: str = "", **properties: Any
) -> dict[str, Any]:
    """Return a STAC 1.0 item with `assets` and `properties` (`s2__mgrs_tile` for s2:mgrs_tile)."""
    facts = {name.replace("__", ":"): value for name, value in properties.items()}
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": facts.pop("stac_version", "1.0.0"),
        "stac_extensions": [],
        "id": id,
        "geometry": {"type": "Polygon", "coordinates": [[[10, 51], [10.1, 51], [10.1, 51.1], [10, 51.1], [10, 51]]]},
        "bbox": [10, 51, 10.1, 51.1],
        "properties": {"datetime": "2022-04-13T10:30:21Z", "platform": "sentinel-2b"} | facts,
        "links": [],
        "assets": {key: dict(asset) for key, asset in assets.items()},
    }
    return item | ({"collection": collection} if collection else {})


def stac_assets(folder: Path, values: Mapping[str, int], at: str = ".", **band: Any) -> dict[str, dict[str, Any]]:
    """Write a GeoTIFF for each band word of Sentinel-2 and return the assets, as Earth Search names them; SCL is a mask."""
    common = {"B02": "blue", "B03": "green", "B04": "red", "B05": "rededge1", "B08": "nir", "B8A": "nir08", "B11": "swir16"}
    assets: dict[str, dict[str, Any]] = {}
    for word, value in values.items():
        metres = METRES[word][0]
        raster(folder / at / f"{word}.tif", _flat(value, 600 // metres), metres, nodata=0)
        if word == "SCL":
            assets["scl"] = {
                "href": f"{at}/{word}.tif",
                "type": "image/tiff; application=geotiff",
                "roles": ["data", "reflectance"],
            }
        else:
            eo = {"name": common[word], "common_name": "rededge" if word == "B05" else common[word]}
            assets[common[word]] = {
                "href": f"{at}/{word}.tif",
                "type": "image/tiff; application=geotiff",
                "eo:bands": [eo],
                "raster:bands": [{"nodata": 0, "data_type": "uint16", "spatial_resolution": metres} | band],
                "roles": ["data", "reflectance"],
            }
    return assets


def catalog(folder: Path, links: Sequence[tuple[str, str]], *, id: str = "fields", kind: str = "Catalog") -> Path:
    """Write catalog.json or collection.json with (rel, href) links."""
    whole: dict[str, Any] = {
        "type": kind,
        "stac_version": "1.0.0",
        "id": id,
        "description": "Scenes of a farm.",
        "links": [{"rel": rel, "href": href} for rel, href in links],
    }
    if kind == "Collection":
        extent = {"spatial": {"bbox": [[10, 51, 11, 52]]}, "temporal": {"interval": [["2022-01-01T00:00:00Z", None]]}}
        whole |= {"license": "proprietary", "extent": extent}
    return write(folder / f"{kind.lower()}.json", whole)


def write(path: Path, value: Any) -> Path:
    """Write `value` as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path
