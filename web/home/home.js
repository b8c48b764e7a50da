// The page of a server without a demo: it says that the server runs, and where to look.

import { h } from '../ui/view.js'
import { readWords } from '../pages/words.js'

const t = await readWords((language) => import(`../i18n/pages/${language}.js`))
document.title = t('home.title')
document
  .querySelector('main')
  ?.replaceChildren(
    h('h1', {}, t('home.title')),
    h('p', {}, t('home.text')),
    h('p', {}, h('a', { href: '/check' }, t('home.check'))),
  )
