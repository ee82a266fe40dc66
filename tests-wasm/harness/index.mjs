// The harness's door: `import { startRelay, openBrowser, … } from '@kith/tests/harness'` or by relative path.
import { after } from 'node:test'
import { cleanup } from './processes.mjs'

export { availableBrowsers, missing, openBrowser } from './browser.mjs'
export { dice } from './dice.mjs'
export { PageError, Unsupported } from './page.mjs'
export { cleanup, onCleanup, startProcess, sweep, tempDir } from './processes.mjs'
export { startProxy } from './proxy.mjs'
export { DIST, relayBinary, ROOT, startRelay } from './relay.mjs'
export { startSite } from './site.mjs'
export { hopeless, PATIENCE_MS, stays, waitFor, within } from './wait.mjs'

/** True under `npm run test:long`: what takes many minutes runs in full. */
export const LONG = process.env.KITH_LONG === '1'

// In a test file everything is closed after its last test, whatever happened; otherwise an open browser would keep the file from ending.
if (process.env.NODE_TEST_CONTEXT || /\.test\.mjs$/.test(process.argv[1] ?? '')) after(cleanup)
