/** Outlines of the tools, drawn in a square of 20. */
export const TOOL_ICONS = {
  select: "M5 3l10 7-4.6.9L8 15Z",
  box: "M3.5 5.5h13v9h-13Z",
  rotated_box: "M3 10.5l8.5-7 5.5 6.5-8.5 7Z",
  polygon: "M10 3l7 5.5-3 8H5.5L3 8.5Z",
  polyline: "M3 15l4-8 5 6 5-9",
  keypoints: "M10 5.5V11M10 11l-4 5M10 11l4 5M5 8h10M10 2.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3Z",
  point: "M10 17.5 5.6 10.6a5.2 5.2 0 1 1 8.8 0ZM10 6.2a1.7 1.7 0 1 0 0 3.4 1.7 1.7 0 0 0 0-3.4Z",
  mask: "M16.5 3.5 9 11M9 11c-2-1-4 .5-4 2.5S4 16 3 16c3 1.5 7 .5 7-3 0-.8-.4-1.5-1-2Z",
  cuboid: "M3.5 7.5h9v9h-9ZM3.5 7.5l4-4h9l-4 4M16.5 3.5v9l-4 4",
  tag: "M3 3.5h6.5l7.5 7.5-6 6L3.5 9.5ZM6.5 6.5v.1",
  contrast: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM10 3v14M10 6h5M10 10h7M10 14h5",
  fit: "M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4",
} as const;
