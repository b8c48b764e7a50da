// The palette: commands and chats by their names.

import { openDialog } from './dialogs.js'
import { h } from '../ui/view.js'

/** @typedef {import('../ui/i18n.js').Translate} Translate */
/** @typedef {{ label: string, hint: string, run: () => void }} Choice */

/** Choices in sight. */
const MOST_CHOICES = 12

/**
 * Opens the palette. `find` is asked at each change of the text.
 *
 * @param {Translate} t
 * @param {(text: string) => Choice[]} find
 */
export function openPalette(t, find) {
  /** @type {Choice[]} */
  let choices = []
  let at = 0
  const options = h('ul', { class: 'choices', role: 'listbox', id: 'choices', 'aria-label': t('desk.palette') })
  const input = h('input', {
    type: 'text',
    role: 'combobox',
    autocomplete: 'off',
    'aria-label': t('desk.palette'),
    'aria-controls': 'choices',
    'aria-expanded': 'true',
    placeholder: t('desk.palette.hint'),
    oninput: () => show(0),
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.isComposing) return
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
      if (step !== undefined) show((at + step + choices.length) % Math.max(1, choices.length))
      else if (event.key === 'Enter') take(at)
      else return
      event.preventDefault()
    },
  })
  const dialog = openDialog({ t, title: t('desk.palette'), name: 'palette' }, input, options)
  const take = (/** @type {number} */ index) => {
    const choice = choices[index]
    if (!choice) return
    dialog.close()
    choice.run()
  }
  const show = (/** @type {number} */ index) => {
    choices = find(input.value.trim().toLocaleLowerCase()).slice(0, MOST_CHOICES)
    at = index
    options.replaceChildren(
      ...choices.map(({ label, hint }, index) =>
        h(
          'li',
          {
            role: 'option',
            id: `choice-${index}`,
            'aria-selected': String(index === at),
            onclick: () => take(index),
          },
          h('span', {}, label),
          hint ? h('kbd', {}, hint) : null,
        ),
      ),
    )
    input.setAttribute('aria-activedescendant', choices.length > 0 ? `choice-${at}` : '')
  }
  show(0)
  input.focus()
}
