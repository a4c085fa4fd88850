/** The product as one typed value, which a person writes in `pipeline.ts`, and its rules. */

import { z } from 'zod'
import { archNames } from '../arch.ts'
import { formatFields, targetNames } from '../targets/registry.ts'
import { rememberCall } from './call-sites.ts'
import type { CheckUse } from './check.ts'
import { type AssertionId, assertionIds, contractNames } from './contract.ts'
import { debianInstallerFields } from './debian-installer.ts'
import { diskField } from './disk.ts'
import { freshnessFields } from './freshness.ts'
import { installerField } from './installer.ts'
import { leaveOutField } from './left-out.ts'
import { hostFile, mirrorFields } from './mirror.ts'
import type { FormatPreset } from './presets.ts'
import type { StageUse } from './stage.ts'
import { folderUrl } from './urls.ts'

const hostLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const dnsName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/
const unixName = /^[a-z_][a-z0-9_-]{0,31}$/

/** Users and groups that Debian has from the start: useradd would fail on them, or take over their files. */
const systemNames = new Set(
  `root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody _apt
  systemd-network systemd-resolve systemd-timesync systemd-journal messagebus sshd polkitd uuidd tcpdump ntpsec
  adm tty disk kmem dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp video sasl
  plugdev staff users nogroup input sgx kvm render crontab netdev utempter`.split(/\s+/),
)

/** The latest time of a file in an OVA: its tar format has 11 octal digits for it. */
export const maximumEpoch = 8 ** 11 - 1

/** The earliest date of a file in a zip archive. */
const firstDay = '1980-01-01'

function isDateOfFiles(date: string): boolean {
  const epoch = Date.parse(`${date}T00:00:00Z`) / 1000
  // Invalid dates have already been reported.
  return !(date < firstDay || epoch > maximumEpoch)
}

function isWithoutDuplicates(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length
}

/** A name in a tar can have at most 100 bytes, including `<name>-<release>-<label>-<arch>-disk1.vmdk`. */
const fitsTar = (length: number) =>
  `must have at most ${length} characters, or a file in an OVA has no room for it`

const guestMemory = z.int().min(256, 'must be at least 256 MiB').max(65_536)
const guestCpus = z.int().min(1).max(64)

const kernelField = z.string().regex(/^linux-image-[a-z0-9.+-]+$/, 'must be a linux-image package')

const targetsField = z
  .array(z.enum(targetNames))
  .min(1, 'must name at least one target')
  .refine(isWithoutDuplicates, 'must name each target once')

/** Fields that can differ between architectures and between variants. */
const ownShape = {
  /** The disk: firmware differs in the partitions that it boots from. */
  disk: diskField.optional(),
  /** The kernel: Debian names kernels after architectures. */
  kernelPackage: kernelField.optional(),
  /** The targets: not every hypervisor runs on every architecture. */
  targets: targetsField.optional(),
}
const ownFields = z.strictObject(ownShape)

