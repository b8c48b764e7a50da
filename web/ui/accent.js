// A host's colour, made readable: darkened on light ground, lightened on dark, until it has contrast.

/** @typedef {[number, number, number]} Triple */

/** The least contrast of a text (WCAG 2.2 AA). */
const CONTRAST = 4.5
/** The grounds of the two themes, the darkest of the light and the lightest of the dark ones. */
const LIGHT_GROUND = '#f3f1ed'
const DARK_GROUND = '#23282e'
const INK = '#1c2128'
const WHITE = '#ffffff'
/** A step of lightness, in OKLCH from 0 to 1. */
const STEP = 0.01

/**
 * The tokens for an accent `#rrggbb`. Anything else is ignored, with a warning for the host's author.
 *
 * @returns {Record<string, string> | null}
 */
export function accentTokens(/** @type {string} */ accent) {
  if (!/^#[0-9a-f]{6}$/i.test(accent)) {
    console.warn(`frontdesk: the accent ${accent} is ignored; it must be a colour as in #006084`)
    return null
  }
  const light = readable(accent, LIGHT_GROUND, -STEP)
  const dark = readable(accent, DARK_GROUND, STEP)
  return { '--act': `light-dark(${light}, ${dark})`, '--on-act': `light-dark(${on(light)}, ${on(dark)})` }
}

/** The colour of this hue that is nearest to the accent, and readable on the ground. */
function readable(/** @type {string} */ accent, /** @type {string} */ ground, /** @type {number} */ step) {
  const [lightness, a, b] = toOklab(toLinear(accent))
  for (let l = lightness; l >= 0 && l <= 1; l += step) {
    const colour = toHex(fromOklab([l, a, b]))
    if (contrast(colour, ground) >= CONTRAST) return colour
  }
  return step < 0 ? INK : WHITE
}

/** Ink or white, whichever is easier to read on the colour. */
function on(/** @type {string} */ colour) {
  return contrast(colour, WHITE) >= contrast(colour, INK) ? WHITE : INK
}

export function contrast(/** @type {string} */ one, /** @type {string} */ other) {
  const [darker, lighter] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (lighter + 0.05) / (darker + 0.05)
}

function luminance(/** @type {string} */ colour) {
  const [r, g, b] = toLinear(colour)
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

/** @returns {Triple} */
function toLinear(/** @type {string} */ hex) {
  const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
  return /** @type {Triple} */ (parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)))
}

function toHex(/** @type {Triple} */ linear) {
  const byte = (/** @type {number} */ part) => {
    const bounded = Math.min(1, Math.max(0, part))
    const encoded = bounded <= 0.0031308 ? bounded * 12.92 : 1.055 * bounded ** (1 / 2.4) - 0.055
    return Math.round(encoded * 255).toString(16).padStart(2, '0')
  }
  return `#${linear.map(byte).join('')}`
}

/** Björn Ottosson's matrices. @returns {Triple} */
function toOklab(/** @type {Triple} */ [r, g, b]) {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ]
}

/** @returns {Triple} */
function fromOklab(/** @type {Triple} */ [lightness, a, b]) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ]
}
