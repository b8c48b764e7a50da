// A company's own site, on another origin than the server: a page with the script tag, and tokens.

import { createServer } from 'node:http'

export class Site {
  /** The user who is signed in at the site; null for nobody. */
  subject = 'kim'
  /** Seconds for which a token lives. */
  seconds = 3600
  /** Headers of the page, as its policy. */
  headers = {}
  /** The page: `widget` is the script tag. */
  page = (widget) =>
    `<!doctype html><html lang="en"><head><title>A shop</title>${widget}</head><body><main><h1>A shop</h1><button id="own">Own</button></main></body></html>`
  /** Attributes of the script tag. */
  attributes = 'data-token-url="/support-token"'
  asked = 0

  static async start() {
    const site = new Site()
    site.listener = createServer((request, response) => site.#answer(request, response))
    await new Promise((resolve) => site.listener.listen(0, '127.0.0.1', resolve))
    return site
  }

  get origin() {
    return `http://127.0.0.1:${this.listener.address().port}`
  }

  #answer(request, response) {
    const path = new URL(request.url, this.origin).pathname
    if (path === '/support-token') {
      this.asked += 1
      const { subject, seconds } = this
      response.writeHead(subject ? 200 : 401, { 'content-type': 'text/plain' })
      return response.end(subject ? this.server.token(subject, { seconds }) : '')
    }
    if (path === '/favicon.ico') return response.writeHead(204).end()
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', ...this.headers })
    response.end(
      this.page(`<script async src="${this.widgetUrl ?? `${this.server.url}/widget.js`}" ${this.attributes}></script>`),
    )
  }

  stop() {
    this.listener.close()
    this.listener.closeAllConnections()
  }
}
