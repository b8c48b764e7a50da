// What a list of messages shows, in order: messages, the names of days, and where the new ones begin.

import { midnight } from './format.js'

/** @typedef {import('../client/types.js').Message} Message */
/** @typedef {{ id: number, name: string }} Reader */
/**
 * @typedef {{ key: string, day: number }
 *   | { key: string, isNew: true }
 *   | { key: string, message: Message, isFirst: boolean, readers: Reader[], isRead: boolean }} Item
 */

/** A pause after which an author is named again, in milliseconds. */
const GROUP_PAUSE = 300_000

/** When a message was written: as the server says, or as this device says until then. */
export function timeOf(/** @type {Message} */ { createdAt, queuedAt }) {
  return createdAt ? Date.parse(createdAt) : (queuedAt ?? Date.now())
}

/**
 * @param {readonly Message[]} messages those in the window
 * @param {{ newAfter: number | null, reads: ReadonlyMap<number, number>, names: ReadonlyMap<number, string>, me: number | null }} view
 *   `newAfter`: the `seq` that had been read when the chat was opened, if there was more
 * @returns {Item[]}
 */
export function itemsOf(messages, { newAfter, reads, names, me }) {
  const readers = readersOf(messages, { reads, names, me })
  const furthest = Math.max(0, ...[...reads].filter(([id]) => id !== me).map(([, seq]) => seq))
  const lastRead = messages.findLast(({ own, seq }) => own && seq !== null && seq <= furthest)
  /** @type {Item[]} */
  const items = []
  const days = new Set()
  let isMarked = newAfter === null
  /** @type {Message | null} */
  let former = null
  for (const message of messages) {
    const at = timeOf(message)
    const day = midnight(at)
    const isNextDay = !days.has(day) && (!former || midnight(timeOf(former)) !== day)
    if (isNextDay) items.push({ key: `day ${day}`, day })
    days.add(day)
    const isMark = !isMarked && !message.own && message.seq !== null && message.seq > Number(newAfter)
    if (isMark) items.push({ key: 'new', isNew: true })
    isMarked ||= isMark
    const isFirst =
      isNextDay || isMark || !former || former.author?.id !== message.author?.id || at - timeOf(former) > GROUP_PAUSE
    items.push({
      key: message.key,
      message,
      isFirst,
      readers: readers.get(message) ?? [],
      isRead: message === lastRead,
    })
    former = message
  }
  return items
}

/**
 * Who has read up to each message: a reader stands at the last one that they have read.
 *
 * @param {readonly Message[]} messages
 * @param {{ reads: ReadonlyMap<number, number>, names: ReadonlyMap<number, string>, me: number | null }} view
 */
function readersOf(messages, { reads, names, me }) {
  /** @type {Map<Message, Reader[]>} */
  const readers = new Map()
  for (const [id, seq] of reads) {
    const name = names.get(id)
    const last =
      id === me || !name ? undefined : messages.findLast((message) => message.seq !== null && message.seq <= seq)
    if (last && name) readers.set(last, [...(readers.get(last) ?? []), { id, name }])
  }
  return readers
}
