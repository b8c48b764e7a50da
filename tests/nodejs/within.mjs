// Time limit of every wait. It measures nothing: only what never comes reaches it.

const LIMIT_MS = 20_000

/** The promise's result. After the limit, an error that says what is missing. */
export function within(promise, what) {
  let timer
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what()}`)), LIMIT_MS)
  })
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer))
}
