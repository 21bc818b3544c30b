// Loaded into a process with --import: the wall clock is CHAOS_AHEAD_MS ahead, and on SIGUSR2 CHAOS_STEP_MS more.
// Only what the process itself reads moves. Timers and performance.now() stay, as they do when a real clock is
// stepped; the times of files stay too, which with a real clock they would not.
const stepMs = Number(process.env.CHAOS_STEP_MS);
const plainNow = Date.now;
let ahead = Number(process.env.CHAOS_AHEAD_MS);
Date.now = () => plainNow() + ahead;
globalThis.Date = class extends Date {
  constructor(...given) {
    super(...(given.length === 0 ? [plainNow() + ahead] : given));
  }
};
process.on('SIGUSR2', () => {
  ahead += stepMs;
});
