// The shop of the demo. Its page has the script tag of every host's page; this script is the host's own.

import { readWords } from '../pages/words.js'
import { icon } from '../ui/icons.js'
import { h } from '../ui/view.js'
import { openFrame } from './frame.js'

const frame = openFrame('customer')
const status = { state: 'connecting', seq: 0, waiting: 0 }
const host = /** @type {any} */ (window)
const queue = (host.frontdesk ||= [])
// An own outbox for each frame: they stand for devices that share nothing.
const frames = [...parent.document.querySelectorAll('iframe')]
const index = frames.indexOf(/** @type {HTMLIFrameElement} */ (window.frameElement))
queue.push(['scope', `frame ${index}`])
queue.push(['token', frame.token])
queue.push([
  'on',
  'state',
  (/** @type {{ state: string }} */ { state }) => frame.tell(Object.assign(status, { state })),
])
queue.push([
  'on',
  'chat',
  (/** @type {import('../client/frontdesk.js').Chat} */ { lastSeq, waiting }) =>
    frame.tell(Object.assign(status, { seq: lastSeq, waiting })),
])

const t = await readWords((language) => import(`../i18n/pages/${language}.js`))
queue.push(['locale', t.locale])
const price = new Intl.NumberFormat(t.locale, { style: 'currency', currency: 'EUR' })
const goods = [
  ['demo.shop.one', 89],
  ['demo.shop.two', 120],
  ['demo.shop.three', 64],
]
document.title = t('demo.shop.name')
document
  .querySelector('main')
  ?.replaceChildren(
    h('h1', {}, t('demo.shop.name')),
    h('p', { class: 'tagline' }, t('demo.shop.tagline')),
    h('p', {}, t('demo.shop.lead')),
    h(
      'ul',
      { class: 'goods' },
      ...goods.map(([name, amount]) =>
        h(
          'li',
          {},
          icon('lamp'),
          h('h2', {}, t(String(name))),
          h('p', {}, price.format(Number(amount))),
          h('button', { type: 'button' }, t('demo.shop.buy')),
        ),
      ),
    ),
  )
