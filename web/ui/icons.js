// Icons, drawn in a box of 24.

const NAMESPACE = 'http://www.w3.org/2000/svg'

const PATHS = {
  close: 'M6 6l12 12M18 6L6 18',
  send: 'M4 12l16-8-6 16-3-6z',
  warn: 'M12 4l9 16H3zM12 10v4M12 17v.5',
  down: 'M6 9l6 6 6-6',
  clock: 'M12 4a8 8 0 1 0 .01 0M12 8v4l3 2',
  check: 'M5 12l5 5 9-10',
  lamp: 'M8 3h8l4 9H4zM12 12v8M8 21h8',
}

/** An icon beside a word that says the same: screen readers skip it. */
export function icon(/** @type {keyof typeof PATHS} */ name) {
  const svg = document.createElementNS(NAMESPACE, 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('class', 'icon')
  svg.setAttribute('aria-hidden', 'true')
  const path = svg.appendChild(document.createElementNS(NAMESPACE, 'path'))
  path.setAttribute('d', PATHS[name])
  return svg
}
