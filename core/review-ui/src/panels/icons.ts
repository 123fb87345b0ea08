/** Paths of the small pictures beside words, drawn in a square of 16. */
export const ICONS = {
  open: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Zm0 1.8a4.2 4.2 0 1 1 0 8.4 4.2 4.2 0 0 1 0-8.4Z",
  right: "M6.4 12.6 2.2 8.4l1.5-1.5 2.7 2.7 5.9-6 1.5 1.5Z",
  wrong: "m8 6.5 3.6-3.6 1.5 1.5L9.5 8l3.6 3.6-1.5 1.5L8 9.5l-3.6 3.6-1.5-1.5L6.5 8 2.9 4.4l1.5-1.5Z",
  unsure:
    "M7 11h2v2H7Zm1-9a3.6 3.6 0 0 1 3.7 3.5c0 1.5-.9 2.2-1.7 2.8C9.2 8.9 9 9.2 9 10H7c0-1.7.8-2.5 1.7-3.1.7-.5 1-.8 1-1.4A1.7 1.7 0 0 0 8 3.9c-1 0-1.7.6-1.7 1.6h-2A3.5 3.5 0 0 1 8 2Z",
  new: "M7 2.5h2V7h4.5v2H9v4.5H7V9H2.5V7H7Z",
  changed: "m2.5 11.2 7.6-7.6 2.3 2.3-7.6 7.6H2.5Zm8.5-8.5 1-1a1 1 0 0 1 1.4 0l.9.9a1 1 0 0 1 0 1.4l-1 1Z",
  settled: "M8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z",
  warn: "M8 1.8 15 14H1Zm-.9 4.4.2 4h1.4l.2-4Zm.1 5v1.6h1.6v-1.6Z",
} as const;

export type IconName = keyof typeof ICONS;
