"""Read pictures that nobody vouches for, and folders of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageFile

from hyla.errors import BadItem, ConfigError
from hyla.hooks import Loader, hookimpl
from hyla.types import Image, Item, item_id

Pixels = npt.NDArray[np.uint8]

# Formats of pictures that Pillow decodes by itself: no EPS, which would start Ghostscript, and no containers of other things.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".avif"),
)
MAX_PIXELS = 200_000_000
ORIENTATION = 0x0112  # EXIF 2.32, tag Orientation
# Orientation -> quarter turns against the clock, then whether to mirror left and right.
TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}


class Folder(Loader):
    """Load the pictures of a folder and its subfolders, or a single picture; each stands alone.

    Hidden files, linked folders and links that lead out of the source are passed over. A file that has the extension of a picture
    but is none becomes an item all the same, so that it is quarantined with a reason and counted.

    Args:
        extensions: of the files to take, in lower case with the dot.
        max_pixels: refuse a picture with more, before it is decoded.
    """

    def __init__(self, extensions: Collection[str] = EXTENSIONS, max_pixels: int = MAX_PIXELS) -> None:
        self.extensions = frozenset(e.lower() for e in extensions)
        self.max_pixels = max_pixels
        self.root = Path()

    @hookimpl
    def items(self, source: str) -> Iterator[Item] | None:
        """Return one item per picture, sorted by path; None unless `source` is a folder or a file with a known extension."""
        found = files(source, self.extensions)
        if found is None:
            return None
        self.root, uris = found
        return (Item(item_id(uri), uri) for uri in uris)

    @hookimpl
    def load(self, item: Item) -> Image:
        """Return the picture as (H, W, 3) RGB; raise BadItem where `read_image` does."""
        return Image(read_image(inside(self.root, item.uri), self.max_pixels), item)


def files(source: str, extensions: Collection[str]) -> tuple[Path, Iterator[str]] | None:
    """Return the resolved root of a local source and, lazily, the files in it as sorted paths relative to that root, with /.

    A source that is one file has its folder as root. None if `source` is neither a folder nor a file with one of `extensions`.
    Hidden files, linked folders and links that lead out of the source are left out.

    Raises:
        ConfigError: while iterating, for a subfolder that can't be read.
    """
    if "://" in source:
        return None
    path = Path(source).expanduser().resolve()
    if path.is_dir():
        return path, _walk(path, "", frozenset(extensions))
    if path.is_file() and path.suffix.lower() in extensions:
        return path.parent, iter([_readable(path.name)])
    return None


def beside(root: Path, uri: str, extensions: Collection[str]) -> list[str]:
    """Return the sorted names of the files in the folder of `uri`, below `root` (resolved), as `files` lists them."""
    folder = (root / uri).parent
    with os.scandir(folder) as entries:
        own = [e for e in entries if not e.name.startswith(".") and Path(e.name).suffix.lower() in extensions]
        return sorted(_readable(e.name) for e in own if _is_own_file(e, root))


def inside(root: Path, uri: str) -> Path:
    """Return the file that `uri` names below `root` (resolved); raise BadItem if it lies elsewhere, as `../x` does."""
    try:
        path = (root / uri).resolve()
    except (OSError, ValueError) as error:
        raise BadItem(f"{uri!r} is no path of a file: {error}") from error
    if not path.is_relative_to(root):
        raise BadItem(f"{uri} lies outside the source", "copy the file into the source, or name its own folder as source")
    return path


def read_image(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Pixels:
    """Return the picture in a file as (H, W, 3) uint8 RGB, the right way up; see `opened` and `upright`.

    Raises:
        BadItem: for a file that is missing, empty, no picture, truncated, damaged, too large, or made of floating-point samples.
    """
    with opened(path, max_pixels) as picture:
        return upright(picture, Path(path).name)


@contextmanager
def opened(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Iterator[ImageFile.ImageFile]:
    """Open a picture whose header was read and nothing decoded: its size was checked. What fails inside is a BadItem too.

    Raises:
        BadItem: for a file that is missing, empty, no picture or too large, and for whatever a decoder makes of it.
    """
    path = Path(path)
    try:
        info = path.stat()
    except OSError as error:
        hint = "was it moved since the scan? a name must be UTF-8"
        raise BadItem(f"{path.name} can't be read: {error.strerror or error}", hint) from error
    if not stat.S_ISREG(info.st_mode):
        raise BadItem(f"{path.name} is not a file")
    if info.st_size == 0:
        raise BadItem(f"{path.name} is empty", "copy it again from where it came")
    try:
        with path.open("rb") as stream:
            picture = _open(stream, path.name)
            width, height = picture.size
            if width * height > max_pixels:
                raise BadItem(
                    f"{path.name} has {width} x {height} pixels, more than max_pixels={max_pixels}",
                    "raise max_pixels of the loader if the file is to be trusted",
                )
            yield picture
    except BadItem:
        raise
    except Exception as error:  # a decoder may fail on damage anywhere: OSError, SyntaxError, struct.error, MemoryError...
        reason = str(error) or type(error).__name__
        raise BadItem(f"{path.name} can't be decoded: {reason}", "copy it again from where it came") from error


def upright(picture: ImageFile.ImageFile, name: str) -> Pixels:
    """Decode a picture to (H, W, 3) uint8 RGB, the right way up.

    EXIF orientation is applied. CMYK, palette, grey and other modes become RGB; what is transparent is laid on white, as a page
    shows it; of 16-bit samples the high byte is kept, as libpng and OpenCV do; of an animation the first frame is taken.

    Args:
        picture: open, as `opened` gives it; a `draft` set on it holds.
        name: of the file, for errors.

    Raises:
        BadItem: for one made of floating-point samples.
    """
    return _upright(_rgb(picture, name), picture.getexif().get(ORIENTATION))


def _open(stream: Any, name: str) -> ImageFile.ImageFile:
    """Do as `PIL.Image.open`, with our own limit in place of its process-wide one, which warns and can't be set per thread."""
    prefix = stream.read(16)
    if not Pillow.OPEN.keys() >= set(FORMATS):
        Pillow.init()
    for form in FORMATS:
        factory, accepts = Pillow.OPEN.get(form, (None, None))
        if factory is not None and accepts is not None and accepts(prefix) is True:
            stream.seek(0)
            return factory(stream, name)
    raise BadItem(f"{name} is not a picture that Hyla reads", f"give one of {', '.join(FORMATS)}, or leave it out of the source")


