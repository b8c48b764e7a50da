// The words of a page in its reader's language, by the browser's wish or by `?lang=`.

import { languageOf, tagOf, translator } from '../ui/i18n.js'

/** Languages that the pages have. */
const LANGUAGES = ['en', 'fr', 'ko', 'zh']

/**
 * @param {(language: string) => Promise<{ messages: Record<string, string> }>} load
 * @param {string} [chosen] a language, if the reader has chosen one
 */
export async function readWords(load, chosen = '') {
  const tag = chosen || (new URLSearchParams(location.search).get('lang') ?? navigator.language)
  const language = languageOf(tag, LANGUAGES)
  const { messages } = await load(language)
  document.documentElement.lang = language
  return translator(tagOf(tag, language), messages)
}
