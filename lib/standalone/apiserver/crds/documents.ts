// Objects from a folder of YAML or JSON files, as `kubectl apply -f FOLDER` reads it.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

export interface FoundDocument {
  /** File and number of the document, for messages. */
  readonly origin: string
  readonly value: unknown
}

/**
 * The documents of the `.yaml`, `.yml` and `.json` files of a folder, in the order of their names; empty ones are left out.
 *
 * @throws Error naming file and document when one is not YAML
 */
export async function readDocuments(directory: string): Promise<readonly FoundDocument[]> {
  const files = (await readdir(directory)).filter((file) => /\.(ya?ml|json)$/.test(file)).sort()
  const found: FoundDocument[] = []
  for (const file of files) {
    const path = join(directory, file)
    for (const [index, document] of parseAllDocuments(await readFile(path, 'utf8')).entries()) {
      const origin = `${path}, document ${index + 1}`
      const [error] = document.errors
      if (error !== undefined) throw new Error(`${origin}: ${error.message}`, { cause: error })
      // What YAML has and JSON has not (dates, maps with other keys) becomes what JSON would say.
      const value = JSON.parse(JSON.stringify(document.toJS() ?? null)) as unknown
      if (value !== null) found.push({ origin, value })
    }
  }
  return found
}
