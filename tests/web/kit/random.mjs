// Random numbers that a seed repeats.

/** A function like `Math.random`, of a seed (mulberry32, public domain). */
export function randomOf(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A whole number from 0 to below `below`. */
export const pick = (random, below) => Math.floor(random() * below)

/** The seed of a run: the one that is to be repeated, or a new one. */
export const seed = Number(process.env.FRONTDESK_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