const pipelineShape = {
  /** First part of every image's file name. */
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, 'must be lower case letters, digits and dashes')
    .max(40, fitsTar(40)),
  /** Version of the images, e.g. `1.0`; of a system VM, the CloudStack release that it is for, e.g. `4.22.0`. */
  release: z
    .string()
    .regex(/^\d+(\.\d+){1,3}(-[A-Za-z0-9.]+)?$/, 'must look like 4.22.0')
    .max(30, fitsTar(30)),
  /** Date stamped on everything that is built (`2026-11-01`); SOURCE_DATE_EPOCH overrides it. */
  date: z.iso
    .date('must be a date like 2026-11-01')
    .refine(isDateOfFiles, `must be from ${firstDay}, a zip file's first day, to 2242-03-16, an OVA's last`),
  /** Recreate the final disk from its files, so that the same files give the same bytes. */
  reproducible: z.boolean().default(true),
  /** Images of this product, the default first. */
  variants: z
    .array(
      z.strictObject({
        /** Debian release. */
        suite: z.enum(['bookworm', 'trixie']),
        /** Processor architecture, as the kernel names it. */
        arch: z.enum(archNames),
        /** Part of the file name; distinguishes images of one architecture. */
        label: z
          .string()
          .regex(/^[a-z0-9]+$/, 'must be lower case letters and digits')
          .max(9, fitsTar(9))
          .optional(),
        /** Overrides the pipeline's installer, and becomes part of the variant's name. */
        installer: installerField.optional(),
        /** These take the place of the whole field of that name, and the label becomes part of the variant's name. */
        ...ownShape,
      }),
    )
    .min(1, 'must name at least one variant'),
  /** The disk of the images. */
  disk: diskField,
  /** Host name, until a host gives another one. */
  hostname: z.string().regex(hostLabel, 'must be one DNS label in lower case'),
  /** Domain of the host name. */
  domain: z.string().regex(dnsName, 'must be a DNS name in lower case'),
  /** The one locale of the image. */
  locale: z
    .string()
    .regex(/^[a-z]{2,3}_[A-Z]{2}\.UTF-8$/, 'must be a UTF-8 locale like en_US.UTF-8')
    .default('en_US.UTF-8'),
  /** Name in the tz database. */
  timezone: z
    .string()
    .regex(/^[A-Z][\w+-]*(\/[A-Z][\w+-]*)*$/, 'must be a time zone like Europe/Berlin')
    .default('Etc/UTC'),
  /** Console keyboard layout. */
  keyboard: z
    .string()
    .regex(/^[a-z]{2,8}$/, 'must be a keyboard layout like us')
    .default('us'),
  /** Where packages come from. */
  mirror: mirrorFields.prefault({}),
  /** The administrative account in addition to root. Neither has a password. */
  account: z
    .strictObject({
      /** Login name. */
      name: z
        .string()
        .regex(unixName, 'must be a user name')
        .refine(
          (name) => !systemNames.has(name),
          'must not be a user or group that Debian has from the start',
        ),
      /** Full name. */
      fullName: z
        .string()
        .regex(/^[^:,\p{Cc}]*$/u, 'must have no colon, comma or control character')
        .default(''),
      /** Groups in addition to its own. */
      groups: z
        .array(z.string().regex(unixName, 'must be a group name'))
        .refine(isWithoutDuplicates, 'must name each group once')
        .default([]),
    })
    .refine(({ name, groups }) => !groups.includes(name), {
      error: "must not name the account's own group, which it is in anyway",
      path: ['groups'],
    }),
  /** How to make layer 0: `docs/installers.md` says when to use which. */
  installer: installerField.default('bootstrap'),
  /** Settings of the installer `debian-installer`. */
  debianInstaller: debianInstallerFields.prefault({}),
  /** Debian package of the kernel. By default `linux-image-amd64`, which boots on all hypervisors, or `linux-image-arm64`. */
  kernelPackage: kernelField.optional(),
  /**
   * Package files that dpkg never unpacks, as patterns of its `path-exclude`, in named lists. The packages count as
   * installed and stay upgradable; upgrades leave the same files out.
   */
  leaveOut: leaveOutField.default({}),
  /** The virtual machine that stages run in; does not affect the result. */
  machine: z
    .strictObject({
      /** Memory in MiB. */
      memoryMiB: z
        .int()
        .min(256, 'must be at least 256 MiB')
        .max(1024 ** 2, 'must be at most 1048576 MiB, which is 1 TiB')
        .default(2048),
      /** Processors. While stages run, an emulated guest always has one. */
      cpus: z.int().min(1).max(64).default(2),
      /** The build stops if the guest is not ready for its first stage by then. */
      bootTimeoutSeconds: z.int().min(10).default(600),
      /** Limit for saved states in the store, from which a build resumes instead of booting; 0: every build boots. */
      savedStatesMiB: z.int().min(0).default(2048),
    })
    .prefault({}),
  /** The layers that are kept in `out/store`; does not affect the result. */
  store: z
    .strictObject({
      /** After a build the oldest unused layers are removed until no more than this is left. Without it, all stay. */
      maximumGiB: z.number().positive('must be more than 0').optional(),
    })
    .prefault({}),
  /** The contract that finished images are checked against, and the machines that boot them for it. */
  verification: z
    .strictObject({
      /**
       * `cloudstack` is for system VMs. With CloudStack's own payload it becomes `cloudstack-payload`, the part that applies
       * to it; for files built elsewhere that can be set explicitly.
       */
      contract: z.enum(['none', ...contractNames]).default('none'),
      /** Memory of each guest in MiB. CloudStack's system VMs have 256 to 1024. */
      memoryMiB: guestMemory.default(512),
      /** Processors of each guest. An emulated guest always has one. */
      cpus: guestCpus.default(2),
      /** Guests in router roles. */
      routers: z
        .strictObject({
          /** Memory in MiB. By default the least that CloudStack gives them: 256, and 512 on ARM hosts. */
          memoryMiB: guestMemory.optional(),
          /** Processors. */
          cpus: guestCpus.default(1),
        })
        .prefault({}),
    })
    .prefault({}),
  /** Checks that may fail, each with a reason. */
  waivers: z
    .array(
      z.strictObject({
        /** Id of the check, e.g. `F7`: `docs/verify.md` lists them. */
        check: z.enum(assertionIds as [AssertionId, ...AssertionId[]], {
          error: 'must be the id of a check, as docs/verify.md lists them',
        }),
        /** Why the failure is right for this image. */
        reason: z.string().min(10, 'must say why, in ten characters or more'),
      }),
    )
    .refine((waivers) => isWithoutDuplicates(waivers.map(({ check }) => check)), 'must name each check once')
    .default([]),
  /** How old a released image may be: `docs/release.md`. Does not affect the result. */
  freshness: freshnessFields(folderUrl, hostFile).prefault({}),
  /** Hypervisors to make a file for. */
  targets: targetsField,
  /** What differs on an architecture: each value replaces the whole field of that name. */
  architectures: z
    .strictObject({
      /** PCs. */
      x86_64: ownFields.optional(),
      /** 64-bit ARM servers. */
      aarch64: ownFields.optional(),
    })
    .prefault({}),
  /** Where the images will be served from, without the file name: for CloudStack's registration. */
  downloadUrl: folderUrl
    .refine(
      (text) => /^https?:\/\/[\w.:/~-]+$/.test(text),
      'must have only letters, digits and . _ ~ : / - in it: CloudStack reads it as a pattern',
    )
    .optional(),
  /** Whether the files are also laid out in `out/repository/<major.minor>`, ready to be served. */
  repository: z.boolean().default(false),
  /** How each target's file is written. `'cloudstack'` packs them as CloudStack's own builds expect, and sets `repository`. */
  formats: z.strictObject(formatFields).prefault({}),
}

/**
 * The rules for a whole pipeline except its stages, which check their own settings. The explicit type makes the declarations
 * in the npm package keep the comments above.
 */
export const pipelineFields: z.ZodObject<typeof pipelineShape, z.core.$strict> = z.strictObject(pipelineShape)

/** A pipeline as a person writes it. */
export type Pipeline = Omit<z.input<typeof pipelineFields>, 'formats'> & {
  readonly formats?: z.input<typeof pipelineFields>['formats'] | FormatPreset
  /** The stages that run in the guest, in order. */
  readonly stages: readonly StageUse[]
  /** Checks of finished images in addition to the contract. @default none */
  readonly checks?: readonly CheckUse[]
}

/** The same with every default filled in, without stages. */
export type PipelineFields = z.output<typeof pipelineFields>

/** A failed check that is acceptable for an image. */
export type Waiver = PipelineFields['waivers'][number]

/** Gives `pipeline.ts` its type and remembers the position of the call; does nothing else. */
export function definePipeline(pipeline: Pipeline): Pipeline {
  rememberCall(pipeline)
  return pipeline
}
