// What is wished of the face beside its voice: a mood, where it looks, its brows, and how much of it all.
// The server's side of it is engine/motion/controls.py.

const LOOK = 0.7; // of how far eyes can turn; all the way looks strained
const GAZES = { // gaze_left, gaze_up: to the person's own left, which is the onlooker's right; null is by itself
  itself: [null, null],
  ahead: [0, 0],
  left: [-LOOK, 0],
  right: [LOOK, 0],
  up: [0, LOOK],
  down: [0, -LOOK],
};

/** The controls message's `controls`, as the form's fields stand. */
export function wishesOf({ expressiveness, brows, mood, gaze, style, guidance }) {
  const [left, up] = GAZES[gaze.value];
  return {
    expressiveness: Number(expressiveness.value) / 100,
    brows: Number(brows.value) / 100,
    gaze_left: left,
    gaze_up: up,
    style: Number(style.value) / 100,
    guidance: Number(guidance.value) / 10,
    emotions: mood.value ? { [mood.value]: 1 } : {},
  };
}
