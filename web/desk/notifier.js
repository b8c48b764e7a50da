// What is told to an agent who looks elsewhere: in the title, on the icon, by the system, and by a sound.

/** @typedef {import('../ui/i18n.js').Translate} Translate */
/** @typedef {import('./preferences.js').Preferences} Preferences */
/** @typedef {{ chat: number, seq: number, name: string, text: string }} Arrival */

/** Held by each tab of the desk that is in sight. */
const IN_SIGHT = 'frontdesk-in-sight'
/** Time for which the tab that tells of a message keeps others from it, in milliseconds. */
const CLAIMED = 5_000
/**
 * Sounds are so far apart at least, and of notifications so many come in a while at most, in milliseconds: after a
 * break many messages come at once.
 */
const SOUND_PAUSE = 2_000
const MOST_NOTICES = 3
const NOTICES_WHILE = 10_000
/** Characters of a message in a notification. */
const NOTICE_CHARS = 200
/** The sound: two strokes of a bell, in hertz, and how long they last, in seconds. */
const TONES = [1_318, 1_976]
const TONE_SECONDS = 0.35
const TONE_GAIN = 0.12

export class Notifier {
  #t
  #preferences
  #open
  #title
  #icon = /** @type {HTMLLinkElement | null} */ (document.querySelector('link[rel=icon]'))
  /** @type {AudioContext | null} */
  #audio = null
  /** @type {((nothing?: void) => void) | null} */
  #leaveSight = null
  /** True if the browser lets no sound through, and one was due. */
  isBlocked = false
  #changed
  #rangAt = 0
  /** Times of the last notifications. @type {number[]} */
  #noticed = []

  /**
   * @param {{
   *   t: Translate, preferences: Preferences, title: string, open: (chat: number) => void, changed: () => void,
   * }} options `open`: a notification was pressed; `changed`: sound is blocked, or no more
   */
  constructor({ t, preferences, title, open, changed }) {
    this.#t = t
    this.#preferences = preferences
    this.#title = title
    this.#open = open
    this.#changed = changed
    document.addEventListener('visibilitychange', this.#look)
    for (const name of ['pointerdown', 'keydown']) document.addEventListener(name, this.#unblock, true)
    this.#look()
  }

  end() {
    document.removeEventListener('visibilitychange', this.#look)
    for (const name of ['pointerdown', 'keydown']) document.removeEventListener(name, this.#unblock, true)
    this.#leaveSight?.()
    this.#audio?.close()
    this.unread(0)
  }

  /** How many chats have something new. */
  unread(/** @type {number} */ count) {
    document.title = count > 0 ? `(${count}) ${this.#title}` : this.#title
    if (this.#icon) this.#icon.href = count > 0 ? new URL('unread.svg', import.meta.url).href : '/favicon.svg'
  }

  /** A customer's message has come. Told once, however many tabs there are, and by the system only if none is in sight. */
  async arrived(/** @type {Arrival} */ arrival, isLookedAt = false) {
    // Another tab of this agent, which does not look, keeps silent as well.
    if (isLookedAt) return claim(soundOf(arrival), () => undefined)
    const { sound, notices } = this.#preferences.all
    const now = Date.now()
    if (sound && now - this.#rangAt >= SOUND_PAUSE) {
      this.#rangAt = now
      this.#ring(arrival)
    }
    if (!notices || globalThis.Notification?.permission !== 'granted') return
    this.#noticed = this.#noticed.filter((at) => now - at < NOTICES_WHILE)
    if (this.#noticed.length >= MOST_NOTICES) return
    const { held = [] } = (await navigator.locks?.query()) ?? {}
    if (held.some(({ name }) => name === IN_SIGHT)) return
    await claim(`frontdesk-notice ${arrival.chat} ${arrival.seq}`, () => {
      this.#noticed.push(now)
      this.#show(arrival)
    })
  }

  /** Asks whether notifications may be shown. Only a gesture may. @returns {Promise<boolean>} */
  async askToNotify() {
    const { Notification } = globalThis
    return Notification !== undefined && (await Notification.requestPermission()) === 'granted'
  }

  #show(/** @type {Arrival} */ { chat, name, text }) {
    const body = text.length > NOTICE_CHARS ? `${text.slice(0, NOTICE_CHARS)}…` : text
    const notice = new Notification(this.#t('desk.notice', { name }), { body, tag: `frontdesk ${chat}` })
    notice.onclick = () => {
      window.focus()
      notice.close()
      this.#open(chat)
    }
  }

  async #ring(/** @type {Arrival} */ arrival) {
    this.#audio ??= globalThis.AudioContext ? new AudioContext() : null
    const audio = this.#audio
    if (!audio) return
    // It never answers where the browser waits for a gesture.
    if (audio.state === 'suspended') audio.resume().catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 100))
    if (audio.state !== 'running') return this.#block(true)
    await claim(soundOf(arrival), () => play(audio))
  }

  #block(/** @type {boolean} */ isBlocked) {
    if (this.isBlocked === isBlocked) return
    this.isBlocked = isBlocked
    this.#changed()
  }

  #unblock = () => {
    if (!this.#audio || this.#audio.state === 'running') return this.#block(false)
    this.#audio.resume().then(
      () => this.#block(false),
      () => undefined,
    )
  }

  /** A tab that is in sight holds a lock, which the others see. */
  #look = () => {
    const isInSight = document.visibilityState === 'visible'
    if (!isInSight) {
      this.#leaveSight?.()
      this.#leaveSight = null
    } else if (!this.#leaveSight) {
      const left = new Promise((/** @type {(nothing?: void) => void} */ resolve) => (this.#leaveSight = resolve))
      navigator.locks?.request(IN_SIGHT, { mode: 'shared' }, () => left).catch(() => undefined)
    }
  }
}

/** The lock of a message's sound. */
function soundOf(/** @type {Arrival} */ { chat, seq }) {
  return `frontdesk-sound ${chat} ${seq}`
}

/** Acts in one tab alone. Where the browser has no locks, in each. */
async function claim(/** @type {string} */ name, /** @type {() => void} */ act) {
  if (!navigator.locks) return act()
  await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
    if (!lock) return
    act()
    await new Promise((resolve) => setTimeout(resolve, CLAIMED))
  })
}

function play(/** @type {AudioContext} */ audio) {
  for (const [index, hertz] of TONES.entries()) {
    const begin = audio.currentTime + (index * TONE_SECONDS) / 2
    const tone = new OscillatorNode(audio, { frequency: hertz })
    const gain = new GainNode(audio, { gain: TONE_GAIN })
    gain.gain.setValueAtTime(TONE_GAIN, begin)
    gain.gain.exponentialRampToValueAtTime(0.001, begin + TONE_SECONDS)
    tone.connect(gain).connect(audio.destination)
    tone.start(begin)
    tone.stop(begin + TONE_SECONDS)
  }
}
