"""Decode JPEG frames with GDCM for the process that started this one: GDCM aborts its whole process on some damage.

A request on the standard input is two lengths (uint32), a JSON object and the encoded frame; the answer, a length and bytes.
"""

from __future__ import annotations

import json
import struct
import sys
from typing import Any


def decode(about: dict[str, Any], data: bytes) -> bytes:
    """Return the plain little-endian bytes of one frame; `about` holds the header's values, or names another decoder."""
    if about.get("decoder") == "openjpeg":
        from openjpeg.utils import decode_pixel_data

        return bytes(decode_pixel_data(data, version=2))
    import gdcm

    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((about["columns"], about["rows"], 1))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(about["syntax"])))
    kind = gdcm.PhotometricInterpretation.GetPIType(about["photometric"] or "MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    stored = about["stored"]
    image.SetPixelFormat(gdcm.PixelFormat(about["samples"], about["allocated"], stored, stored - 1, int(about["signed"])))
    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(data)
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image.SetDataElement(element)
    plain: str = image.GetBuffer()  # its bindings give bytes as text
    return plain.encode("utf-8", "surrogateescape")


def main() -> None:
    """Answer requests until the input ends."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(lengths := source.read(8)) == 8:
        words, size = struct.unpack("<II", lengths)
        plain = decode(json.loads(source.read(words)), source.read(size))
        sink.write(struct.pack("<I", len(plain)) + plain)
        sink.flush()


if __name__ == "__main__":
    main()
