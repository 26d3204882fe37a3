// What differs between two runs of the same commands and means nothing: ages, times, uids, versions, addresses, random names.
// Each becomes a word in angle brackets; runs of blanks become two, since columns are as wide as what is in them.

const id = '[bcdfghjklmnpqrstvwxz2456789]'

const masks: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uid>'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '<time>'],
  [/\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}/g, '<time>'],
  [/(resourceVersion"?: ?)"?\d+"?/g, '$1<version>'],
  [/(resourceVersion=)\d+/g, '$1<version>'],
  [/https:\/\/[\w.:[\]-]+:\d+/g, '<server>'],
  [/\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\/|\d)/g, '<ip>'],
  // Template hashes and the ends of generated names.
  [new RegExp(`(pod-template-hash[=:]|controller-revision-hash[=:]\\S*?-?) ?${id}{6,10}\\b`, 'g'), '$1<hash>'],
  [new RegExp(`-${id}{8,10}-${id}{5}\\b`, 'g'), '-<hash>-<id>'],
  [new RegExp(`-${id}{8,10}\\b`, 'g'), '-<hash>'],
  [new RegExp(`-${id}{5}\\b`, 'g'), '-<id>'],
  [/\b([a-z][a-z0-9-]*(?:<hash>|<id>)*)\.1[0-9a-f]{15}\b/g, '$1.<id>'],
  [/\b3[0-2]\d{3}\b/g, '<port>'],
  // Ages: alone in a column, `(3s ago)`, `3s (x2 over 5s)`.
  [/(?<=^|\s|\()(?<!cpu:\s*)((\d+[dhms]){1,2}|<invalid>|<unknown>)(?=$|\s|\))/gm, '<age>'],
  [/x\d+ over <age>/g, 'x<n> over <age>'],
  [/<age> \(x<n> over <age>\)/g, '<age>'],
  [/(?<=\S)[ \t]{2,}/g, '  '],
  [/[ \t]+$/gm, ''],
]

export function mask(text: string): string {
  return masks.reduce((result, [pattern, word]) => result.replaceAll(pattern, word), text)
}
