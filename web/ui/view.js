// Elements that follow values: signals, effects that end with their element, and keyed lists.

/** @template T @typedef {{ value: T, readonly peek: T }} Signal `peek` reads without following */
/** @typedef {{ run: () => void, sources: Set<Set<Effect>> }} Effect */
/** @typedef {string | number | Node | null | undefined | false} Child */
/** @typedef {Child | Child[] | (() => Child | Child[])} Children */

/** The effect that runs now, and follows what it reads. @type {Effect | null} */
let running = null
/** Effects that wait for the end of a batch. @type {Set<Effect>} */
const waiting = new Set()
let batches = 0
/** What ends with a node. @type {WeakMap<Node, (() => void)[]>} */
const endings = new WeakMap()
/** A circle of effects is ended after so many rounds. */
const MOST_ROUNDS = 100

/**
 * A value that effects follow.
 *
 * @template T
 * @param {T} value
 * @returns {Signal<T>}
 */
export function signal(value) {
  /** @type {Set<Effect>} */
  const followers = new Set()
  return {
    get value() {
      if (running) {
        followers.add(running)
        running.sources.add(followers)
      }
      return value
    },
    set value(next) {
      if (Object.is(next, value)) return
      value = next
      batch(() => followers.forEach((follower) => waiting.add(follower)))
    },
    get peek() {
      return value
    },
  }
}

/**
 * Runs a function now, and again whenever a signal that it has read changes. Returns its end.
 *
 * @param {() => void} act
 * @returns {() => void}
 */
export function effect(act) {
  /** @type {Effect} */
  const own = {
    sources: new Set(),
    run() {
      unfollow(own)
      const outer = running
      running = own
      try {
        act()
      } finally {
        running = outer
      }
    },
  }
  own.run()
  return () => {
    unfollow(own)
    waiting.delete(own)
    own.run = () => undefined
  }
}

/**
 * A value that follows others.
 *
 * @template T
 * @param {() => T} of
 * @returns {Signal<T> & { end: () => void }}
 */
export function computed(of) {
  const result = signal(/** @type {T} */ (undefined))
  const end = effect(() => (result.value = of()))
  return Object.assign(result, { end })
}

/** Changes several signals, and runs each effect once behind it. */
export function batch(/** @type {() => void} */ act) {
  batches += 1
  try {
    act()
  } finally {
    batches -= 1
    if (batches === 0) settle()
  }
}

function settle() {
  for (let round = 0; waiting.size > 0 && round < MOST_ROUNDS; round++) {
    const now = [...waiting]
    waiting.clear()
    batches += 1
    for (const { run } of now) {
      try {
        run()
      } catch (error) {
        // An effect that throws keeps no later one from running.
        reportError(error)
      }
    }
    batches -= 1
  }
  waiting.clear()
}

function unfollow(/** @type {Effect} */ own) {
  for (const followers of own.sources) followers.delete(own)
  own.sources.clear()
}

/**
 * An element. A property that is a function follows the signals it reads, as a child does that is one.
 * `on…` are listeners, `class` and names with a hyphen are attributes; a text is never markup.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [props]
 * @param {...Children} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (typeof value === 'function') follow(element, () => assign(element, name, value()))
    else assign(element, name, value)
  }
  for (const child of children) {
    if (typeof child === 'function') region(element, child)
    else element.append(...nodes(child))
  }
  return element
}

function assign(/** @type {HTMLElement} */ element, /** @type {string} */ name, /** @type {any} */ value) {
  if (name === 'class' || name.includes('-') || !(name in element)) {
    if (value === null || value === undefined || value === false) element.removeAttribute(name)
    else element.setAttribute(name, value === true ? '' : value)
  } else if (Reflect.get(element, name) !== value) Reflect.set(element, name, value)
}

function nodes(/** @type {Child | Child[]} */ child) {
  const all = Array.isArray(child) ? child : [child]
  return all.flatMap((one) => {
    if (one === null || one === undefined || one === false) return []
    return one instanceof Node ? [one] : [document.createTextNode(String(one))]
  })
}

/** A place in an element whose nodes follow signals. */
function region(/** @type {HTMLElement} */ element, /** @type {() => Child | Child[]} */ of) {
  const end = element.appendChild(document.createTextNode(''))
  /** @type {Node[]} */
  let shown = []
  follow(element, () => {
    const next = nodes(of())
    for (const node of shown) if (!next.includes(node)) remove(node)
    for (const node of next) element.insertBefore(node, end)
    shown = next
  })
}

/** Runs an effect that ends with the node. */
export function follow(/** @type {Node} */ node, /** @type {() => void} */ act) {
  onEnd(node, effect(act))
}

/** Calls back when the node is removed by this module. */
export function onEnd(/** @type {Node} */ node, /** @type {() => void} */ end) {
  endings.set(node, [...(endings.get(node) ?? []), end])
}

/** Removes a node, and ends all that belongs to it and to what is in it. */
export function remove(/** @type {Node} */ node) {
  for (const child of [...node.childNodes]) remove(child)
  for (const end of endings.get(node) ?? []) end()
  endings.delete(node)
  node.parentNode?.removeChild(node)
}

/**
 * Keeps an element's children equal to a list: a row for each key, made once, moved and removed. What
 * is focused, selected or scrolled in a row stays so.
 *
 * @template Item
 * @param {HTMLElement} parent
 * @param {Map<any, HTMLElement>} rows the rows so far, which this changes
 * @param {readonly Item[]} items
 * @param {(item: Item) => any} keyOf
 * @param {(item: Item) => HTMLElement} make
 */
export function reconcile(parent, rows, items, keyOf, make) {
  const keys = new Set(items.map(keyOf))
  for (const [key, row] of rows) {
    if (keys.has(key)) continue
    rows.delete(key)
    remove(row)
  }
  /** @type {Node | null} */
  let next = parent.firstChild
  for (const item of items) {
    const key = keyOf(item)
    const row = rows.get(key) ?? make(item)
    rows.set(key, row)
    if (row === next) next = row.nextSibling
    else place(parent, row, next)
  }
}

/** Puts a row before another one, without its losing its state where the browser can do that. */
function place(/** @type {any} */ parent, /** @type {HTMLElement} */ row, /** @type {Node | null} */ next) {
  if (row.parentNode !== parent) return parent.insertBefore(row, next)
  if (parent.moveBefore) return parent.moveBefore(row, next)
  const root = /** @type {Document | ShadowRoot} */ (row.getRootNode())
  const focused = /** @type {any} */ (row.contains(root.activeElement) ? root.activeElement : null)
  const { selectionStart, selectionEnd } = focused ?? {}
  parent.insertBefore(row, next)
  focused?.focus({ preventScroll: true })
  if (typeof selectionStart === 'number') focused.setSelectionRange(selectionStart, selectionEnd)
}
