// Failures, with the codes of the protocol and a few of the client's own.

/** Codes after which the same request may succeed later. */
const PASSING = new Set(['unavailable', 'rate_limited', 'internal', 'disconnected'])

/**
 * The failure of a request. Besides the protocol's codes: `disconnected` (no answer came),
 * `outbox_full`, `expired` (it waited for too long), `signed_out`, `closed`.
 */
export class FrontdeskError extends Error {
  /**
   * @param {string} code
   * @param {string} message for developers, in English
   * @param {{ retryAfterMs?: number, lastSeq?: number, status?: number }} [details]
   */
  constructor(code, message, { retryAfterMs, lastSeq, status } = {}) {
    super(message)
    this.name = 'FrontdeskError'
    this.code = code
    /** True if the same request may succeed later. */
    this.retry = PASSING.has(code)
    this.retryAfterMs = retryAfterMs
    /** With `chat_moved`: the chat's last `seq`. */
    this.lastSeq = lastSeq
    /** Of an HTTP answer. */
    this.status = status
  }
}
