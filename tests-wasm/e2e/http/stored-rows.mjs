// What lies in the browser's databases, byte by byte.

/** In a page: how many rows of all databases have these bytes in key or value, and how many bytes of values there are in all. */
export async function rowsWith(secret) {
  const wanted = Array.from(new TextEncoder().encode(secret), (byte) => String.fromCharCode(byte)).join('')
  const bytesOf = (value) => {
    if (typeof value === 'string') return value
    if (value instanceof ArrayBuffer) value = new Uint8Array(value)
    if (ArrayBuffer.isView(value)) return new TextDecoder('latin1').decode(value)
    if (Array.isArray(value)) return value.map(bytesOf).join('\0')
    return value && typeof value === 'object' ? Object.values(value).map(bytesOf).join('\0') : String(value)
  }
  const done = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }))
  let [found, bytes] = [0, 0]
  for (const { name } of await indexedDB.databases()) {
    const database = await done(indexedDB.open(name))
    for (const store of database.objectStoreNames) {
      const rows = database.transaction(store).objectStore(store)
      const [keys, values] = await Promise.all([done(rows.getAllKeys()), done(rows.getAll())])
      for (const [at, value] of values.entries()) {
        const row = bytesOf(value)
        bytes += row.length
        if (row.includes(wanted) || bytesOf(keys[at]).includes(wanted)) found++
      }
    }
    database.close()
  }
  return { found, bytes }
}
