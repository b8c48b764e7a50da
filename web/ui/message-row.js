// A row of the list: a message with its state, the name of a day, or the line before new messages.

import { initials, partsOf, plain } from './format.js'
import { icon } from './icons.js'
import { timeOf } from './message-items.js'
import { h, remove } from './view.js'

/** @typedef {import('./message-items.js').Item} Item */
/** @typedef {import('./i18n.js').Translate} Translate */
/** @typedef {import('./format.js').Times} Times */
/** @typedef {import('../client/types.js').Message} Message */
/**
 * @typedef {{
 *   t: Translate, times: Times, edit: (message: Message) => void, anyway?: (message: Message) => void, isLive: boolean,
 *   isOurs?: (message: Message) => boolean,
 * }} Context `isOurs`: it stands on the side of the reader's own; `isLive`: there is a connection, so what is not sent yet does not wait for one
 */

/** Failures that the same text would meet again: its author gets it back to change it. */
const FINAL = new Set(['too_large', 'bad_request', 'client_id_reused', 'forbidden', 'chat_not_found'])
/** Hues of the readers' marks. */
const HUES = 6

/**
 * The row of an item. It is drawn anew by `draw`, when what it shows has changed.
 *
 * @param {{ arrives: boolean, isSaid: boolean }} how `arrives`: seen to come in; `isSaid`: by a screen reader, once
 */
export function messageRow({ arrives, isSaid }) {
  return h('li', { tabindex: '-1', 'data-arrives': arrives, 'aria-live': isSaid ? null : 'off' })
}

/**
 * Draws a row, unless it shows this already.
 *
 * @param {HTMLElement} row
 * @param {Item} item
 * @param {Context} context
 */
export function draw(row, item, context) {
  const { t, times } = context
  const shown = signature(item, context)
  if (row.dataset.shown === shown) return
  // What was said is not said again, because somebody has read it.
  if (row.dataset.shown !== undefined) row.setAttribute('aria-live', 'off')
  const keepsFocus = row.contains(/** @type {ShadowRoot} */ (row.getRootNode()).activeElement ?? null)
  row.dataset.shown = shown
  for (const child of [...row.childNodes]) remove(child)
  if ('day' in item) {
    row.className = 'day'
    row.append(h('span', {}, times.day(item.day)))
  } else if ('isNew' in item) {
    row.className = 'new'
    row.append(h('span', {}, t('list.new')))
  } else {
    const isOut = item.message.own || context.isOurs?.(item.message)
    row.className = ['message', isOut ? 'out' : 'in', item.isFirst && 'first', item.message.state]
      .filter(Boolean)
      .join(' ')
    row.append(...message(item, context))
  }
  if (keepsFocus) row.focus({ preventScroll: true })
}

function signature(/** @type {Item} */ item, /** @type {Context} */ { t: { locale }, times, isLive }) {
  // Its name changes at midnight.
  if ('day' in item) return times.day(item.day)
  if ('isNew' in item) return locale
  const { message, isFirst, readers, isRead } = item
  return [
    locale,
    message.state,
    message.state === 'pending' && isLive,
    message.seq,
    message.error?.code,
    isFirst,
    isRead,
    readers.map(({ id }) => id),
    message.author?.nickname,
  ].join(' ')
}

/**
 * @param {Extract<Item, { message: Message }>} item
 * @param {Context} context
 */
function message({ message, isFirst, readers, isRead }, { t, times, edit, anyway, isLive }) {
  const { own, author, state } = message
  const at = timeOf(message)
  const name = own ? t('list.you') : author?.nickname || t('list.nameless')
  const text = partsOf(message.message).map(({ text, href }) =>
    href ? h('a', { href, target: '_blank', rel: 'noopener noreferrer nofollow' }, text) : text,
  )
  const read = readers.length > 0 ? t('list.read_by', { names: readers.map(({ name }) => name).join(', ') }) : ''
  const title = [message.seq && `#${message.seq}`, times.full(at), read].filter(Boolean).join(' · ')
  return [
    // A name is said before each message, and seen before the first of a group.
    h('p', { class: isFirst && !own ? 'author' : 'unseen' }, h('bdi', {}, plain(name))),
    h('div', { class: 'bubble', dir: 'auto', title }, ...text),
    h(
      'p',
      { class: 'meta' },
      state === 'stored' ? h('time', { dateTime: message.createdAt ?? '' }, times.clock(at)) : null,
      state === 'pending' ? h('span', {}, icon('clock'), t(isLive ? 'list.pending' : 'list.waiting')) : null,
      isRead ? h('span', { class: 'read' }, t('list.read')) : null,
      // What the marks show to the eye.
      read ? h('span', { class: 'unseen' }, read) : null,
    ),
    ...(state === 'failed' ? [failure(message, { t, edit, anyway })] : []),
    ...(readers.length > 0 ? [marks(readers)] : []),
  ]
}

/** @param {Message} message @param {Pick<Context, 't' | 'edit' | 'anyway'>} context */
function failure(message, { t, edit, anyway }) {
  const code = message.error?.code ?? 'internal'
  const reason = t(`error.${code}`)
  /** @type {[string, () => void]} */
  let act = ['list.again', () => message.retry()]
  // The same again would meet the same end.
  if (code === 'chat_moved' && anyway) act = ['list.anyway', () => anyway(message)]
  else if (FINAL.has(code)) act = ['list.edit', () => edit(message)]
  const [words, run] = act
  return h(
    'div',
    { class: 'failure' },
    h('p', {}, icon('warn'), t('list.failed', { reason: reason.startsWith('error.') ? t('error.internal') : reason })),
    h('button', { type: 'button', onclick: run }, t(words)),
    h('button', { type: 'button', onclick: () => message.remove() }, t('list.remove')),
  )
}

/** The readers' marks, on the rail beside the message. The title of the message names them. */
function marks(/** @type {{ id: number, name: string }[]} */ readers) {
  const mark = (/** @type {{ id: number, name: string }} */ { id, name }) =>
    h('span', { class: `mark hue-${id % HUES}` }, initials(plain(name)))
  return h('span', { class: 'marks', 'aria-hidden': 'true' }, ...readers.map(mark))
}
