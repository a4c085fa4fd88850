import { defineStage, z } from '../src/api.ts'

/** What `mkpasswd` or `openssl passwd -6` prints: yescrypt, SHA-512 or SHA-256. Weaker kinds are refused. */
const cryptHash =
  /^\$(?:y\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{1,86}\$[./A-Za-z0-9]{43}|6\$(?:rounds=\d+\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{86}|5\$(?:rounds=\d+\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{43})$/

export const configure_login = defineStage({
  name: 'configure_login',
  summary: 'creates an administrative account with six commands, and leaves no password that anyone knows',
  from: import.meta.url,
  settings: {
    /**
     * crypt(3) hash of root's password, for logging in on a console. Anyone who has the image can read it.
     * @default none: root logs in with an SSH key only
     */
    rootPasswordHash: z
      .string()
      .regex(
        cryptHash,
        'must be a crypt(3) hash in yescrypt ($y$), SHA-512 ($6$) or SHA-256 ($5$), as mkpasswd prints it',
      )
      .optional(),
  },
  packages: () => ['sudo'],
  environment: (settings, image) => ({
    // `*` matches no password and, unlike `!`, is no lock that some sshd configuration refuses keys for.
    ROOT_PASSWORD_HASH: settings.rootPasswordHash ?? '*',
    ACCOUNT: image.account.name,
    ACCOUNT_FULL_NAME: image.account.fullName,
    ACCOUNT_GROUPS: [...new Set(['admin', ...image.account.groups])].join(','),
  }),
  leaves: (_settings, image) => [
    '/etc/sudoers.d/systemvm',
    '/etc/udev/rules.d/70-hvc0-getty.rules',
    `/home/${image.account.name}/.ssh`,
  ],
  timeoutSeconds: 300,
})
