// Dialogs: modal, closed by Esc and by their button, and gone when they are closed.

import { icon } from '../ui/icons.js'
import { h, remove } from '../ui/view.js'

/** @typedef {import('../ui/i18n.js').Translate} Translate */

/**
 * Opens a dialog. Focus returns to where it was when it is closed.
 *
 * @param {{ t: Translate, title: string, name: string, closed?: () => void }} options `name` is its class
 * @param {...(Node | string | null)} children
 */
export function openDialog({ t, title, name, closed = () => undefined }, ...children) {
  const close = h(
    'button',
    { type: 'button', class: 'plain', 'aria-label': t('desk.close'), title: t('desk.close') },
    icon('close'),
  )
  const dialog = h(
    'dialog',
    { class: `box ${name}`, 'aria-label': title },
    h('header', { class: 'box-head' }, h('h2', {}, title), close),
    ...children,
  )
  close.addEventListener('click', () => dialog.close())
  dialog.addEventListener('click', ({ target }) => target === dialog && dialog.close())
  dialog.addEventListener('close', () => {
    remove(dialog)
    closed()
  })
  document.body.append(dialog)
  dialog.showModal()
  return dialog
}

/** True while a dialog is open: keys are its own then. */
export function isDialogOpen() {
  return document.querySelector('dialog[open]') !== null
}

/** A labelled field of a form. */
export function field(
  /** @type {string} */ label,
  /** @type {HTMLElement} */ control,
  /** @type {string} */ hint = '',
) {
  return h('label', { class: 'field' }, h('span', {}, label), control, hint ? h('span', { class: 'hint' }, hint) : null)
}

/** The words of a failure, by its code. */
export function reasonOf(/** @type {Translate} */ t, /** @type {any} */ error) {
  const key = `error.${error?.code ?? 'internal'}`
  const words = t(key)
  return words === key ? t('error.internal') : words
}
