// The demo: the frames of the customer and of the agent, and what can be done to their lines.

import { readWords } from '../pages/words.js'
import { h } from '../ui/view.js'
import { demoToken, takeKey } from './session.js'

/** @typedef {import('./frame.js').FrameStatus} FrameStatus */

const t = await readWords((language) => import(`../i18n/pages/${language}.js`))
takeKey()
document.title = t('demo.title')
const said = h('p', { class: 'said', role: 'status' })
const sides = h('div', { class: 'sides' })
const second = h('button', { type: 'button', 'aria-pressed': 'false', onclick: toggleSecond }, t('demo.second'))
const shop = side('demo.customer', '/demo/shop', second)
/** @type {ReturnType<typeof side> | null} */
let device = null
document.body.replaceChildren(
  h('header', { class: 'top' }, h('h1', {}, t('demo.title')), h('p', {}, t('demo.intro')), said),
)
try {
  await demoToken('agent')
  sides.append(shop.element, side('demo.agent', '/demo/agent').element)
  document.body.append(h('main', { class: 'sides' }, ...sides.childNodes))
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error)
  const isMissing = sessionStorage.length === 0
  document.body.append(
    h(
      'main',
      {},
      h(
        'p',
        { class: 'refused', role: 'alert' },
        isMissing ? t('demo.key.missing') : t('demo.key.refused', { reason }),
      ),
    ),
  )
}

/** A frame, with the state of its client and the buttons of its line. */
function side(
  /** @type {string} */ name,
  /** @type {string} */ path,
  /** @type {(HTMLElement | null)} */ extra = null,
) {
  const frame = h('iframe', { title: t(name), src: `${path}${location.search}` })
  const status = h('p', { class: 'status' }, t('demo.state.connecting'))
  const act = (/** @type {string} */ what, /** @type {string} */ sentence) => {
    frame.contentWindow?.postMessage({ frontdesk: what }, location.origin)
    said.textContent = t(sentence)
  }
  const toggle = (/** @type {'cut' | 'freeze'} */ what, /** @type {string} */ sentence) => {
    const button = h(
      'button',
      {
        type: 'button',
        'aria-pressed': 'false',
        onclick: () => {
          const isOn = button.ariaPressed !== 'true'
          for (const other of [cut, freeze]) press(other, other === button && isOn)
          act(isOn ? what : 'mend', isOn ? sentence : 'demo.said.mended')
        },
      },
      t(`demo.${what}`),
    )
    return button
  }
  const cut = toggle('cut', 'demo.said.cut')
  const freeze = toggle('freeze', 'demo.said.frozen')
  const expire = h('button', { type: 'button', onclick: () => act('expire', 'demo.said.expired') }, t('demo.expire'))
  addEventListener('message', ({ source, origin, data }) => {
    if (source !== frame.contentWindow || origin !== location.origin || !data.status) return
    const { state, seq, waiting } = /** @type {FrameStatus} */ (data.status)
    status.textContent = `${t(`demo.state.${state}`)} · ${t('demo.status', { seq, waiting })}`
  })
  const element = h(
    'section',
    { class: 'side', 'aria-label': t(name) },
    h('header', {}, h('h2', {}, t(name)), cut, freeze, expire, extra, status),
    frame,
  )
  return { element }
}

function press(/** @type {HTMLElement} */ button, /** @type {boolean} */ isOn) {
  button.ariaPressed = String(isOn)
}

/** The customer's second device, beside the first; or away again. */
function toggleSecond() {
  const isThere = device !== null
  device?.element.remove()
  device = isThere ? null : side('demo.device', '/demo/shop')
  if (device) shop.element.after(device.element)
  press(second, !isThere)
  second.textContent = t(isThere ? 'demo.second' : 'demo.second.away')
  said.textContent = isThere ? '' : t('demo.said.second')
}
