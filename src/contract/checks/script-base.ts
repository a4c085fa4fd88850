/** Checks what CloudStack's scripts need on the disk: files that they edit, and units that they start by name. */

import { type ImageFiles, namesIn, readText } from '../../disk/image-files.ts'
import { type ContentCheck, failed, judge, passed, skipped } from '../check.ts'

/** The line that an edit must find in a file: without it, the edit changes nothing, and no script notices. */
const edited: Readonly<Record<string, RegExp>> = {
  '/etc/iproute2/rt_tables': /^[ \t]*254[ \t]+main$/m,
  '/etc/sysctl.conf': /^net\.ipv4\.conf\.all\.arp_ignore = /m,
  '/etc/ntpsec/ntp.conf': /^# server/m,
  '/etc/cloud/cloud.cfg.d/cloudstack.cfg': /^datasource_list: /m,
  '/etc/fstab': /^[^#\s]\S* \S+ swap /m,
}

const editedFiles: ContentCheck = {
  id: 'A15',
  group: 'file',
  at: 'content',
  does: 'reads the files that scripts edit, for the lines that they edit them by',
  run: async ({ files }) => {
    const faults = await Promise.all(
      Object.entries(edited).map(async ([path, line]) => {
        const text = await readText(files, path)
        if (text === undefined) return [`there is no ${path}`]
        return line.test(text) ? [] : [`${path} has no line like ${line.source}`]
      }),
    )
    return judge(faults.flat(), `${Object.keys(edited).length} files`)
  },
}

const networkPlugins: ContentCheck = {
  id: 'A16',
  group: 'file',
  at: 'content',
  does: "looks where the default configuration of Debian's containerd has its plug-ins",
  run: async ({ files }) => {
    if ((await files.stat('/var/lib/dpkg/info/containerd.list')) === undefined) {
      return skipped("there is no containerd of Debian's; others look in /opt/cni/bin by themselves")
    }
    const entry = await files.stat('/usr/lib/cni')
    return entry?.target === '/opt/cni/bin'
      ? passed('/usr/lib/cni is /opt/cni/bin')
      : failed(`/usr/lib/cni is ${entry === undefined ? 'missing' : (entry.target ?? `a ${entry.type}`)}`)
  },
}

const hyperV: ContentCheck = {
  id: 'A17',
  group: 'file',
  at: 'content',
  does: 'follows /var/opt/hyperv',
  run: async ({ files }) => {
    const entry = await files.stat('/var/opt/hyperv')
    const found = entry?.target ?? (entry === undefined ? 'missing' : `a ${entry.type}`)
    return /^(\.\.|\/var)\/lib\/hyperv$/.test(found) ? passed(found) : failed(`it is ${found}`)
  },
}

/** Searched as text: a pattern across lines takes time by the square of a file that opens many sections. */
const end = '</Directory>'

const webServer: ContentCheck = {
  id: 'A18',
  group: 'file',
  at: 'content',
  does: "lists the enabled sites, and reads apache2's last setting for /var/www",
  run: async ({ files }) => {
    const sites = await namesIn(files, '/etc/apache2/sites-enabled')
    const faults = sites.filter((name) => !name.startsWith('vhost')).map((name) => `a site is called ${name}`)
    const names = [...(await namesIn(files, '/etc/apache2/conf-enabled'))].sort()
    const paths = ['/etc/apache2/apache2.conf', ...names.map((name) => `/etc/apache2/conf-enabled/${name}`)]
    const texts = await Promise.all(paths.map((path) => readText(files, path)))
    const sections = texts
      .join('\n')
      .split(/<Directory \/var\/www\/?>/)
      .slice(1)
    const last = sections.findLast((text) => text.includes(end))?.split(end, 1)[0] ?? ''
    if (!/^[ \t]*AllowOverride All$/m.test(last)) faults.push('.htaccess is not honored in /var/www')
    if (!/^[ \t]*Options (?!.*(?<!-)\b(Indexes|All)\b)/m.test(last))
      faults.push('folders of /var/www are listed')
    return judge(faults, sites.join(' ') || 'no site')
  },
}

const cloudInit: ContentCheck = {
  id: 'B14',
  group: 'hygiene',
  at: 'content',
  does: 'looks for the units, and for what keeps them from starting',
  run: async ({ files }) => {
    const units = await Promise.all(
      ['cloud-init', 'cloud-config', 'cloud-final'].map(async (name) => [name, await readUnit(files, name)]),
    )
    const isMarked = (await files.stat('/etc/cloud/cloud-init.disabled')) !== undefined
    const faults = units.flatMap(([name, text]) => {
      if (text === undefined) return [`there is no ${name}.service`]
      const isHeld = isMarked && text.includes('ConditionPathExists=!/etc/cloud/cloud-init.disabled')
      return isHeld ? [`/etc/cloud/cloud-init.disabled keeps ${name}.service from starting`] : []
    })
    return judge(faults, 'cloud-init, cloud-config, cloud-final')
  },
}

const time: ContentCheck = {
  id: 'B15',
  group: 'hygiene',
  at: 'content',
  does: 'looks for ntp.service itself, since systemd enables no alias',
  run: async ({ files }) => {
    const entry = await files.stat('/etc/systemd/system/ntp.service')
    if (entry?.type === 'file') return passed('/etc/systemd/system/ntp.service')
    if (entry?.type === 'link') return failed(`it is an alias of ${entry.target}`)
    const isThere = (await readUnit(files, 'ntp')) !== undefined
    return isThere ? passed('/usr/lib/systemd/system/ntp.service') : failed('there is none')
  },
}

const dhcpClient: ContentCheck = {
  id: 'B16',
  group: 'hygiene',
  at: 'content',
  does: 'looks for dhclient, and for others',
  run: async ({ files }) => {
    const names = ['dhclient', 'dhcpcd', 'udhcpc']
    const entries = await Promise.all(names.map((name) => files.stat(`/usr/sbin/${name}`)))
    const found = names.filter((_, index) => entries[index] !== undefined)
    return found.join() === 'dhclient' ? passed('dhclient') : failed(`found ${found.join(', ') || 'none'}`)
  },
}

/** A service's unit file; undefined if systemd knows no service by this name. */
async function readUnit(files: ImageFiles, name: string): Promise<string | undefined> {
  const folders = ['/etc/systemd/system', '/usr/lib/systemd/system']
  const texts = await Promise.all(folders.map((folder) => readText(files, `${folder}/${name}.service`)))
  return texts.find((text) => text !== undefined)
}

export const scriptBaseChecks: readonly ContentCheck[] = [
  editedFiles,
  networkPlugins,
  hyperV,
  webServer,
  cloudInit,
  time,
  dhcpClient,
]
