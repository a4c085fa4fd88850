import { describe, expect, it } from 'vitest'
import { isSecret, maskSecrets } from '../../../src/diff/secrets.ts'

const hash = '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7'
const other = '$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.'
const key = (body: string) =>
  `-----BEGIN OPENSSH PRIVATE KEY-----\n${body}\n${body}\n-----END OPENSSH PRIVATE KEY-----\n`

describe('secrets of a disk', () => {
  it('are the hashes of passwords, old ones too, and those of no crypt(5) kind', () => {
    const text = `root:${hash}:19000::::::\ncloud:!${other}:1::::::\nold:aaJ5vOZWz0D1M:1::::::\n`
    const masked = maskSecrets('/etc/shadow', text)
    for (const secret of [hash, other, 'aaJ5vOZWz0D1M']) expect(masked).not.toContain(secret.slice(4, 12))
    expect(masked).toMatch(/^root:<secret [0-9a-f]{8}>:19000::::::\ncloud:!<secret [0-9a-f]{8}>:1:/)
    for (const path of ['/etc/shadow-', '/etc/gshadow', '/etc/gshadow-', '/etc/passwd']) {
      expect(maskSecrets(path, text)).toBe(masked)
    }
  })

  it('are not what says that an account is locked or open', () => {
    const text = 'root:*:1::::::\nbin:!*:1::::::\nopen::1::::::\nlocked:!:1::::::\nnone:!!:1::::::\n\n'
    expect(maskSecrets('/etc/shadow', text)).toBe(text)
    expect(maskSecrets('/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n')).toBe(
      'root:x:0:0:root:/root:/bin/sh\n',
    )
  })

  it('are the bodies of private keys, in any file, also of one that is cut short', () => {
    const masked = maskSecrets('/etc/ssh/ssh_host_key', `before\n${key('c2VjcmV0')}after\n`)
    expect(masked).not.toContain('c2VjcmV0')
    expect(masked).toMatch(
      /^before\n-----BEGIN OPENSSH PRIVATE KEY-----\n<secret \w+>\n-----END OPENSSH PRIVATE KEY-----\nafter\n$/,
    )
    const short = maskSecrets('/root/key.pem', key('c2VjcmV0').slice(0, 50))
    expect(short).not.toContain('c2Vj')
    const twoKeys = maskSecrets('/etc/keys', key('Zmlyc3Q=') + key('c2Vjb25k'))
    expect(twoKeys).not.toMatch(/Zmlyc3Q|c2Vjb25k/)
    expect(maskSecrets('/etc/k', '-----BEGIN RSA PRIVATE KEY-----\r\nc2VjcmV0\r\n-----END')).not.toContain(
      'c2Vj',
    )
  })

  it('are hashes and keys wherever they stand', () => {
    expect(maskSecrets('/etc/cloud/cloud.cfg', `passwd: "${other}"\n`)).not.toContain(other.slice(10, 20))
    const grub = 'password_pbkdf2 root grub.pbkdf2.sha512.10000.ABCDEF0123.0123456789\n'
    expect(maskSecrets('/etc/grub.d/40_custom', grub)).not.toContain('ABCDEF')
    expect(
      maskSecrets('/etc/wireguard/wg0.conf', 'PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n'),
    ).not.toContain('yAnz5TF')
  })

  it('are settings that are named for them, and not what only sounds like one', () => {
    expect(maskSecrets('/etc/app.conf', 'Password: "swordfish"\napi_key=abc123\npsk="wave"\n')).not.toMatch(
      /swordfish|abc123|wave/,
    )
    for (const text of [
      'passwd: files systemd\n',
      'PasswordAuthentication no\n',
      'password [success=1 default=ignore] pam_unix.so obscure yescrypt\n',
      'AuthorizedKeysFile .ssh/authorized_keys\n',
      'ask_password = yes\n',
    ]) {
      expect(maskSecrets('/etc/any', text)).toBe(text)
    }
  })

  it('differ in their marks where they differ, and only there', () => {
    const [one, two] = [hash, other].map((secret) => maskSecrets('/etc/shadow', `root:${secret}:1:\n`))
    expect(one).not.toBe(two)
    expect(maskSecrets('/etc/shadow', `root:${hash}:2:\n`)).toBe(one?.replace(':1:', ':2:'))
  })

  it('are whole files where every line is one', () => {
    for (const path of [
      '/etc/ppp/chap-secrets',
      '/etc/ipsec.secrets',
      '/root/.netrc',
      '/var/lib/systemd/random-seed',
    ]) {
      expect(isSecret(path), path).toBe(true)
    }
    expect(isSecret('/etc/hosts')).toBe(false)
  })
})
