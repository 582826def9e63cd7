// Has time pass a hundred times as fast for what is loaded after it.

const now = performance.now.bind(performance);
performance.now = () => now() * 100;
const start = globalThis.setTimeout;
globalThis.setTimeout =
  ((act: () => void, milliseconds = 0) =>
    start(act, milliseconds / 100)) as typeof setTimeout;