def _rgb(picture: ImageFile.ImageFile, name: str) -> Pixels:
    picture.load()
    mode = picture.mode
    if mode == "F" or mode.startswith("I"):  # one grey band of floats, of 32 or of 16 bits
        values = np.asarray(picture)
        if mode == "F" or values.min() < 0 or values.max() > 65535:
            raise BadItem(f"{name} holds numbers of an unknown range, no grey values", "convert it to 8 or 16 bits per sample")
        return np.repeat((values >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    if picture.has_transparency_data:
        over = picture.convert("RGBA")
        white = Pillow.new("RGBA", over.size, "white")
        return np.array(Pillow.alpha_composite(white, over).convert("RGB"))
    return np.array(picture if mode == "RGB" else picture.convert("RGB"))


def _upright(pixels: Pixels, orientation: Any) -> Pixels:
    """Apply an EXIF orientation; an unknown one changes nothing."""
    if orientation not in TURNS:
        return pixels
    turns, mirrored = TURNS[orientation]
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def _walk(root: Path, prefix: str, extensions: frozenset[str]) -> Iterator[str]:
    folder = root / prefix
    try:
        with os.scandir(folder) as entries:
            listed = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise ConfigError(f"{folder} can't be read: {error.strerror}", "give read permission, or name another source") from error
    for entry in listed:
        uri = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, f"{uri}/", extensions)
        elif Path(entry.name).suffix.lower() in extensions and _is_own_file(entry, root):
            yield _readable(uri)


def _is_own_file(entry: os.DirEntry[str], root: Path) -> bool:
    """Tell whether an entry is a regular file, or a link to one inside the source: never a pipe or a device, which may hang."""
    try:
        return entry.is_file() and (not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(root))
    except (OSError, RuntimeError):  # a link that leads to itself
        return False


def _readable(uri: str) -> str:
    """Return a name that can be stored: bytes that are no UTF-8 are spelt out, and loading the file then gives BadItem."""
    return uri.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
