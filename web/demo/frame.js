// A frame of the demo: its line, which the page around it can cut, and the state of its client.

import { Line } from './line.js'
import { demoToken } from './session.js'

/** @typedef {{ state: string, seq: number, waiting: number }} FrameStatus */

/** The life of a token that is to end soon, in seconds. */
const SHORT = 5

/**
 * Puts this frame's line between its client and the server.
 *
 * @param {'customer' | 'agent'} who
 */
export function openFrame(who) {
  const line = new Line()
  line.install(window)
  /** @type {number | undefined} */
  let seconds
  addEventListener('message', ({ source, origin, data }) => {
    if (source !== parent || origin !== location.origin) return
    if (data.frontdesk === 'cut') line.cut()
    else if (data.frontdesk === 'freeze') line.freeze()
    else if (data.frontdesk === 'mend') line.mend()
    else if (data.frontdesk === 'expire') {
      seconds = SHORT
      line.breakOnce()
    }
  })
  return {
    /** A token; a short one after the button was pressed. */
    token() {
      const life = { seconds }
      seconds = undefined
      return demoToken(who, life)
    },
    /** Tells the page around it. */
    tell(/** @type {FrameStatus} */ status) {
      if (parent !== window) parent.postMessage({ status }, location.origin)
    },
  }
}
