// Pauses between tries to connect: random, so that clients do not come back all at once.

/** The shortest pause, in milliseconds. */
const SHORTEST = 500
/** The longest, unless the server names one. */
const LONGEST = 30_000

/**
 * The pause before try number `tries`, in milliseconds: anything from the shortest to a bound that
 * doubles with each try.
 *
 * @param {number} tries 0 for the first
 * @param {() => number} random from 0 to below 1
 */
export function pause(tries, random) {
  const bound = Math.min(LONGEST, SHORTEST * 2 ** Math.min(tries + 1, 16))
  return Math.round(SHORTEST + random() * (bound - SHORTEST))
}
