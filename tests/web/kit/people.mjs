// People who talk by the client under test, in this process.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { WebSocket } from 'ws'
import { within } from '../../nodejs/within.mjs'

if (!process.env.FRONTDESK_WEB) throw new Error('FRONTDESK_WEB is not set: run scripts/test web')

const load = (path) => import(pathToFileURL(join(process.env.FRONTDESK_WEB, path)))

export const { Emitter, Frontdesk, FrontdeskError } = await load('client/frontdesk.js')
export const { Chats } = await load('client/chats.js')
export const { Log } = await load('client/log.js')
export const { pause } = await load('client/backoff.js')
export const { MemoryStorage } = await load('client/storage.js')

/** A signed-in user: their client, and a record of its states and errors. */
export class Person {
  states = []
  errors = []

  /** Signs in by way of `url`. The token comes from `token`, if that is given. */
  constructor(server, subject, { role = 'customer', url = server.url, token, ...options } = {}) {
    this.asked = []
    const own = (ask) => {
      this.asked.push(ask.reason)
      return (token ?? (() => server.token(subject, { role })))(ask)
    }
    this.desk = new Frontdesk({ url, token: own, WebSocket, ...options })
    this.states.push(this.desk.state.state)
    this.desk.on('state', ({ state }) => this.states.push(state))
    this.desk.on('error', (error) => this.errors.push(error))
  }

  /** Waits until a condition holds; asks again at each event. */
  until(holds, what) {
    const { desk } = this
    return within(
      new Promise((resolve) => {
        const ends = []
        const look = () => {
          if (!holds()) return
          for (const end of ends) end()
          resolve()
        }
        const chats = this.chats ?? []
        for (const chat of chats) ends.push(chat.on('change', look))
        for (const event of ['state', 'user', 'kept', 'error', 'chat_created', 'chat_updated', 'event'])
          ends.push(desk.on(event, look))
        look()
      }),
      () =>
        `${what ?? holds}; the state is ${JSON.stringify(desk.state)}, the chats ${JSON.stringify(this.chats?.map(texts))}`,
    )
  }

  async online() {
    await this.until(() => this.desk.state.state === 'online', 'connection')
    return this
  }

  /** Follows the own chat, or another, and waits for its latest messages. */
  async follow(id) {
    const chat = id ? this.desk.chat(id) : this.desk.support()
    this.chats = [...new Set([...(this.chats ?? []), chat])]
    await this.until(() => chat.ready, 'chat')
    return chat
  }
}

/** The texts of a chat, those that are not stored in brackets. */
export function texts(chat) {
  return chat.messages.map(({ state, message }) => (state === 'stored' ? message : `[${message}]`))
}

/** A customer with the own chat, and an agent in it. */
export async function pair(server, subject, { url, ...options } = {}) {
  const kim = new Person(server, subject, { url, ...options })
  const chat = await kim.follow()
  const ada = new Person(server, 'ada', { role: 'admin' })
  const theirs = await ada.follow(chat.id)
  return { kim, chat, ada, theirs, end: () => Promise.all([kim.desk.close(), ada.desk.close()]) }
}

/** A chat's log as the server has it. */
export async function logOf(server, chatId) {
  const log = []
  for (let path = `/chats/${chatId}/messages?order=asc&limit=100`; path;) {
    const { body } = await server.http(server.admin(), 'GET', path)
    log.push(...body.data)
    path = body.next
  }
  return log
}
