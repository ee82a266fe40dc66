/** Carries WebRTC for the worker over a port. */

/** Starts carrying; nothing is carried yet. */
export function startCarrier(port: MessagePort, _options?: { iceServers?: RTCIceServer[] }): { stop(): void } {
  port.start()
  return { stop: () => port.close() }
}
