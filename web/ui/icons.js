// Icons, drawn in a box of 24.

const NAMESPACE = 'http://www.w3.org/2000/svg'

const PATHS = {
  close: 'M6 6l12 12M18 6L6 18',
  send: 'M4 12l16-8-6 16-3-6z',
  warn: 'M12 4l9 16H3zM12 10v4M12 17v.5',
  down: 'M6 9l6 6 6-6',
  clock: 'M12 4a8 8 0 1 0 .01 0M12 8v4l3 2',
  check: 'M5 12l5 5 9-10',
  back: 'M15 5l-7 7 7 7',
  person: 'M12 4a4 4 0 1 0 .01 0M5 20c0-4 3-6 7-6s7 2 7 6',
  group: 'M9 5a3 3 0 1 0 .01 0M3 19c0-4 2-6 6-6s6 2 6 6M18 9v6M15 12h6',
  chats: 'M4 5h16v11H9l-5 4z',
  admin: 'M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6z',
  help: 'M9 9a3 3 0 1 1 4 3c-1 .5-1 1-1 2M12 18v.5',
  settings: 'M4 7h10M18 7h2M4 17h2M10 17h10M14 5v4M6 15v4',
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
