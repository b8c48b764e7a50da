// An app's WebSocket client.

const LIMIT_MS = 20_000

export class Client {
  #frames = []
  #waiting = []
  #requests = 0

  constructor(socket, token) {
    this.socket = socket
    this.token = token
    this.closed = new Promise((resolve) => socket.once('close', (code) => resolve(code)))
    socket.on('message', (text) => this.#take(JSON.parse(text)))
    socket.on('error', (error) => this.#take({ event: 'error', data: error.message }))
  }

  #take(frame) {
    const at = this.#waiting.findIndex(({ wanted }) => wanted(frame))
    if (at < 0) this.#frames.push(frame)
    else this.#waiting.splice(at, 1)[0].resolve(frame)
  }

  /** The first frame that is wanted and not yet taken; waits for it. */
  find(wanted, what) {
    const at = this.#frames.findIndex(wanted)
    if (at >= 0) return Promise.resolve(this.#frames.splice(at, 1)[0])
    return new Promise((resolve, reject) => {
      const seen = () => JSON.stringify(this.#frames).slice(0, 2000)
      const timer = setTimeout(() => reject(new Error(`no ${what}; there is ${seen()}`)), LIMIT_MS)
      this.#waiting.push({ wanted, resolve: (frame) => (clearTimeout(timer), resolve(frame)) })
    })
  }

  next(event) {
    return this.find((frame) => frame.event === event, event)
  }

  /** Whether such a frame has come and was not taken. */
  has(event) {
    return this.#frames.some((frame) => frame.event === event)
  }

  /** Sends an event, and gives its ack or exception. */
  async request(event, data) {
    const id = `r${++this.#requests}`
    this.socket.send(JSON.stringify({ event, data, id }))
    return this.find((frame) => frame.id === id, `answer to ${event}`)
  }

  /** As `request`, and gives the ack's data. */
  async acked(event, data) {
    const answer = await this.request(event, data)
    if (answer.event !== 'ack') throw new Error(`${event}: ${JSON.stringify(answer)}`)
    return answer.data
  }

  close() {
    this.socket.close()
    return this.closed
  }
}
