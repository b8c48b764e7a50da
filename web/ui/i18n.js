// Words in the reader's language.

import { lazy, plain } from './format.js'

/** @typedef {Record<string, string>} Messages */
/** @typedef {((key: string, values?: Record<string, string | number>) => string) & { locale: string }} Translate */

/** The language of a tag that there are words for, or English. */
export function languageOf(/** @type {string} */ tag, /** @type {readonly string[]} */ known) {
  const wanted = tag.toLowerCase()
  return known.find((one) => one === wanted) ?? known.find((one) => one === wanted.split('-')[0]) ?? 'en'
}

/**
 * The tag by which numbers and times are written: the reader's, if the words are in its language.
 *
 * @param {string} wanted
 * @param {string} language of the words; of a host's own words, any
 */
export function tagOf(wanted, language, isOwn = false) {
  try {
    const [tag] = Intl.getCanonicalLocales(wanted)
    return isOwn || tag.split('-')[0].toLowerCase() === language ? tag : language
  } catch {
    return language
  }
}

/**
 * A function from keys to sentences. `{name}` in a sentence is replaced by a value; with a `count`, the
 * key's form for that number is taken, as in `new.one`. A key that is missing is shown as it is.
 *
 * @param {string} locale a whole tag, as `fr-CA`: numbers and times are written its way
 * @param {Messages} messages
 * @returns {Translate}
 */
export function translator(locale, messages) {
  const rules = lazy(() => new Intl.PluralRules(locale))
  const numbers = lazy(() => new Intl.NumberFormat(locale))
  const translate = (/** @type {string} */ key, /** @type {Record<string, string | number>} */ values = {}) => {
    const form =
      'count' in values
        ? (messages[`${key}.${rules().select(Number(values.count))}`] ?? messages[`${key}.other`])
        : undefined
    const sentence = form ?? messages[key] ?? key
    return sentence.replace(/\{(\w+)\}/g, (whole, name) => {
      const value = values[name]
      return typeof value === 'number' ? numbers().format(value) : plain(value ?? whole)
    })
  }
  return Object.assign(translate, { locale })
}
