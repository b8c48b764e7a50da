// The browser's storage, where there is one: a page that may keep nothing works all the same.

/**
 * What is kept under a name, in the browser or in this tab alone; null for nothing, and for what cannot be read.
 *
 * @param {string} name
 * @param {'local' | 'session'} [where]
 * @returns {any}
 */
export function readKept(name, where = 'local') {
  try {
    return JSON.parse(storageOf(where).getItem(name) ?? 'null')
  } catch {
    return null
  }
}

/** Keeps a value under a name. Returns false where the browser keeps nothing, or has no room. */
export function keep(
  /** @type {string} */ name,
  /** @type {unknown} */ value,
  /** @type {'local' | 'session'} */ where = 'local',
) {
  try {
    storageOf(where).setItem(name, JSON.stringify(value))
    return true
  } catch {
    return false
  }
}

export function forgetKept(/** @type {string} */ name, /** @type {'local' | 'session'} */ where = 'local') {
  try {
    storageOf(where).removeItem(name)
  } catch {
    // Nothing was kept.
  }
}

/** The names of what is kept. @returns {string[]} */
export function keptNames() {
  try {
    return Object.keys(localStorage)
  } catch {
    return []
  }
}

function storageOf(/** @type {'local' | 'session'} */ where) {
  return where === 'local' ? localStorage : sessionStorage
}
