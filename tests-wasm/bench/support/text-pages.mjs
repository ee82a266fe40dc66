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

/** Opens a text as `globalThis.text`, for what follows: the same calls for both. `end` stores what was written and leaves it. */
export const openKith = async (space, name) => {
  const { connect } = await import('/kith.js')
  const doc = connect().space(space).text(name)
  await doc.ready
  globalThis.text = {
    type: (at) => doc.edit([{ from: at, to: at, insert: 'x' }]),
    length: () => doc.value.length,
    value: () => doc.value,
    onChange: (changed) => doc.on('change', changed),
    end: async () => {
      await doc.saved()
      await doc.close()
    },
  }
}

export const openYjs = (name) => {
  const text = yjs.doc.getText(name)
  globalThis.text = {
    type: (at) => text.insert(at, 'x'),
    length: () => text.length,
    value: () => text.toString(),
    onChange: (changed) => text.observe(changed),
    end: yjs.kept,
  }
}

/** Presses a key every so many milliseconds: when each was pressed, and how long the page was busy with it. */
export const pressKeys = async (count, every) => {
  const pressed = []
  const busy = []
  for (let n = 0; n < count; n++) {
    pressed.push(globalThis.wall())
    const began = performance.now()
    globalThis.text.type(n)
    busy.push(performance.now() - began)
    await new Promise((resolve) => setTimeout(resolve, every))
  }
  await globalThis.text.end()
  return { pressed, busy }
}

/** Follows the open text until it is `wanted`; `whenSeen` tells when it had which length, and when it was all there. */
export const follow = (wanted) => {
  const { length, value, onChange } = globalThis.text
  const seen = []
  globalThis.followed = new Promise((resolve) => {
    onChange(() => {
      seen.push({ length: length(), at: globalThis.wall() })
      if (length() === wanted.length && value() === wanted) resolve({ seen, at: seen.at(-1).at })
    })
  })
}

export const whenSeen = () => globalThis.followed
