import { describe, expect, it } from 'vitest'
import { isSecretName, redact, redactAll, redactCommand, redactUrl } from '../../src/redact.ts'

const passwords = [
  'S3CRET',
  'S3@CRET',
  '@S3CRET@',
  'S3:CRET',
  "S3'CRET",
  'S3\\CRET',
  'S3%40CRET',
  'S3/CRET',
  'S3?CRET',
  'S3#CRET',
  '123/S3CRET',
  '80?S3CRET',
  '80#S3CRET',
  'S3@1/CRET',
  'S3"CRET',
]

describe('a URL with a login', () => {
  it.each(passwords)('loses the login with the password %s in any text', (password) => {
    const url = `http://user:${password}@proxy.example:3128/path`
    for (const text of [
      url,
      `cannot reach it (http_proxy is ${url}): refused`,
      `--payload=${url}`,
      `${url}\n${url}`,
    ]) {
      expect(redact(text)).not.toMatch(/S3|CRET|user/)
      expect(redact(text)).toContain('http://…@proxy.example:3128/path')
    }
    expect(redactUrl(url)).toBe('http://…@proxy.example:3128/path')
  })

  it.each(['http:/', 'http:', 'HTTPS:////', 'http:\\\\', 'http:\\/\\/', 'socks5:/', '//', 'x,ftp://'])(
    'loses it after %s',
    (start) => {
      expect(redact(`see ${start}user:S3CRET@host/x`)).toBe(`see ${start}…@host/x`)
    },
  )

  it('loses a password with spaces, and what follows a port stays', () => {
    expect(redact('no answer from http://user:S3 CRET@proxy:3128/ today')).toBe(
      'no answer from http://…@proxy:3128/ today',
    )
    expect(redactUrl('http://user:12 S3@proxy')).toBe('http://…@proxy')
    expect(redactCommand(['--payload=http://user:12 S3@proxy'])).toEqual(['--payload=http://…@proxy'])
  })

  it('loses it within a parameter of another', () => {
    expect(redact('https://a.example/?to=https%3A%2F%2Fuser%3AS3CRET%40b.example%2F&n=1')).toBe(
      'https://a.example/?to=https%3A%2F%2F…%40b.example%2F&n=1',
    )
  })

  it.each([...passwords, 'S3 CRET'])('loses it with the password %s in JSON too', (password) => {
    const value = {
      found: redactUrl(`http://user:${password}@proxy.example/`),
      other: ['http://a.example', 'b@c.example'],
    }
    expect(JSON.stringify(value)).not.toMatch(/S3|CRET/)
    if (!/[ "]/.test(password))
      expect(redact(JSON.stringify([`http://user:${password}@proxy.example/`]))).toBe(
        '["http://…@proxy.example/"]',
      )
    expect(redactAll(value)).toEqual(value)
  })

  it('loses it without a scheme, and with a user alone', () => {
    expect(redactUrl('user:S3@CRET@proxy.example:3128')).toBe('…@proxy.example:3128')
    expect(redact('git+ssh://S3CRET@host/x https://S3@CRET@host')).toBe('git+ssh://…@host/x https://…@host')
  })

  it('loses the token of a presigned URL', () => {
    const url = 'https://bucket.example/x.tgz?X-Amz-Signature=S3CRET&part=1&access_token=S3CRET#sha256=00'
    expect(redact(url)).toBe('https://bucket.example/x.tgz?X-Amz-Signature=…&part=1&access_token=…#sha256=00')
  })
})

describe('a parameter', () => {
  it.each([
    ...['auth', 'key', 'code', 'sig', 'jwt', 'api_key', 'apiKey', 'AWSAccessKeyId', 'X-Amz-Signature'],
    ...['%74oken', '%2574oken', 'to%6ben', '%61uth', 'p%61ssword', 'private%5Ftoken', '%zz%74oken'],
  ])('%s loses its value, in a URL within another too', (name) => {
    const url = `https://a.example/x?id=1&${name}=S3CRET&n=2`
    expect(redact(`${url} and`)).toBe(`https://a.example/x?id=1&${name}=…&n=2 and`)
    expect(redact(`x?to=${encodeURIComponent(url)}`)).not.toContain('S3CRET')
    expect(redactUrl(`https://a.example/x?${name}=S3 "C;RET#z`)).toBe(`https://a.example/x?${name}=…#z`)
  })
})

describe('a text in which URL parsers find a password', () => {
  const parts = ['http:', 'ws:', 'git:', '/', '//', '\\', 'user', 'a.b', ':', '@', '1', '?', '#', '%40']
  /** A generator of numbers below 1, the same ones in every run. */
  const random = (seed: number) => () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  }
  const passwordIn = (text: string): string => {
    try {
      return new URL(text).password
    } catch {
      return ''
    }
  }

  it('loses it', () => {
    const next = random(1)
    const pick = () => parts[Math.floor(next() * parts.length)] as string
    const some = () => Array.from({ length: Math.floor(next() * 4) }, pick).join('')
    let found = 0
    for (let round = 0; round < 50_000; round += 1) {
      const text = `${pick()}${some()}${some()}:${some()}S3${some()}@${some()}h`
      if (!passwordIn(text).includes('S3')) continue
      found += 1
      for (const shown of [redact(`see ${text} there`), redactUrl(text)])
        expect(shown, text).not.toContain('S3')
    }
    expect(found).toBeGreaterThan(300)
  })
})

describe('a long text', () => {
  // In time that grows with the square of the length, each takes minutes.
  it.each([
    'a.',
    '://',
    '://a:',
    '://a:b',
    'http:',
    'a://b ',
    '?a',
    '&a=',
    '?token',
    ';token=',
    '\\',
    '@',
    '//',
    ':/a:',
    '"',
    'http:"',
    '%3a%2f',
    '%26key%3d',
    '&key=',
    'http://a:b c',
  ])('is read in a moment, however often it has %j', (part) => {
    const text = part.repeat(Math.floor((1 << 18) / part.length))
    for (const one of [text, `http://a:b${text}`, `http://${text}@h`]) redact(one)
  })
})

describe('a command line', () => {
  it('shows which values were set, and none of them', () => {
    const url = 'http://user:S3 CRET@example.org/x.tgz#sha256=00'
    const words = ['build', '--set', 'a.b=S3CRET', '--set=c=S3CRET', '--payload', url, '--out', 'out']
    expect(redactCommand(words)).toEqual([
      ...['build', '--set', 'a.b=…', '--set=c=…', '--payload', 'http://…@example.org/x.tgz#sha256=00'],
      ...['--out', 'out'],
    ])
  })
})

describe('a text without credentials', () => {
  it.each([
    'https://registry.example/@scope/package and joe@example.org',
    'http://deb.debian.org/debian is signed by joe@debian.org',
    'docker://[::1]:5000/layers@sha256:00 http://[fe80::1]/x@y',
    '{"url":"http://deb.debian.org","by":"joe@debian.org"}',
    'ssh-ed25519 AAAA joe@example.org',
    'https://bugs.example/?id=1&state=open',
  ])('stays as it is: %s', (text) => {
    expect(redact(text)).toBe(text)
    expect(redactAll({ text, list: [text, 1, null, true] })).toEqual({ text, list: [text, 1, null, true] })
  })
})

describe('the name of a setting', () => {
  it('says whether its value is shown', () => {
    expect(['rootPasswordHash', 'apiToken', 'client_secret', 'API_KEY', 'AUTH'].every(isSecretName)).toBe(
      true,
    )
    // The name of a hash is a setting: what it chooses is shown, and stays in the keys of layers.
    expect(['keyring', 'keyboard', 'keys', 'payload', 'signature', 'SIGNATURE'].some(isSecretName)).toBe(
      false,
    )
  })
})
