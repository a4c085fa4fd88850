/** Every change to a single field of a record. */

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export interface Mutation {
  /** The path, and the new value: `layout.sizeBytes: "-x"`. */
  readonly title: string
  readonly record: Json
}

const strangers: readonly Json[] = [
  ...[null, true, 0, -1, 1.5, 2 ** 31, 2 ** 50, 1e300],
  ...['', '-', '--help', '-osize=1M,data_file=/etc/passwd', '1M', '../../../etc/passwd', '/etc/passwd'],
  ...['nbd://127.0.0.1/x', 'json:{}', 'a\nb', 'a\u0000b', '\u001b[2J', '::warning::x', '{{ .Vars }}', '${x}'],
  'x'.repeat(100_000),
  ...[[], [null], {}, { more: 1 }],
]

/** Replaces each value in turn, including nested ones; omits each field; and adds one to each object. */
export function* mutationsOf(record: Json): Generator<Mutation> {
  for (const { at, value } of placesIn(record)) {
    const own = typeof value === 'number' ? [-value, `${value}`] : []
    const longer = typeof value === 'string' ? [`-${value}`, `${value}\n`, `${value} -x`] : []
    for (const stranger of [...strangers, ...own, ...longer]) {
      if (JSON.stringify(stranger) === JSON.stringify(value)) continue
      yield {
        title: `${at.join('.')}: ${JSON.stringify(stranger).slice(0, 60)}`,
        record: put(record, at, stranger),
      }
    }
    if (at.length > 0) yield { title: `${at.join('.')} is left out`, record: put(record, at, undefined) }
    if (isObject(value)) yield { title: `${at.join('.')} has more`, record: put(record, [...at, 'more'], 1) }
  }
}

interface Place {
  readonly at: readonly string[]
  readonly value: Json
}

function placesIn(value: Json, at: readonly string[] = []): readonly Place[] {
  const inner = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return [{ at, value }, ...inner.flatMap(([key, one]) => placesIn(one, [...at, key]))]
}

function put(value: Json, [key, ...rest]: readonly string[], stranger: Json | undefined): Json {
  if (key === undefined) return stranger ?? null
  const copy = structuredClone(value) as Record<string, Json>
  if (rest.length > 0) copy[key] = put(copy[key] as Json, rest, stranger)
  else if (stranger === undefined) delete copy[key]
  else copy[key] = stranger
  return Array.isArray(copy) ? copy.filter(() => true) : copy
}

function isObject(value: Json): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
