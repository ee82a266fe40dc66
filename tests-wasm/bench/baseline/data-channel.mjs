// Page to page over a bare RTCDataChannel, as fast as one goes when the sender keeps its buffer filled.
/** Bytes of one message, and where the sender stops and starts again. */
const MESSAGE = 64 * 1024
const HIGH = 1024 * 1024
const LOW = 256 * 1024

const offer = async () => {
  const connection = (globalThis.benchConnection = new RTCPeerConnection())
  const channel = (globalThis.benchChannel = connection.createDataChannel('bench'))
  channel.binaryType = 'arraybuffer'
  await connection.setLocalDescription()
  await new Promise((resolve) => (connection.onicegatheringstatechange = () => connection.iceGatheringState === 'complete' && resolve()))
  return connection.localDescription.sdp
}
const answer = async (sdp) => {
  const connection = (globalThis.benchConnection = new RTCPeerConnection())
  globalThis.benchOpen = new Promise((resolve) => {
    connection.ondatachannel = ({ channel }) => {
      channel.binaryType = 'arraybuffer'
      globalThis.benchChannel = channel
      resolve()
    }
  })
  await connection.setRemoteDescription({ type: 'offer', sdp })
  await connection.setLocalDescription()
  await new Promise((resolve) => {
    const look = () => connection.iceGatheringState === 'complete' && resolve()
    connection.onicegatheringstatechange = look
    look()
  })
  return connection.localDescription.sdp
}
const accept = async (sdp) => {
  await benchConnection.setRemoteDescription({ type: 'answer', sdp })
  if (benchChannel.readyState !== 'open') await new Promise((resolve) => (benchChannel.onopen = resolve))
}
const receive = async (bytes) => {
  await benchOpen
  globalThis.benchReceived = new Promise((resolve) => {
    let got = 0
    let began
    benchChannel.onmessage = ({ data }) => {
      began ??= performance.now()
      got += data.byteLength
      if (got >= bytes) resolve(performance.now() - began)
    }
  })
}
const send = async (bytes, size, high, low) => {
  const message = crypto.getRandomValues(new Uint8Array(size))
  benchChannel.bufferedAmountLowThreshold = low
  for (let sent = 0; sent < bytes; sent += size) {
    if (benchChannel.bufferedAmount > high) await new Promise((resolve) => (benchChannel.onbufferedamountlow = resolve))
    benchChannel.send(message)
  }
}

/** Connects two pages; returns what sends that many bytes from the first to the second and gives the milliseconds they took to arrive. */
export async function connectPages(from, to) {
  await from.evaluate(accept, await to.evaluate(answer, await from.evaluate(offer)))
  return async (bytes) => {
    await to.evaluate(receive, bytes)
    await from.evaluate(send, bytes, MESSAGE, HIGH, LOW)
    return to.evaluate(() => globalThis.benchReceived)
  }
}
