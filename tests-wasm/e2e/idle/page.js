// An app as anybody writes one: it follows a place of a space by `EventSource` and does nothing else. What it hears it tells through a frame of
// another origin: a request of its own would be seen by the worker first, and so keep alive what must stay alive without.
const asked = new URLSearchParams(location.search)
const agent = document.querySelector('iframe')
const ready = new Promise((resolve) => {
  window.addEventListener('message', ({ source, data }) => {
    if (source !== agent.contentWindow) return
    if (data === 'ready') resolve()
    // A tab of its own in front of this one, which closes itself when told to.
    if (data === 'hide') window.open(`${new URL('/cover', agent.src)}?who=${asked.get('who')}`)
  })
  agent.src = `${asked.get('log')}agent?who=${asked.get('who')}`
})
const tell = async (what) => {
  const said = { who: asked.get('who'), at: Date.now(), hidden: document.hidden, ticks, ...what }
  await ready
  agent.contentWindow.postMessage(said, '*')
}

/** How often a timer of one second came: how far this page is slowed down. */
let ticks = 0
setInterval(() => ticks++, 1000)
document.addEventListener('visibilitychange', () => tell({ type: 'visibility' }))

async function join() {
  for (;;) {
    const answer = await fetch('/~/join', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ invite: asked.get('invite') }),
    })
    if (answer.ok) return (await answer.json()).space
    if (answer.status !== 503) throw new Error(`joining gave ${answer.status}: ${await answer.text()}`)
  }
}

/** Tells of each death of the worker: it holds a lock as long as it lives. */
async function watchWorker() {
  for (;;) {
    const { held } = await navigator.locks.query()
    const alive = held.map(({ name }) => name).find((name) => name.startsWith('kith-worker-alive-'))
    if (alive) {
      tell({ type: 'alive', worker: alive })
      await navigator.locks.request(alive, { mode: 'shared' }, () => tell({ type: 'died', worker: alive }))
    }
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
}

function listen(path) {
  const source = new EventSource(path)
  source.onopen = () => tell({ type: 'opened' })
  source.onmessage = ({ data }) => {
    const { key, value } = JSON.parse(data)
    tell({ type: 'heard', key, written: value.at })
  }
  source.onerror = () => source.readyState === EventSource.CLOSED && setTimeout(listen, 1000, path)
}

try {
  if (!navigator.serviceWorker.controller) await new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true }))
  const space = await join()
  listen(`/~/${space}/live/?values=1`)
  watchWorker()
  const { id } = await (await fetch('/~/peer')).json()
  tell({ type: 'joined', id })
} catch (error) {
  tell({ type: 'failed', why: String(error) })
}
