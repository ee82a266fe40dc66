// kith.d.ts: the SDK's types as one file that needs nothing else.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Takes one exported declaration out of a source file: from its doc comment to the brace that closes it. */
function declaration(text, head) {
  const start = text.indexOf(head)
  if (start < 0) throw new Error(`declarations.mjs: "${head}" is gone from its source file.`)
  const comment = text.lastIndexOf('/**', start)
  return text.slice(comment, text.indexOf('\n}\n', start) + 3)
}

/** The text of kith.d.ts. */
export async function declarations(src) {
  const api = await readFile(join(src, 'page', 'api.ts'), 'utf8')
  const problem = await readFile(join(src, 'shared', 'problem.ts'), 'utf8')
  const kinds = await readFile(join(src, 'page', 'api-kinds.ts'), 'utf8')
  const types = api.slice(api.indexOf('/** Anything JSON can say. */'))
  const peer = await readFile(join(src, 'page', 'api-peer.ts'), 'utf8')
  const past = await readFile(join(src, 'page', 'api-history.ts'), 'utf8')
  const pastTypes = past.slice(past.indexOf('/** A point in the past'))
  const text = await readFile(join(src, 'page', 'api-text.ts'), 'utf8')
  const textTypes = text.slice(text.indexOf('/** Replaces the range'))
  // The class without its constructor's body: programs catch these errors, they do not make them.
  const error = declaration(problem, 'export class KithError').replace(/\n  constructor\([\s\S]*?\n  }\n/, '\n  private constructor()\n').replace('export class', 'export declare class')
  return `// Types of Kith's page script, /kith.js.

${declaration(problem, 'export interface Problem')}
${error}
${types}
${kinds.slice(kinds.indexOf('/** How writes made at the same time'))}
${peer.slice(peer.indexOf('/** What a member may do. */'))}
${pastTypes}
${textTypes}
/**
 * Connects this page to the peer in this browser. There is one connection per page: later calls return the first one.
 * @example const kith = connect({ relay: 'https://relay.example.org' })
 */
export declare function connect(options?: ConnectOptions): Kith

declare global {
  interface Window {
    /** The connection of this page. */
    readonly kith: Kith
  }
}
`
}
