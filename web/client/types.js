// Types of what goes over the wire, and of what the client shows.

/**
 * @typedef {{ id: number, nickname: string | null, role: string }} User
 *
 * @typedef {{
 *   id: number, chatId: number, seq: number, kind: string, author: User, message: string,
 *   clientId: string | null, createdAt: string,
 * }} WireMessage
 *
 * @typedef {{
 *   id: number, kind: 'support' | 'group', title: string | null, lastSeq: number, readSeq?: number, unread?: number,
 *   lastMessage: WireMessage | null, members: User[], createdAt: string, updatedAt: string, online?: number[],
 * }} WireChat
 *
 * @typedef {{ userId: number, seq: number }} Mark
 *
 * @typedef {{
 *   lastSeq: number, readSeq: number, unread: number, online?: number[], reads?: Mark[],
 *   replayed?: number, replayedTo?: number, truncated?: boolean, reset?: boolean,
 * }} Entered what `welcome` and `enter_chat` say of a chat
 *
 * @typedef {{
 *   frameBytes: number, messageChars: number, messagesPerSecond: number, burst: number,
 * }} WireLimits
 *
 * @typedef {{
 *   sessionId: string, protocol: number, user: User, chats: ({ id: number } & Entered)[], serverTime: string,
 *   heartbeatMs: number, tokenExpiresAt: string, limits: WireLimits,
 * }} Welcome
 *
 * @typedef {{ id: number, seq: number, createdAt: string, duplicate: boolean }} Receipt
 *
 * @typedef {'connecting' | 'online' | 'waiting' | 'offline' | 'signed-out' | 'blocked' | 'replaced' | 'closed'} State
 *
 * @typedef {{ state: State, retryAt?: number, reason?: string }} StateChange `retryAt` in milliseconds
 *   since the epoch, while `waiting`
 *
 * @typedef {(ask: { reason: 'connect' | 'renew' | 'refused', signal: AbortSignal }) =>
 *   string | null | undefined | Promise<string | null | undefined>} TokenSource
 *
 * @typedef {{
 *   clientId: string, owner: string, chat: number | 'support', message: string, expectSeq?: number,
 *   queuedAt: number, error?: { code: string, message: string },
 * }} OutboxRow a message that waits to be sent; with an error: until its author decides
 *
 * @typedef {{
 *   all(owner: string): Promise<OutboxRow[]>, put(row: OutboxRow): Promise<void>,
 *   delete(clientId: string): Promise<void>, clear(owner: string): Promise<void>, close(): void,
 * }} OutboxStorage
 *
 * @typedef {{
 *   key: string, state: 'pending' | 'stored' | 'failed', seq: number | null, id: number | null,
 *   clientId: string | null, createdAt: string | null, kind: string, author: User | null, own: boolean,
 *   message: string, queuedAt?: number, error?: import('./errors.js').FrontdeskError,
 *   stored: Promise<Receipt>, retry(): void, remove(): void,
 * }} Message
 */

export {}
