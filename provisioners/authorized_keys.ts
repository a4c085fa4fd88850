import { Buffer } from 'node:buffer'
import { defineStage, z } from '../src/api.ts'

/** What sshd accepts as a user's key in both suites. DSA is gone; RSA is what CloudStack makes. */
const keyTypes = [
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
]

/** Says what is wrong with one line of an authorized_keys file, or nothing. Options before the key are refused. */
function faultOfKey(line: string): string | undefined {
  if (/[^\x20-\x7e]/.test(line)) return 'it has a line break or another character that is not printable ASCII'
  const [type = '', blob = ''] = line.split(' ')
  if (line.includes('PRIVATE KEY')) return 'it is a private key'
  if (!keyTypes.includes(type)) return `it starts with "${type}", not with one of ${keyTypes.join(', ')}`
  const bytes = Buffer.from(blob, 'base64')
  if (bytes.length === 0 || bytes.toString('base64') !== blob) return 'its second field is not base64'
  // The blob repeats the type, as a string with its length in four bytes before it, and the key's numbers follow.
  const inner = bytes.length < 4 ? '' : bytes.subarray(4, 4 + bytes.readUInt32BE(0)).toString('latin1')
  if (inner !== type) return `it says ${type}, but its base64 is not such a key`
  if (!isWholeSequence(bytes)) return 'its base64 is truncated'
  return undefined
}

/** Whether the bytes are two or more strings, each with its length before it, and nothing else. */
function isWholeSequence(bytes: Buffer): boolean {
  let at = 0
  let strings = 0
  while (at + 4 <= bytes.length) {
    at += 4 + bytes.readUInt32BE(at)
    strings += 1
  }
  return at === bytes.length && strings >= 2
}

const publicKey = z.string().superRefine((line, context) => {
  const fault = faultOfKey(line)
  if (fault === undefined) return
  const shown = line.length > 40 ? `${line.slice(0, 40)}…` : line
  context.addIssue({
    code: 'custom',
    message: `is not an OpenSSH public key: ${fault} (${JSON.stringify(shown)})`,
  })
})

export const authorized_keys = defineStage({
  name: 'authorized_keys',
  summary: 'installs the SSH keys that may log in as root: none, unless some are given',
  from: import.meta.url,
  settings: {
    /**
     * OpenSSH public keys, one `type base64 comment` each, as in an `id_ed25519.pub`. For tests only: their owners can
     * log in to every machine made of the image. CloudStack brings its own key at first boot.
     * @default none
     */
    keys: z.array(publicKey).default([]),
  },
  // A value is never empty: a comment is a line that sshd skips.
  environment: (settings) => ({ KEYS: settings.keys.length === 0 ? '#' : settings.keys.join('\n') }),
  leaves: (settings) => (settings.keys.length === 0 ? ['/root/.ssh'] : ['/root/.ssh/authorized_keys']),
  timeoutSeconds: 120,
})
