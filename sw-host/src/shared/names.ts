/**
 * Every name that page, worker and browser storage share. Changing one of these strings changes what an already
 * installed release can see, so old names stay readable.
 */

/** Everything Kith answers lives below this path of the origin. */
export const PREFIX = '/~/'

/** The keep-alive request (`POST`), answered by the worker itself. */
export const PING_PATH = '/~/peer/ping'

/** Where a space's file is taken in (`POST`): the one request whose body may be of any size. */
export const IMPORT_PATH = '/~/import'
/** The media type of a space's file. */
export const SPACE_FILE = 'application/vnd.kith.space'

/** Below a worker's scope: the script of the keep-alive timer. Inside the scope, or it would not count as a client. */
export const HEARTBEAT_SCRIPT = '~/heartbeat.js'

/** The query parameter that switches Kith off on this origin: `?kith=unregister`, with `&wipe=1` to delete its data. */
export const KILL_PARAM = 'kith'
export const KILL_VALUE = 'unregister'
export const WIPE_PARAM = 'wipe'

/** The query parameter of the worker's own script URL that names the page shell it keeps for offline use. */
export const SHELL_PARAM = 'shell'

/** The IndexedDB database of the peer. Its helpers may add databases whose names begin the same way. */
export const DATABASE = 'kith'

/** Caches that belong to Kith begin with this. */
export const CACHE_PREFIX = 'kith-'
/** The verified peer wasm, one entry per SHA-256. */
export const WASM_CACHE = 'kith-wasm'
/** What the worker must know on a cold start without pages: relays. */
export const CONFIG_CACHE = 'kith-config'
/** One cache per page shell release: `kith-shell-<release>`. */
export const SHELL_CACHE_PREFIX = 'kith-shell-'

/** In localStorage: which peer is here and what it has, and what was lost since. The cookie, whose name goes on, tells that there was a peer. */
export const KEPT_KEY = 'kith-kept'
export const LOST_KEY = 'kith-lost'
export const KEPT_COOKIE = 'kith-kept-'
/** Held by the one page that fetches back what was lost. */
export const RESTORE_LOCK = 'kith-restore'

/** Held by the one worker whose peer is open. Nobody else may open the database's peer meanwhile. */
export const PEER_LOCK = 'kith-peer'
/** Held by the one tab that carries WebRTC. */
export const CARRIER_LOCK = 'kith-carrier'
/** Held by a worker from its first moment to its death, so that pages learn of the death at once. */
export const aliveLock = (instance: string): string => `kith-worker-alive-${instance}`

/** The BroadcastChannel of the origin: worker to worker, and worker to all pages. */
export const CHANNEL = 'kith'

/** On every answer of the worker: its release. Absent when the network answered, which means nobody was listening. */
export const WORKER_HEADER = 'Kith-Worker'

/** The fragment an invite link carries: `#kith=…`. */
export const INVITE_FRAGMENT = '#kith='
