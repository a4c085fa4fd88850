/** Handlebars for our templates: no HTML escaping, and a missing value is an error, never an empty text. */

import { readFileSync } from 'node:fs'
import Handlebars from 'handlebars'

const folder = new URL('../templates/', import.meta.url)

type Helpers = Readonly<Record<string, (value: unknown) => string>>

/** The text of `templates/<name>`, not rendered. */
export function readTemplate(name: string): string {
  return readFileSync(new URL(name, folder), 'utf8')
}

/**
 * Renders `templates/<name>` with a view.
 * @param helpers functions that format a value in the file's language; they get `undefined` for a missing value
 * @throws Error naming the template, if it uses a value that the view lacks
 */
export function renderTemplate(name: string, view: object, helpers: Helpers): string {
  const source = readTemplate(name)
  const handlebars = Handlebars.create()
  for (const [helper, write] of Object.entries(helpers)) {
    // Handlebars passes its own options last; `strict` does not check a helper's arguments.
    handlebars.registerHelper(helper, (...values: unknown[]) => {
      if (values.length !== 2) throw new Error(`templates/${name}: {{${helper} …}} takes one value`)
      return write(required(values[0], `templates/${name}: {{${helper} …}} is given a value that is missing`))
    })
  }
  const render = handlebars.compile(source, {
    noEscape: true,
    strict: true,
    knownHelpersOnly: true,
    knownHelpers: Object.fromEntries(Object.keys(helpers).map((helper) => [helper, true])),
  })
  try {
    return render(view)
  } catch (cause) {
    // A helper's own message is best; Handlebars does not name the file.
    if (!(cause instanceof Error) || !cause.message.includes('not defined in')) throw cause
    throw new Error(`templates/${name}: ${cause.message}`, { cause })
  }
}

function required(value: unknown, message: string): unknown {
  if (value === undefined || value === null) throw new Error(message)
  return value
}
