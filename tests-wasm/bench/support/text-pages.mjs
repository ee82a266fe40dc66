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

/** Presses a key every so many milliseconds: when each was pressed, and how long the page was busy with it. */
export const keysKith = async (space, name, count, every) => {
  const { connect } = await import('/kith.js')
  const doc = connect().space(space).text(name)
  await doc.ready
  const pressed = []
  const busy = []
  for (let n = 0; n < count; n++) {
    pressed.push(globalThis.wall())
    const began = performance.now()
    doc.edit([{ from: n, to: n, insert: 'x' }])
    busy.push(performance.now() - began)
    await new Promise((resolve) => setTimeout(resolve, every))
  }
  await doc.saved()
  await doc.close()
  return { pressed, busy }
}

export const keysYjs = async (name, count, every) => {
  const text = yjs.doc.getText(name)
  const pressed = []
  const busy = []
  for (let n = 0; n < count; n++) {
    pressed.push(globalThis.wall())
    const began = performance.now()
    text.insert(n, 'x')
    busy.push(performance.now() - began)
    await new Promise((resolve) => setTimeout(resolve, every))
  }
  await yjs.kept()
  return { pressed, busy }
}

/** Follows a text until it is `wanted`; `whenSeen` tells when it had which length, and when it was all there. */
export const followKith = async (space, name, wanted) => {
  const { connect } = await import('/kith.js')
  const doc = connect().space(space).text(name)
  await doc.ready
  const seen = []
  globalThis.followed = new Promise((resolve) => {
    doc.on('change', () => {
      seen.push({ length: doc.value.length, at: globalThis.wall() })
      if (doc.value.length === wanted.length && doc.value === wanted) resolve({ seen, at: seen.at(-1).at })
    })
  })
}

export const followYjs = async (name, wanted) => {
  const text = yjs.doc.getText(name)
  const seen = []
  globalThis.followed = new Promise((resolve) => {
    text.observe(() => {
      seen.push({ length: text.length, at: globalThis.wall() })
      if (text.length === wanted.length && text.toString() === wanted) resolve({ seen, at: seen.at(-1).at })
    })
  })
}

export const whenSeen = () => globalThis.followed
