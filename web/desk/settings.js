// The settings of this browser.

import { h } from '../ui/view.js'
import { field, openDialog } from './dialogs.js'

/** @typedef {import('../ui/i18n.js').Translate} Translate */
/** @typedef {import('./preferences.js').Preferences} Preferences */

/** Languages by their own names. */
const TONGUES = { en: 'English', fr: 'Français', ko: '한국어', zh: '中文' }

/**
 * A switch of one choice.
 *
 * @param {Translate} t
 * @param {Preferences} preferences
 * @param {'keys' | 'sound' | 'ctrlEnter'} name
 */
export function choiceSwitch(t, preferences, name) {
  const box = h('input', {
    type: 'checkbox',
    checked: preferences.all[name],
    onchange: () => preferences.choose({ [name]: box.checked }),
  })
  return h('label', { class: 'switch' }, box, t(`desk.choice.${name}`))
}

/** @param {{ t: Translate, preferences: Preferences, notifier: import('./notifier.js').Notifier }} options */
export function openSettings({ t, preferences, notifier }) {
  const { theme, language, notices } = preferences.all
  const select = (
    /** @type {[string, string][]} */ options,
    /** @type {string} */ chosen,
    /** @type {(value: any) => void} */ choose,
  ) => {
    const list = h(
      'select',
      { onchange: () => choose(list.value) },
      ...options.map(([value, words]) => h('option', { value, selected: value === chosen }, words)),
    )
    return list
  }
  const denied = h('p', { class: 'hint', role: 'status' })
  const notify = h('input', {
    type: 'checkbox',
    checked: notices && globalThis.Notification?.permission === 'granted',
    onchange: async () => {
      const isAllowed = notify.checked && (await notifier.askToNotify())
      denied.textContent = notify.checked && !isAllowed ? t('desk.choice.notices.denied') : ''
      notify.checked = isAllowed
      preferences.choose({ notices: isAllowed })
    },
  })
  openDialog(
    { t, title: t('desk.command.settings'), name: 'ask' },
    h(
      'div',
      { class: 'form' },
      field(
        t('desk.choice.theme'),
        select(
          [
            ['system', t('desk.command.theme.system')],
            ['light', t('desk.command.theme.light')],
            ['dark', t('desk.command.theme.dark')],
          ],
          theme,
          (theme) => preferences.choose({ theme }),
        ),
      ),
      field(
        t('desk.choice.language'),
        select([['', t('desk.choice.language.own')], ...Object.entries(TONGUES)], language, (language) =>
          preferences.choose({ language }),
        ),
      ),
      h('label', { class: 'switch' }, notify, t('desk.choice.notices')),
      denied,
      choiceSwitch(t, preferences, 'sound'),
      choiceSwitch(t, preferences, 'keys'),
      choiceSwitch(t, preferences, 'ctrlEnter'),
    ),
  )
}
