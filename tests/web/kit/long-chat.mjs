// A long chat that is read back, in the page.

/**
 * Scrolls a log back to its first message. Returns by how much the message under the eye moved at most, how many
 * elements there were at most, and the text that was reached.
 */
export async function readBack(log) {
  let jump = 0
  let most = 0
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
  const deadline = performance.now() + 120_000
  for (;;) {
    log.scrollTop = 400
    const { top } = log.getBoundingClientRect()
    const eye = [...log.querySelectorAll('.message')].find((row) => row.getBoundingClientRect().bottom > top)
    const before = eye.getBoundingClientRect().top
    await frame()
    if (eye.isConnected) jump = Math.max(jump, Math.abs(eye.getBoundingClientRect().top - before))
    most = Math.max(most, log.querySelectorAll('li').length)
    const first = log.querySelector('.message .bubble').textContent
    if (first === '1' || performance.now() > deadline) return { jump, most, first }
  }
}
