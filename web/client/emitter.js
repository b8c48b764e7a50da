// Events of an object, typed by a map from their names to their values.

/** @template {Record<string, any>} Events */
export class Emitter {
  /** @type {Map<keyof Events, Set<(value: any) => void>>} */
  #listeners = new Map()

  /**
   * Calls the listener at each event of this name, until the returned function is called.
   *
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(value: Events[Name]) => void} listener
   * @returns {() => void}
   */
  on(name, listener) {
    // A wrapper, so that a listener that is added twice is called twice, and ends twice.
    const own = (/** @type {Events[Name]} */ value) => listener(value)
    const all = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, all.add(own))
    return () => void all.delete(own)
  }

  /**
   * A listener that throws keeps no other from being called.
   *
   * @protected
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} value
   */
  emit(name, value) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(value)
      } catch (error) {
        console.error(error)
      }
    }
  }

  /** @protected */
  removeListeners() {
    this.#listeners.clear()
  }
}
