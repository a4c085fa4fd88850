/**
 * A CloudStack that speaks its API on a loopback address: written from the documentation ("Signing API requests") and from
 * `verifyRequest` in CloudStack's `ApiServer.java`, without a line of the client that it judges.
 */

import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeTemplate {
  readonly id: string
  readonly parameters: ReadonlyMap<string, string>
  /** Number of queries so far. */
  asked: number
}

export interface TestCloud {
  readonly url: string
  readonly apiKey: string
  readonly secretKey: string
  readonly templates: FakeTemplate[]
  /** Commands that were called, including refused ones. */
  readonly called: string[]
  /** Complete requests, as they arrived. */
  readonly received: string[]
  /** What listTemplates says about a zone after this many queries. */
  statusOf: (zone: string, asked: number) => Readonly<Record<string, unknown>>
  /** The response to every request, instead of CloudStack's own. */
  refuseAll: string | undefined
  readonly close: () => Promise<void>
}

export const zones = [
  { id: '11111111-0000-4000-8000-000000000001', name: 'east' },
  { id: '11111111-0000-4000-8000-000000000002', name: 'west & south' },
]

const osTypes = [
  { id: '22222222-0000-4000-8000-000000000001', description: 'Debian GNU/Linux 12 (64-bit)' },
  { id: '22222222-0000-4000-8000-000000000002', description: 'Other Linux (64-bit)' },
]

const required = ['name', 'displaytext', 'url', 'format', 'hypervisor', 'ostypeid', 'zoneids']

export async function startCloud(): Promise<TestCloud> {
  const [apiKey, secretKey] = ['test-api-key_1', 'planted-secret_2']
  const templates: FakeTemplate[] = []
  const called: string[] = []
  const received: string[] = []
  const server = createServer(async (request, answer) => {
    const text = await textOf(request)
    received.push(`${request.method} ${request.url} ${text}`)
    const parameters = parametersOf(text)
    const command = parameters.get('command') ?? ''
    called.push(command)
    const { status, body } = isSigned(parameters, apiKey, secretKey)
      ? perform(command, parameters)
      : refuse(401, 'unable to verify user credentials and/or request signature')
    answer.writeHead(status, { 'content-type': 'application/json; charset=UTF-8' })
    answer.end(cloud.refuseAll ?? JSON.stringify({ [`${command.toLowerCase()}response`]: body }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')

  const cloud: TestCloud = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/client/api`,
    apiKey,
    secretKey,
    templates,
    called,
    received,
    statusOf: (_zone, asked) =>
      asked < 2
        ? { isready: false, status: '40% Downloaded' }
        : { isready: true, status: 'Download Complete' },
    refuseAll: undefined,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }

  function perform(command: string, parameters: ReadonlyMap<string, string>): Said {
    if (command === 'listZones') return ok({ count: zones.length, zone: zones })
    if (command === 'listOsTypes') {
      const found = osTypes.filter(({ description }) => description === parameters.get('description'))
      return ok(found.length === 0 ? {} : { count: found.length, ostype: found })
    }
    if (command === 'registerTemplate') return registerOne(parameters)
    if (command === 'listTemplates') return listSome(parameters)
    return refuse(432, `The given command:${command} does not exist or it is not available for user`)
  }

  function registerOne(parameters: ReadonlyMap<string, string>): Said {
    const missing = required.find((name) => !parameters.get(name))
    if (missing !== undefined)
      return refuse(431, `Unable to execute API command registertemplate due to missing parameter ${missing}`)
    const template = { id: `33333333-0000-4000-8000-00000000000${templates.length}`, parameters, asked: 0 }
    templates.push(template)
    return ok({ count: 1, template: [{ id: template.id, name: parameters.get('name'), isready: false }] })
  }

  function listSome(parameters: ReadonlyMap<string, string>): Said {
    const found = templates.filter(
      ({ id, parameters: own }) =>
        (!parameters.has('id') || parameters.get('id') === id) &&
        (!parameters.has('name') || (own.get('name') ?? '').includes(parameters.get('name') ?? '')),
    )
    const template = found.flatMap((one) => {
      if (parameters.has('id')) one.asked += 1
      const asked = one.parameters.get('zoneids') ?? ''
      return zones
        .filter(({ id }) => asked === '-1' || asked.split(',').includes(id))
        .map(({ id, name }) => ({
          id: one.id,
          name: one.parameters.get('name'),
          checksum: (one.parameters.get('checksum') ?? '').replace(/^\{.*\}/, ''),
          zoneid: id,
          zonename: name,
          ...cloud.statusOf(name, one.asked),
        }))
    })
    return ok(template.length === 0 ? {} : { count: template.length, template })
  }
  return cloud
}

// --- internal ---

interface Said {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

const ok = (body: Said['body']): Said => ({ status: 200, body })

function refuse(code: number, errortext: string): Said {
  return { status: code, body: { uuidList: [], errorcode: code, cserrorcode: 9999, errortext } }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const [, query = ''] = (request.url ?? '').split('?')
  return [query, Buffer.concat(chunks).toString()].filter((part) => part !== '').join('&')
}

function parametersOf(text: string): ReadonlyMap<string, string> {
  const decode = (part: string) => decodeURIComponent(part.replaceAll('+', ' '))
  return new Map(
    text.split('&').map((pair) => {
      const [name = '', ...value] = pair.split('=')
      return [decode(name), decode(value.join('='))]
    }),
  )
}

function isSigned(parameters: ReadonlyMap<string, string>, apiKey: string, secretKey: string): boolean {
  const named = (wanted: string) =>
    [...parameters].find(([name]) => name.toLowerCase() === wanted.toLowerCase())?.[1]
  if (named('apiKey') !== apiKey) return false
  if (named('signatureVersion') === '3' && !isTimely(named('expires') ?? '')) return false
  const unsigned = [...parameters.keys()]
    .sort()
    .filter((name) => name.toLowerCase() !== 'signature')
    .map((name) => `${name}=${javaEncode(parameters.get(name) ?? '')}`)
    .join('&')
    .toLowerCase()
  return createHmac('sha1', secretKey).update(unsigned).digest('base64') === named('signature')
}

/** In the format of Java's `yyyy-MM-dd'T'HH:mm:ssZ`, neither past nor more than fifteen minutes ahead. */
function isTimely(expires: string): boolean {
  const [, date, zone] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)([+-]\d{4})$/.exec(expires) ?? []
  if (date === undefined || zone === undefined) return false
  const aheadMs = new Date(`${date}${zone.slice(0, 3)}:${zone.slice(3)}`).getTime() - Date.now()
  return aheadMs >= 0 && aheadMs <= 15 * 60_000
}

/** `URLEncoder.encode(value, "UTF-8").replaceAll("\\+", "%20")`, byte by byte. */
function javaEncode(value: string): string {
  return [...Buffer.from(value)]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[a-zA-Z0-9.*_-]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
}
