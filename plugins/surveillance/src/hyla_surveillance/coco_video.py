"""COCO-VID, in and out: COCO with videos and tracks, as two families of readers take it.

- COCO-VID of mmtracking: images have `video_id` and `frame_id`, from 0; annotations have `video_id` and `instance_id`.
- TAO (Dave et al. 2020, https://taodataset.org), whose reader in TrackEval the tests use: `tracks` beside, `track_id` and
  `video_id` of annotations, `frame_index` of images, and of videos which classes were not looked for: none.

Numbers of tracks are unique in the file, as both ask; `hyla_track` is the number within the clip. All else is as
`hyla.formats.coco` has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hyla.formats.coco import Coco
from hyla.hooks import hookimpl
from hyla.schema import Schema
from hyla.types import Record


class CocoVideo(Coco):
    """Read and write COCO-VID.

    Args:
        file: name of the JSON file in the folder that is written.
        unknown: `error` to refuse classes, attributes and tracks that the schema does not have, `skip` to leave them out.
    """

    name = "coco_video"

    def __init__(self, file: str = "videos.json", unknown: str = "error") -> None:
        super().__init__(file, unknown)
        self._tracks: dict[tuple[str, int], dict[str, Any]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write `out`/videos.json as the records come, and return what is lost. An event is a track too, as a tag: it is lost."""
        self._tracks, self._sizes = {}, {}
        return super().export(records, schema, out)

    def image(self, number: int, one: Record, videos: dict[str, int]) -> dict[str, Any]:
        """Return the entry of a frame."""
        entry = super().image(number, one, videos)
        if one.item.group:
            entry["frame_index"] = one.item.index
            self._sizes.setdefault(one.item.group, (int(one.size[-2]), int(one.size[-1])))
        return entry

    def annotation(self, entry: dict[str, Any], one: Record, videos: Mapping[str, int]) -> dict[str, Any]:
        """Return the entry of a label, with its video and the number of its track in the file."""
        if one.item.group:
            entry["video_id"] = videos[one.item.group]
        if (own := entry.pop("track_id", None)) is not None:
            new = {"id": len(self._tracks) + 1, "category_id": entry["category_id"], "hyla_track": own}
            if one.item.group:
                new["video_id"] = videos[one.item.group]
            told = self._tracks.setdefault((one.item.group or one.item.id, own), new)
            entry |= {"track_id": told["id"], "instance_id": told["id"]}
        return entry

    def beside(self, videos: Mapping[str, int]) -> dict[str, Any]:
        """Return the videos and the tracks."""
        listed = []
        for name, number in videos.items():
            height, width = self._sizes[name]
            about = {"id": number, "name": name, "height": height, "width": width}
            listed.append({**about, "neg_category_ids": [], "not_exhaustive_category_ids": []})
        return {"videos": listed, "tracks": list(self._tracks.values())}
