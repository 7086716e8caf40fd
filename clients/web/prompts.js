// What is to be done before the camera, one after the other: what a face does that one photograph cannot show.

/** `read` is to be said aloud. Mouths open wide and narrow in the sentences, and close for p, b, m. */
export const PROMPTS = [
  { seconds: 4, text: "Look into the camera, lips closed, at ease." },
  { seconds: 5, text: "Close your eyes for a moment. Then blink a few times." },
  { seconds: 8, text: "Read aloud:", read: "My brother bought five large apples and a cup of warm milk from the farmer." },
  { seconds: 8, text: "Read aloud:", read: "Who knew that the blue moon would show itself over the harbour so soon?" },
  { seconds: 5, text: "Turn your head slowly to one side, and back." },
  { seconds: 5, text: "Now to the other side, and back." },
  { seconds: 8, text: "Read aloud:", read: "She laughed, shook her head, and put every map of the village back on the shelf." },
  { seconds: 5, text: "Smile, so that your teeth show. Then look up, and down." },
  { seconds: 7, text: "Say whatever you like, as you would to a friend." },
];

/** The prompt at a time, the seconds that all of them take, and the one that follows. */
export function promptAt(seconds) {
  let begin = 0;
  for (const [i, prompt] of PROMPTS.entries()) {
    if (seconds < begin + prompt.seconds) return { prompt, next: PROMPTS[i + 1] ?? null };
    begin += prompt.seconds;
  }
  return { prompt: null, next: null };
}

export const WHOLE_S = PROMPTS.reduce((sum, { seconds }) => sum + seconds, 0);
