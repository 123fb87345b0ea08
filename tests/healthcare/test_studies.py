"""The loader stage: items of folders, files, DICOMDIR and fetched series; what it tells and what it must not."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image as Pillow

from exported_kit import series
from hyla.errors import BadItem, ConfigError
from hyla.frame import PatientFrame
from hyla.types import Item, item_id
from hyla_healthcare import burned_in, dicomweb, scan
from hyla_healthcare.deidentify import Gate
from hyla_healthcare.studies import Studies
from series_kit import datasets, volume, write

SECRETS = ("MRN-4711", "Roe", "Doe", "19600102", "20200304", "1.2.3.4", "1.2.3.1", "1.2.3.9", "ACC-99")


def items(stage, source):
    return list(stage.items(str(source)) or ())


def one_item(stage, source):
    [item] = items(stage, source)
    return item


def picture(rows=16, columns=24, **more):
    """Return the dataset of a DX of 8 bits whose columns are a ramp."""
    [one] = series(1, (rows, columns), **{"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "Modality": "DX"} | more)
    del one.ImagePositionPatient, one.ImageOrientationPatient
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
    one.PixelRepresentation, one.BitsAllocated, one.BitsStored, one.HighBit = 0, 8, 8, 7
    one.PixelData = np.tile(np.arange(columns, dtype=np.uint8) * 10, (rows, 1)).tobytes()
    one["PixelData"].VR = "OW"
    for name, value in more.items():
        setattr(one, name, value)
    return one


def test_a_series_becomes_a_volume_in_patient_space(tmp_path):
    stored = volume()
    found = datasets(stored, RescaleIntercept=-24, WindowCenter=40, WindowWidth=400, KVP=120, ConvolutionKernel="B30f")
    write(tmp_path / "Roe^Jane", found)
    stage, gate = Studies(), Gate()
    item = one_item(stage, tmp_path)
    assert item.uri == f"ct/{gate.uid('1.2.3.4')}"
    assert (item.id, item.kind, item.group) == (item_id(item.uri), "series", "")
    wanted = {
        "modality": "CT", "series": gate.uid("1.2.3.4"), "study": gate.uid("1.2.3.1"), "patient": gate.patient("MRN-4711"),
        "reference": gate.uid("1.2.3.9"), "slices": 6, "spacing_mm": [2.5, 0.75, 0.5], "missing": 0, "duplicates": 0,
        "kernel": "B30f", "contrast": "no", "kvp": 120.0, "child": False, "window": [40.0, 400.0], "unit": "HU",
        "derived": False, "localizer": False, "sop_class": "1.2.840.10008.5.1.4.1.1.2", "transfer_syntax": "1.2.840.10008.1.2.1",
    }  # fmt: skip
    assert {name: item.meta.get(name) for name in wanted} == wanted
    assert json.loads(json.dumps(dict(item.meta))) == item.meta
    image = stage.load(item)
    assert image.volume
    assert np.array_equal(image.pixels, stored - 24)
    assert isinstance(image.frame, PatientFrame)
    assert image.frame.reference == gate.uid("1.2.3.9")
    assert np.allclose(image.frame.to_world([[0.5, 0.5, 2]]), [[-10, -20, 35]])
    assert image.context["modality"] == "CT"
    assert image.context["window"] == [40.0, 400.0]


def test_nothing_of_a_patient_leaves_the_loader(tmp_path, caplog, capfd):
    said = {"SeriesDescription": "Roe Jane", "ImageComments": "4711", "ManufacturerModelName": "unit of Dr. Doe 19600102"}
    found = datasets(volume(), ConvolutionKernel="MRN-4711", BodyPartExamined="JANE ROE^JANE", **said)
    write(tmp_path / "Roe", found, [f"MRN-4711-{n}" for n in range(6)])
    write(tmp_path, [picture(SOPInstanceUID="1.2.3.4.77", SeriesInstanceUID="1.2.3.7")], ["Roe.dcm"])
    (tmp_path / "Roe-19600102.dcm").write_bytes(b"")
    stage = Studies(ocr="never")
    told = ""
    for item in items(stage, tmp_path):
        told += repr(item)
        try:
            image = stage.load(item)
            told += repr((image.frame, image.context))
        except BadItem as error:
            told += str(error)
    told += caplog.text + "".join(capfd.readouterr())
    assert told.count("Item(") >= 3
    for secret in SECRETS:
        assert secret not in told


def test_ids_depend_neither_on_names_nor_on_the_machine(tmp_path):
    found = [*datasets(volume()), picture(SOPInstanceUID="1.2.3.4.77", SeriesInstanceUID="1.2.3.7")]
    write(tmp_path / "a" / "deep", found)
    write(tmp_path / "b", found[::-1])
    first, second = ({i.id: i.meta for i in items(Studies(), tmp_path / name)} for name in "ab")
    assert len(first) == 2
    assert first == second


def test_items_can_be_loaded_at_random_without_listing_them_and_from_several_threads(tmp_path):
    stored = volume()
    for n in range(4):
        write(tmp_path / str(n), datasets(stored + n, SeriesInstanceUID=f"1.2.3.4.{n}"))
    listed = items(Studies(), tmp_path)
    fresh = Studies()
    assert fresh.items(str(tmp_path)) is not None  # a generator that nobody asks for anything
    with ThreadPoolExecutor(4) as pool:
        images = list(pool.map(fresh.load, [*listed[::-1], *listed]))
    sums = [int(image.pixels.sum(dtype=np.int64) - stored.sum(dtype=np.int64)) // stored.size for image in images]
    assert sums == [3, 2, 1, 0, 0, 1, 2, 3]
    with pytest.raises(BadItem, match="does not hold this item"):
        fresh.load(Item("gone", "ct/gone"))


def test_originals_are_the_headers_in_the_order_of_the_slices(tmp_path):
    write(tmp_path, datasets(volume())[::-1])
    item = one_item(Studies(), tmp_path)
    stage = Studies()
    stage.items(str(tmp_path))
    headers = stage.originals(item)
    assert [float(h.ImagePositionPatient[2]) for h in headers] == [30, 32.5, 35, 37.5, 40, 42.5]
    assert {h.PatientID for h in headers} == {"MRN-4711"}
    assert not any("PixelData" in h for h in headers)


def test_what_is_not_its_kind_is_left_to_other_loaders(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    for source in (tmp_path / "notes.txt", tmp_path / "nowhere", "https://host/x"):
        assert Studies().items(str(source)) is None


def test_a_series_of_two_frames_of_reference_is_one_item_that_is_refused(tmp_path):
    found = datasets(volume())
    found[3].FrameOfReferenceUID = "1.2.3.10"
    write(tmp_path, found)
    stage = Studies()
    with pytest.raises(BadItem, match="mixes 2 values of FrameOfReferenceUID"):
        stage.load(one_item(stage, tmp_path))


def test_two_echoes_are_two_items_of_one_series(tmp_path):
    both = []
    for echo in (1, 2):
        for one in datasets(volume(seed=echo), EchoNumbers=echo, Modality="MR"):
            one.SOPInstanceUID += f".{echo}"
            one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
            both.append(one)
    write(tmp_path, both)
    stage, uri = Studies(), f"mr/{Gate().uid('1.2.3.4')}"
    found = items(stage, tmp_path)
    assert [i.uri for i in found] == [f"{uri}/1", f"{uri}/2"]
    for echo, item in enumerate(found, 1):
        assert np.array_equal(stage.load(item).pixels, volume(seed=echo))


@pytest.mark.parametrize(("photometric", "wanted"), [("MONOCHROME2", 230), ("MONOCHROME1", 0)])
def test_a_radiograph_is_shown_as_a_reader_sees_it(tmp_path, photometric, wanted):
    write(tmp_path, [picture(PhotometricInterpretation=photometric, WindowCenter=115.5, WindowWidth=231)])
    stage = Studies(ocr="never")
    item = one_item(stage, tmp_path)
    image = stage.load(item)
    assert (item.kind, item.meta["pixel_spacing_mm"], image.pixels.shape, image.pixels.dtype) == (
        "radiograph", [0.75, 0.5], (16, 24, 1), np.uint8,
    )  # fmt: skip
    row = image.pixels[0, :, 0].astype(int)
    assert (row[-1], row[0]) == ((255, 0) if wanted else (0, 255))
    assert (np.diff(row) != 0).all()
    assert "window" not in image.context


def test_frames_of_a_loop_are_the_items_of_one_group(tmp_path):
    one = picture(NumberOfFrames=3, SOPClassUID="1.2.840.10008.5.1.4.1.1.3.1", Modality="US")
    one.PixelData = np.repeat(np.arange(3, dtype=np.uint8) * 50 + 10, 16 * 24).tobytes()
    one.WindowCenter, one.WindowWidth = 128, 256
    write(tmp_path, [one])
    stage = Studies(ocr="never")
    found = items(stage, tmp_path)
    assert [(i.index, i.kind, i.group == i.uri) for i in found] == [(n, "image", True) for n in range(3)]
    assert [int(stage.load(i).pixels[0, 0, 0]) for i in found] == [10, 60, 110]


def test_samples_that_would_fill_the_memory_are_refused_before(tmp_path):
    write(tmp_path, [picture(SamplesPerPixel=60000, PlanarConfiguration=0, PhotometricInterpretation="RGB")])
    stage = Studies(ocr="never")
    with pytest.raises(BadItem, match="bytes of pixels, at least"):
        stage.load(one_item(stage, tmp_path))


def test_burned_in_text_is_blacked_out_and_told(tmp_path, monkeypatch):
    write(tmp_path, [picture(BurnedInAnnotation="YES")])
    monkeypatch.setattr(burned_in, "available", lambda: True)
    monkeypatch.setattr(burned_in, "regions", lambda pixels: [(8, 4, 16, 8)])
    stage = Studies()
    image = stage.load(one_item(stage, tmp_path))
    assert image.context["burned_in_text"] == "1 region blacked out"
    assert image.context["text_regions"] == [[8, 4, 16, 8]]
    assert not image.pixels[4:8, 8:16].any()
    write(tmp_path, [picture(BurnedInAnnotation="NO")])
    stage = Studies()
    assert "burned_in_text" not in stage.load(one_item(stage, tmp_path)).context


def test_pictures_and_nifti_of_the_folder_come_too(tmp_path):
    from hyla_healthcare import nifti

    Pillow.fromarray(np.full((8, 9), 77, np.uint8)).save(tmp_path / "chest.png")
    nifti.write(tmp_path / "head.nii.gz", np.zeros((3, 4, 5), np.int16), np.eye(4))
    write(tmp_path / "zz", datasets(volume()))
    stage = Studies()
    found = items(stage, tmp_path)
    assert [(i.uri.split("/")[0], i.kind) for i in found] == [("chest.png", "image"), ("head.nii.gz", "series"), ("ct", "series")]
    assert [stage.load(i).pixels.shape for i in found] == [(8, 9, 3), (3, 4, 5), (6, 40, 32)]
    assert stage.originals(found[0]) == stage.originals(found[1]) == []
    assert items(Studies(modality="CT"), tmp_path)[1].meta["unit"] == "HU"


def test_a_dicomdir_stands_for_its_folder_and_tells_what_is_missing(shared):
    stage = Studies()
    found = items(stage, shared / "data/healthcare/dicomdir/DICOMDIR")
    assert len([i for i in found if "error" not in i.meta]) == len(
        [i for i in items(Studies(), shared / "data/healthcare/dicomdir") if "error" not in i.meta]
    )


def test_the_number_of_missing_files_of_a_dicomdir_is_told(tmp_path, shared):
    source = shared / "data/healthcare/dicomdir/DICOMDIR"
    (tmp_path / "DICOMDIR").write_bytes(source.read_bytes())
    stage = Studies()
    with pytest.raises(BadItem, match="lists 31 files that are not there"):
        stage.load(one_item(stage, tmp_path / "DICOMDIR"))


def test_series_of_an_archive_are_loaded_when_they_are_wanted(monkeypatch):
    stored, asked = volume(), []

    def fetch():
        asked.append(1)
        return datasets(stored)[::-1]

    monkeypatch.setattr(dicomweb, "series", lambda source, query, timeout: iter([scan.Series.of(series(6), fetch)]))
    stage = Studies()
    item = one_item(stage, "dicomweb+https://archive/dicom-web?Modality=CT")
    assert (item.meta["slices"], asked) == (6, [])
    assert np.array_equal(stage.load(item).pixels, stored)
    assert [float(h.ImagePositionPatient[2]) for h in stage.originals(item)] == [30, 32.5, 35, 37.5, 40, 42.5]
    assert asked == [1]


def test_settings_that_can_not_be_are_refused():
    with pytest.raises(ConfigError, match="threads"):
        Studies(threads=0)
    with pytest.raises(ConfigError, match="ocr"):
        Studies(ocr="maybe")


def test_age_comes_from_the_age_or_from_the_dates(tmp_path):
    ages = {"017Y": True, "018Y": False, "011M": True, "240M": False}
    births = {"20020305": True, "20020304": False, "": None}
    told = [({"PatientAge": age}, wanted) for age, wanted in ages.items()]
    told += [({"PatientBirthDate": birth}, wanted) for birth, wanted in births.items()]
    for n, (more, wanted) in enumerate(told):
        folder = tmp_path / str(n)
        write(folder, datasets(volume(2), **more))
        assert one_item(Studies(), folder).meta.get("child") is wanted
