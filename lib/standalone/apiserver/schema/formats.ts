// String formats that are checked (k8s.io/apiextensions-apiserver: unknown formats are ignored).
import { isIP, isIPv4, isIPv6 } from 'node:net'

const dateTime =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/
const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/i

const checks: Readonly<Record<string, (value: string) => boolean>> = {
  'date-time': (value) => dateTime.test(value),
  date: (value) => /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value)),
  ipv4: (value) => isIPv4(value),
  ipv6: (value) => isIPv6(value),
  ip: (value) => isIP(value) !== 0,
  cidr: (value) => {
    const [address = '', length = '', ...rest] = value.split('/')
    if (rest.length > 0 || !/^\d{1,3}$/.test(length)) return false
    const family = isIP(address)
    return family !== 0 && Number(length) <= (family === 4 ? 32 : 128)
  },
  mac: (value) => /^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(value),
  uuid: (value) => /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(value),
  hostname: (value) => value.length <= 253 && value.split('.').every((part) => label.test(part)),
  email: (value) => /^[^\s@]+@[^\s@]+$/.test(value),
  uri: (value) => URL.canParse(value),
  byte: (value) => value.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(value),
  duration: (value) => /^[+-]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+$|^0$/.test(value),
  quantity: (value) => /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?$/.test(value),
}

/** Whether `value` is of `format`; formats nobody knows fit everything. */
export function fitsFormat(format: string, value: string): boolean {
  return checks[format]?.(value) ?? true
}
