/** Every command of the page, with the keys that it has until somebody changes them. */

export interface Rule {
  text: string;
  keys: readonly string[];
  /** Decides: never repeats while held, and not within 120 ms of another decision. */
  decides?: true;
  /** Repeats while the key is held. */
  repeats?: true;
  /** Acts while held: the handler hears of the release too (`press.down` false). */
  hold?: true;
}

const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9"] as const;

/** Every command with its keys, by scope. Names are unique over all scopes. "1" to "9" reach the handler as `press.digit`. */
export const COMMANDS = {
  global: {
    undo: { text: "Undo, also across items", keys: ["z", "Ctrl+z"] },
    redo: { text: "Redo", keys: ["Shift+z", "Ctrl+Shift+z", "Ctrl+y"] },
    help: { text: "Show all keys", keys: ["?"] },
    queue: { text: "Back to the queue", keys: ["Shift+q"] },
  },
  queue: {
    begin: { text: "Start", keys: ["Enter"], decides: true },
    openGrid: { text: "Open the grid", keys: ["g"] },
  },
  item: {
    accept: { text: "Accept the label, go to the next", keys: ["a"], decides: true },
    acceptItem: { text: "Accept the item as shown", keys: ["Enter"], decides: true },
    repair: { text: "Wrong: to be repaired", keys: ["x"], decides: true },
    reject: { text: "Nothing is there: remove", keys: ["Delete", "Backspace"], decides: true },
    unsure: { text: "Unsure: ask a second person", keys: ["Space"], decides: true },
    edit: { text: "Edit the label", keys: ["e"] },
    class: { text: "Set the class", keys: DIGITS },
    classSearch: { text: "Search a class", keys: ["/"] },
    nextObject: { text: "Next label, least sure first", keys: ["Tab"], repeats: true },
    previousObject: { text: "Previous label", keys: ["Shift+Tab"], repeats: true },
    previous: { text: "Previous item", keys: ["d"] },
    next: { text: "Next item", keys: ["f"] },
    hide: { text: "Hide the labels while held", keys: ["h"], hold: true },
    why: { text: "Why is this shown", keys: ["w"] },
    note: { text: "Write a note", keys: ["m"] },
    attributes: { text: "Go to the attributes", keys: ["y"] },
    grid: { text: "Grid of this class", keys: ["g"] },
    box: { text: "Draw a box", keys: ["b"] },
    rotatedBox: { text: "Draw a rotated box", keys: ["t"] },
    polygon: { text: "Draw a polygon", keys: ["p"] },
    polyline: { text: "Draw a line", keys: ["l"] },
    keypoints: { text: "Draw keypoints", keys: ["k"] },
    point: { text: "Set a point", keys: ["o"] },
    mask: { text: "Paint a mask", keys: ["r"] },
    cuboid: { text: "Draw a cuboid", keys: ["q"] },
    tag: { text: "Tag the image", keys: ["n"] },
    brushSmaller: { text: "Smaller brush", keys: ["["], repeats: true },
    brushLarger: { text: "Larger brush", keys: ["]"], repeats: true },
    zoomIn: { text: "Zoom in", keys: ["+", "="], repeats: true },
    zoomOut: { text: "Zoom out", keys: ["-"], repeats: true },
    fit: { text: "Show the whole picture", keys: ["0"] },
    coordinates: { text: "Type the coordinates of a point", keys: ["i"] },
    otherDate: { text: "See the other date while held", keys: ["c"], hold: true },
    swipe: { text: "Swipe between the two dates", keys: ["u"] },
    dateBack: { text: "Compare with a date before", keys: [","] },
    dateOn: { text: "Compare with a date after", keys: ["."] },
    cancel: { text: "Stop drawing, select nothing", keys: ["Escape"] },
  },
  grid: {
    mark: { text: "Mark as wrong, or unmark", keys: ["x", "Space"] },
    confirm: { text: "Confirm: unmarked are right, marked go to repair", keys: ["Enter"], decides: true },
    nothing: { text: "Confirm: in the marked ones nothing is there", keys: ["Delete", "Backspace"], decides: true },
    outline: { text: "Hide the outlines while held", keys: ["h"], hold: true },
    left: { text: "Left", keys: ["ArrowLeft"], repeats: true },
    right: { text: "Right", keys: ["ArrowRight"], repeats: true },
    up: { text: "Up", keys: ["ArrowUp"], repeats: true },
    down: { text: "Down", keys: ["ArrowDown"], repeats: true },
    openItem: { text: "Open the whole picture", keys: ["g"] },
    rename: { text: "Call the marked crops, or this one, something else", keys: ["n"] },
    recentName: { text: "Give them a name that was given before", keys: DIGITS, decides: true },
    mergeName: { text: "Merge this name into another", keys: ["m"] },
    sortCrops: { text: "Most doubtful first, or surest first", keys: ["s"] },
  },
  volume: {
    sliceBack: { text: "Previous slice", keys: [","], repeats: true },
    sliceOn: { text: "Next slice", keys: ["."], repeats: true },
    sliceBack10: { text: "10 slices back", keys: ["<", "PageUp"], repeats: true },
    sliceOn10: { text: "10 slices on", keys: [">", "PageDown"], repeats: true },
    crossMove: { text: "Move the cross", keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], repeats: true },
    crossJump: {
      text: "Move the cross by 10",
      keys: ["Shift+ArrowLeft", "Shift+ArrowRight", "Shift+ArrowUp", "Shift+ArrowDown"],
      repeats: true,
    },
    axis: { text: "Next direction of view", keys: ["v"] },
    sliceRight: { text: "This slice of the structure is right", keys: ["u"] },
    rangeRight: { text: "Right up to here, from the slice marked last", keys: ["Shift+u"] },
    window: { text: "Window preset", keys: DIGITS.slice(0, 7) },
    newMask: { text: "New structure", keys: ["n"] },
    paintDot: { text: "Paint a dot at the cross", keys: ["p"], repeats: true },
    eraseDot: { text: "Erase a dot at the cross", keys: ["Shift+p"], repeats: true },
    eraseMask: { text: "Erase", keys: ["e"] },
    clickTool: { text: "Click to outline a structure", keys: ["s"] },
    clickInside: { text: "Click at the cross: it belongs", keys: ["o"] },
    clickOutside: { text: "Click at the cross: it does not belong", keys: ["Shift+o"] },
    limitBrush: { text: "Paint only a range of values", keys: ["t"] },
    fillMask: { text: "Fill", keys: ["f"] },
    copySlice: { text: "Copy the mask of the previous slice", keys: ["c"] },
    copyNextSlice: { text: "Copy the mask of the next slice", keys: ["Shift+c"] },
    interpolateSlices: { text: "Interpolate between painted slices", keys: ["i"] },
    nextVolume: { text: "Next item", keys: ["Shift+f"] },
  },
  video: {
    play: { text: "Play or pause", keys: ["Space"] },
    frameBack: { text: "Previous frame", keys: [","], repeats: true },
    frameOn: { text: "Next frame", keys: ["."], repeats: true },
    frameBack10: { text: "10 frames back", keys: ["Shift+,", "<", ";"], repeats: true },
    frameOn10: { text: "10 frames on", keys: ["Shift+.", ">", ":"], repeats: true },
    firstFrame: { text: "First frame", keys: ["Home"] },
    lastFrame: { text: "Last frame", keys: ["End"] },
    previousKeyframe: { text: "Previous keyframe", keys: ["k"], repeats: true },
    nextKeyframe: { text: "Next keyframe", keys: ["l"], repeats: true },
    nextSuspect: { text: "Next suspect frame", keys: ["j"] },
    previousSuspect: { text: "Previous suspect frame", keys: ["Shift+j"] },
    split: { text: "Split the track here", keys: ["s"] },
    merge: { text: "Merge with another track", keys: ["m"] },
    interpolate: { text: "Interpolate between keyframes", keys: ["i"] },
    outside: { text: "Outside from here on", keys: ["o"] },
    occluded: { text: "Occluded, from here on", keys: ["c"] },
    deleteTrack: {
      text: "Nothing is there: remove the whole track",
      keys: ["Shift+Delete", "Shift+Backspace"],
      decides: true,
    },
    unsureTrack: { text: "Unsure of the track or event: ask a second person", keys: ["u"], decides: true },
    yes: { text: "Yes: the event happened, or the track is the same all the way", keys: ["y"], decides: true },
    no: { text: "No: the event did not happen, or the track changes at this crop", keys: ["n"], decides: true },
    nextEvent: { text: "Next event, in a loop", keys: ["v"] },
    previousEvent: { text: "Previous event", keys: ["Shift+v"] },
    widerLoop: { text: "Longer loop around the event", keys: ["]"] },
    shorterLoop: { text: "Shorter loop", keys: ["["] },
    startHere: { text: "The event starts in this frame", keys: ["Shift+s"] },
    endHere: { text: "The event ends in this frame", keys: ["Shift+e"] },
    addEvent: { text: "Add an event from this frame on", keys: ["q"] },
    walk: { text: "Walk through the crops of the track", keys: ["r"] },
  },
} as const satisfies Record<string, Record<string, Rule>>;

export type Scope = keyof typeof COMMANDS;
export type Command = { [S in Scope]: keyof (typeof COMMANDS)[S] }[Scope] & string;
