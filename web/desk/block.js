// The question before somebody is blocked.

import { plain } from '../ui/format.js'
import { h } from '../ui/view.js'
import { field, openDialog, reasonOf } from './dialogs.js'

/** Characters of a reason, by the protocol. */
const REASON_LENGTH = 500

/**
 * @param {{
 *   t: import('../ui/i18n.js').Translate, desk: import('../client/frontdesk.js').Frontdesk,
 *   person: { id: number, nickname: string | null }, toast: (words: string) => void, done: () => void,
 * }} options `done`: the person is blocked
 */
export function askToBlock({ t, desk, person, toast, done }) {
  const name = plain(person.nickname || t('desk.nameless', { id: person.id }))
  const reason = h('textarea', { name: 'reason', rows: 3, maxLength: REASON_LENGTH })
  const failed = h('p', { class: 'failed', role: 'alert' })
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault()
    const body = reason.value.trim() ? { reason: reason.value.trim() } : {}
    try {
      await desk.fetch(`/users/${person.id}/block`, { method: 'POST', body })
      dialog.close()
      toast(t('desk.block.done', { name }))
      done()
    } catch (error) {
      failed.textContent = reasonOf(t, error)
    }
  }
  const dialog = openDialog(
    { t, title: t('desk.block.title', { name }), name: 'ask' },
    h('p', {}, t('desk.block.text')),
    h(
      'form',
      { class: 'form', onsubmit: submit },
      field(t('desk.block.reason'), reason, t('desk.block.hint')),
      failed,
      h('button', { type: 'submit', class: 'main' }, t('desk.block')),
    ),
  )
  reason.focus()
}
