/** Handlebars as our templates use it: no HTML escaping, and a value that is missing is an error, never an empty text. */

import { readFile } from 'node:fs/promises'
import Handlebars from 'handlebars'

const folder = new URL('../../templates/', import.meta.url)

type Helpers = Readonly<Record<string, (value: unknown) => string>>

/**
 * Renders `templates/<name>` with a view.
 * @param helpers functions that write a value in the language of the file; they get `undefined` for a missing value
 * @throws Error naming the template, when it uses a value that the view lacks
 */
export async function renderTemplate(name: string, view: object, helpers: Helpers): Promise<string> {
  const source = await readFile(new URL(name, folder), 'utf8')
  const handlebars = Handlebars.create()
  for (const [helper, write] of Object.entries(helpers)) {
    // Handlebars passes its own options last; `strict` does not look at a helper's arguments.
    handlebars.registerHelper(helper, (...values: unknown[]) => {
      if (values.length !== 2 || values[0] === undefined || values[0] === null) {
        throw new Error(`templates/${name}: {{${helper} …}} got no value`)
      }
      return write(values[0])
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
    const message = (cause as Error).message
    throw new Error(message.startsWith('templates/') ? message : `templates/${name}: ${message}`, { cause })
  }
}
