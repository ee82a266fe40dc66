/** The worker's global scope, with its proper type. */
export const scope = self as unknown as ServiceWorkerGlobalScope & {
  /** Set by an author before importing the Kith worker into their own. */
  kithOptions?: {
    /** Whether Kith may take control of pages that are not controlled when they ask for it. Default true. */
    claim?: boolean
    /** The URL of the folder that holds `kith/peer_bg.wasm`. Default: the folder of the worker's own script. */
    files?: string
    /** The most bytes the peer may store. Default: 1 GiB. */
    budget?: number
    /** What one author may add to a space in a day before the person is asked. Default: 64 MiB in 100 000 entries. */
    quota?: { bytes?: number; entries?: number }
  }
}
