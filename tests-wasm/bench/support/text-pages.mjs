// What pages do with a text: play an editing trace, wait for its end, look for long tasks. Each runs in the page and sees nothing else of this file.

/** Plays the edits of `/<name>.json` from one to another through the SDK, so many between two turns of the page; gives milliseconds. */
export const playKith = async (space, name, from, to, every) => {
  const [{ connect }, { edits }] = await Promise.all([import('/kith.js'), fetch(`/${name}.json`).then((answer) => answer.json())])
  const doc = connect().space(space).text(name)
  await doc.ready
  const began = performance.now()
  const wall = globalThis.wall()
  let busy = 0
  for (let at = from; at < Math.min(to, edits.length); ) {
    const start = performance.now()
    for (const end = Math.min(at + every, to, edits.length); at < end; at++) doc.edit([{ from: edits[at][0], to: edits[at][0] + edits[at][1], insert: edits[at][2] }])
    busy += performance.now() - start
    await new Promise((resolve) => setTimeout(resolve))
  }
  await doc.saved()
  const saved = performance.now() - began
  const { value } = doc
  await doc.close()
  return { busy, saved, wall, savedAt: globalThis.wall(), length: value.length }
}

/** The same through plain HTTP: one stored `PUT` for so many edits, one after the other; gives the milliseconds of each. */
export const putKith = async (space, name, place, from, to, every) => {
  const { edits } = await (await fetch(`/${name}.json`)).json()
  const url = `/~/${space}/${place}`
  const plain = { 'content-type': 'text/plain', 'merge-type': 'simpleton' }
  const made = await fetch(url, { method: 'PUT', headers: plain, body: 'x' })
  if (!made.ok) throw new Error(`PUT gave ${made.status}: ${await made.text()}`)
  let parents = made.headers.get('version')
  let text = ''
  let before = 'x'
  const took = []
  for (let at = from; at < Math.min(to, edits.length); at += every) {
    for (const [pos, len, put] of edits.slice(at, Math.min(at + every, to))) text = text.slice(0, pos) + put + text.slice(pos + len)
    // The smallest single range that makes one text of the other.
    const shorter = Math.min(before.length, text.length)
    let start = 0
    while (start < shorter && before[start] === text[start]) start++
    let end = 0
    while (end < shorter - start && before[before.length - 1 - end] === text[text.length - 1 - end]) end++
    const version = `"player-${at + every}"`
    const headers = { ...plain, version, parents, peer: 'player', 'content-range': `text [${start}:${before.length - end}]` }
    const began = performance.now()
    const answer = await fetch(url, { method: 'PUT', headers, body: text.slice(start, text.length - end) })
    if (!answer.ok) throw new Error(`PUT gave ${answer.status}: ${await answer.text()}`)
    took.push(performance.now() - began)
    parents = version
    before = text
  }
  const there = await (await fetch(url)).text()
  if (there !== text) throw new Error('another text is stored than was written')
  return took
}

/** Follows a text in the page; `seen()` resolves with the time when it was this long and the same as `/<name>.txt`. */
export const followKith = async (space, name) => {
  const [{ connect }, wanted] = await Promise.all([import('/kith.js'), fetch(`/${name}.txt`).then((answer) => answer.text())])
  const doc = connect().space(space).text(name)
  await doc.ready
  globalThis.followed = { doc, seen: until(wanted.length, () => doc.value, (changed) => doc.on('change', changed)) }
  function until(length, value, on) {
    return new Promise((resolve) => {
      const look = () => value().length === length && value() === wanted && resolve(globalThis.wall())
      on(look)
      look()
    })
  }
}

/** Begins to look for tasks that held the page up for 50 ms and more. */
export const watchTasks = () => {
  globalThis.tasks = []
  globalThis.observer?.disconnect()
  globalThis.observer = new PerformanceObserver((list) => globalThis.tasks.push(...list.getEntries().map(({ duration }) => duration)))
  globalThis.observer.observe({ type: 'longtask' })
}

/** What was found: how many, the longest, all together; shorter ones are not told by the browser. */
export const tasksSeen = async () => {
  await new Promise((resolve) => setTimeout(resolve, 100))
  globalThis.tasks.push(...globalThis.observer.takeRecords().map(({ duration }) => duration))
  return { n: globalThis.tasks.length, longest: Math.max(0, ...globalThis.tasks), all: globalThis.tasks.reduce((sum, one) => sum + one, 0) }
}

/** The same play with Yjs: `globalThis.yjs` is there and started. */
export const playYjs = async (name, from, to, every) => {
  const { edits } = await (await fetch(`/${name}.json`)).json()
  const text = yjs.doc.getText('text')
  const began = performance.now()
  const wall = globalThis.wall()
  let busy = 0
  for (let at = from; at < Math.min(to, edits.length); ) {
    const start = performance.now()
    for (const end = Math.min(at + every, to, edits.length); at < end; at++) {
      const [pos, len, put] = edits[at]
      yjs.doc.transact(() => {
        if (len > 0) text.delete(pos, len)
        if (put) text.insert(pos, put)
      })
    }
    busy += performance.now() - start
    await new Promise((resolve) => setTimeout(resolve))
  }
  await yjs.kept()
  return { busy, saved: performance.now() - began, wall, savedAt: globalThis.wall(), length: text.length }
}

/** One transaction and one turn of IndexedDB for so many edits. */
export const putYjs = async (name, from, to, every) => {
  const { edits } = await (await fetch(`/${name}.json`)).json()
  const text = yjs.doc.getText('text')
  const took = []
  for (let at = from; at < Math.min(to, edits.length); at += every) {
    const began = performance.now()
    yjs.doc.transact(() => {
      for (const [pos, len, put] of edits.slice(at, Math.min(at + every, to))) {
        if (len > 0) text.delete(pos, len)
        if (put) text.insert(pos, put)
      }
    })
    await yjs.kept()
    took.push(performance.now() - began)
  }
  return took
}

export const followYjs = async (name) => {
  const wanted = await (await fetch(`/${name}.txt`)).text()
  const text = yjs.doc.getText('text')
  globalThis.followed = {
    seen: new Promise((resolve) => {
      const look = () => text.length === wanted.length && text.toString() === wanted && resolve(globalThis.wall())
      text.observe(look)
      look()
    }),
  }
}

export const whenSeen = () => globalThis.followed.seen
