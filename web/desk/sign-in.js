// The screens before anybody is signed in.

import { icon } from '../ui/icons.js'
import { h } from '../ui/view.js'
import { field, reasonOf } from './dialogs.js'

/** @typedef {import('../ui/i18n.js').Translate} Translate */

/** A screen with one thing on it. */
function screen(/** @type {string} */ title, /** @type {(Node | null)[]} */ ...children) {
  return h('main', { class: 'screen' }, h('h1', {}, title), ...children)
}

/**
 * The form for an e-mail and a password. `signIn` rejects with a `FrontdeskError`.
 *
 * @param {{ t: Translate, title: string, signIn: (email: string, password: string, stays: boolean) => Promise<void> }} options
 */
export function signInScreen({ t, title, signIn }) {
  const email = h('input', { type: 'email', name: 'email', autocomplete: 'username', required: true })
  const password = h('input', {
    type: 'password',
    name: 'password',
    autocomplete: 'current-password',
    required: true,
  })
  const stays = h('input', { type: 'checkbox', name: 'stays' })
  const failed = h('p', { class: 'failed', role: 'alert' })
  const button = h('button', { type: 'submit', class: 'main' }, t('desk.sign-in'))
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault()
    if (button.disabled) return
    button.disabled = true
    failed.replaceChildren()
    try {
      await signIn(email.value.trim(), password.value, stays.checked)
    } catch (error) {
      const { code } = /** @type {any} */ (error)
      const words = code === 'unauthenticated' ? t('desk.sign-in.wrong') : reasonOf(t, error)
      failed.replaceChildren(icon('warn'), words)
      password.select()
    }
    button.disabled = false
  }
  return screen(
    title,
    h(
      'form',
      { class: 'form', onsubmit: submit },
      field(t('desk.email'), email),
      field(t('desk.password'), password),
      h('label', { class: 'switch' }, stays, t('desk.sign-in.stays')),
      failed,
      button,
    ),
    h('p', {}, h('a', { href: '/desk/check' }, t('desk.check'))),
  )
}

/** A screen that says why there is no desk, and the next step. */
export function noticeScreen(
  /** @type {{ t: Translate, title: string, text: string, acts?: (HTMLElement | null)[] }} */ {
    t,
    title,
    text,
    acts = [],
  },
) {
  return screen(
    title,
    h('p', {}, text),
    h('p', { class: 'acts' }, ...acts),
    h('p', {}, h('a', { href: '/desk/check' }, t('desk.check'))),
  )
}
