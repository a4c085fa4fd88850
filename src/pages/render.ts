/** Web pages from Handlebars templates: one file each, which a browser shows without contacting any host. */

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import Handlebars from 'handlebars'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

/** Renders `templates/<name>.hbs`. Every value of the view is text: Handlebars escapes it. */
export function renderPage(name: 'release' | 'run', view: object): string {
  const { render, style, script } = load()
  // No directive allows a host, and only this style and this script match the digests.
  const policy = [
    "default-src 'none'",
    'img-src data:',
    `style-src ${digestSource(style)}`,
    `script-src ${digestSource(script)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  return render(name, { ...view, policy, style, script })
}

// --- internal ---

interface Loaded {
  readonly render: (name: string, view: object) => string
  readonly style: string
  readonly script: string
}

let loaded: Loaded | undefined

/** Cached, since compiling takes longer than rendering. */
function load(): Loaded {
  if (loaded !== undefined) return loaded
  const handlebars = Handlebars.create()
  const names = readdirSync(new URL('templates/', import.meta.url)).filter((name) => name.endsWith('.hbs'))
  for (const name of names) handlebars.registerPartial(name.replace(/\.hbs$/, ''), read(`templates/${name}`))
  handlebars.registerHelper('breakable', breakable)
  // A log and a lookup are fields here, not the helpers that Handlebars has by these names.
  const knownHelpers = { breakable: true, log: false, lookup: false }
  const options = { strict: true, knownHelpersOnly: true, knownHelpers }
  const pages = new Map(
    ['release', 'run'].map((name) => [name, handlebars.compile(`{{> ${name}}}`, options)]),
  )
  loaded = {
    render: (name, view) => pages.get(name)?.(view) ?? '',
    style: read('style.css'),
    script: read('browser/page.js'),
  }
  return loaded
}

/** A name that on narrow screens breaks after an underscore, instead of within a word. */
function breakable(name: string): Handlebars.SafeString {
  return new Handlebars.SafeString(Handlebars.escapeExpression(name).replaceAll('_', '_<wbr>'))
}

function digestSource(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}
