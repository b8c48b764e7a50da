// What keeps the chat from being live, in words, with the one thing to do about it.

/** @typedef {import('../client/frontdesk.js').Frontdesk} Frontdesk */
/** @typedef {import('../ui/i18n.js').Translate} Translate */
/**
 * @typedef {{
 *   kind: string, text: string, act?: 'now' | 'signIn' | 'update', label?: string, stays?: boolean, counts?: boolean,
 * }} Status `stays`: until somebody acts; `counts`: the text changes each second
 */

/**
 * @param {Frontdesk | null} desk null where nobody is signed in
 * @param {{ t: Translate, wasDown: boolean, hasUpdate: boolean, now: number }} context `wasDown`: since the last time that it was live
 * @returns {Status[]}
 */
export function statusOf(desk, { t, wasDown, hasUpdate, now }) {
  const all = [line(desk, t, now, wasDown)]
  if (desk?.kept === 'tab') all.push({ kind: 'kept', text: t('widget.kept.tab') })
  if (hasUpdate) all.push({ kind: 'update', text: t('widget.update'), act: 'update', label: t('widget.update.now') })
  return all.filter((status) => status !== null)
}

/** @returns {Status | null} */
function line(
  /** @type {Frontdesk | null} */ desk,
  /** @type {Translate} */ t,
  /** @type {number} */ now,
  /** @type {boolean} */ wasDown,
) {
  const { state, retryAt = now } = desk?.state ?? { state: 'signed-out' }
  switch (state) {
    case 'connecting':
      return wasDown ? { kind: state, text: t('widget.connecting') } : null
    case 'waiting': {
      const count = Math.max(0, Math.ceil((retryAt - now) / 1_000))
      return { kind: state, text: t('widget.waiting', { count }), act: 'now', label: t('widget.now'), counts: true }
    }
    case 'offline':
      return { kind: state, text: t('widget.offline'), stays: true }
    case 'signed-out':
      return { kind: state, text: t('widget.signed-out'), act: 'signIn', label: t('widget.sign-in'), stays: true }
    case 'blocked':
      return { kind: state, text: t('widget.blocked'), stays: true }
    case 'replaced':
      return { kind: state, text: t('widget.replaced'), act: 'now', label: t('widget.replaced.here'), stays: true }
    default:
      return null
  }
}
