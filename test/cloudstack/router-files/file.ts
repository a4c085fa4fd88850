/**
 * What the management server sends to a router: a function for each kind of file writes it as its JSON writer does. Fields
 * that no script reads are there too, since the scripts keep what they are sent.
 */

/** A file, by the name that says what it is about. */
export interface RouterFile {
  readonly name: string
  readonly content: object
}

export function makeFile(name: string, type: string, content: object): RouterFile {
  return { name: `${name}.json`, content: { ...content, type, delete_from_processed_cache: false } }
}
