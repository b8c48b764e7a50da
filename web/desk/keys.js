// Commands: what can be done from the keyboard, by a key or by name.

import { isDialogOpen, openDialog } from './dialogs.js'
import { h } from '../ui/view.js'

/** @typedef {import('../ui/i18n.js').Translate} Translate */
/**
 * @typedef {{ name: string, key?: string, run: () => void, isThere?: () => boolean }} Command `name`: of its words;
 *   `key`: a single key, or two one after the other, as `g a`
 */

/** Time for the second of two keys, in milliseconds. */
const SECOND_KEY = 1_500
/** Elements in which keys are letters. */
const WRITABLE = 'input, textarea, select, [contenteditable]'

/** Single keys outside fields, which can be switched off, and Ctrl or ⌘ with K everywhere. */
export class Keys {
  #commands
  #isOn
  #palette
  #first = ''
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer

  /** @param {{ commands: Command[], isOn: () => boolean, palette: () => void }} options */
  constructor({ commands, isOn, palette }) {
    this.#commands = commands
    this.#isOn = isOn
    this.#palette = palette
    document.addEventListener('keydown', this.#press)
  }

  end() {
    clearTimeout(this.#timer)
    document.removeEventListener('keydown', this.#press)
  }

  #press = (/** @type {KeyboardEvent} */ event) => {
    const { key, target } = event
    if (event.isComposing || event.defaultPrevented) return
    if (key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      event.preventDefault()
      if (!isDialogOpen()) this.#palette()
      return
    }
    const isField = target instanceof Element && target.closest(WRITABLE) !== null
    if (!this.#isOn() || event.ctrlKey || event.metaKey || event.altKey || isField || isDialogOpen()) return
    const pressed = this.#first ? `${this.#first} ${key.toLowerCase()}` : key.toLowerCase()
    this.#first = ''
    clearTimeout(this.#timer)
    const command = this.#commands.find(({ key, isThere }) => key === pressed && (isThere?.() ?? true))
    if (command) {
      event.preventDefault()
      return command.run()
    }
    if (!this.#commands.some(({ key }) => key?.startsWith(`${pressed} `))) return
    this.#first = pressed
    this.#timer = setTimeout(() => (this.#first = ''), SECOND_KEY)
  }
}

/** The list of all keys. */
export function openHelp(
  /** @type {Translate} */ t,
  /** @type {Command[]} */ commands,
  /** @type {HTMLElement} */ choice,
) {
  const keys = (/** @type {string} */ key) =>
    key.split(' ').map((one) => h('kbd', {}, one.length > 1 ? one : one.toUpperCase()))
  const row = (/** @type {Command} */ { name, key }) =>
    h('div', {}, h('dt', {}, ...keys(key ?? '')), h('dd', {}, t(`desk.command.${name}`)))
  const inBox = [
    ['Enter', 'desk.help.send'],
    ['Shift+Enter', 'desk.help.line'],
    ['Esc', 'desk.help.leave'],
    ['Ctrl+K', 'desk.help.palette'],
  ]
  openDialog(
    { t, title: t('desk.command.help'), name: 'help' },
    h(
      'dl',
      { class: 'keys' },
      ...commands.filter(({ key }) => key).map(row),
      ...inBox.map(([key, words]) => h('div', {}, h('dt', {}, h('kbd', {}, key)), h('dd', {}, t(words)))),
    ),
    choice,
  )
}
