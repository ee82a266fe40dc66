/** One carried peer connection. It decides nothing: the worker orders, and every happening is reported. */
import type { Report } from '../shared/carrier-messages.ts'
import { CarrierChannel } from './carrier-channel.ts'

/** The channel that starts a connection; it carries nothing. */
const INIT_LABEL = 'init'

/** A peer connection under the worker's name for it. */
export class CarrierConnection {
  readonly #pc: number
  readonly #connection: RTCPeerConnection
  readonly #report: (message: Report) => void
  readonly #channels = new Map<number, CarrierChannel>()
  #init: RTCDataChannel | undefined
  #nextInbound = 1
  #gathered = false

  constructor(pc: number, iceServers: RTCIceServer[], report: (message: Report) => void) {
    this.#pc = pc
    this.#report = report
    const connection = new RTCPeerConnection({ iceServers })
    this.#connection = connection
    connection.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) report(['candidate', pc, JSON.stringify(candidate.toJSON())])
      else if (!candidate) this.#allGathered()
    }
    connection.onicegatheringstatechange = () => {
      if (connection.iceGatheringState === 'complete') this.#allGathered()
    }
    connection.onconnectionstatechange = () => {
      const state = connection.connectionState
      if (state !== 'new' && state !== 'connecting') report(['state', pc, state])
    }
    connection.ondatachannel = ({ channel }) => {
      if (channel.label === INIT_LABEL) return
      const name = this.#nextInbound
      this.#nextInbound += 2
      // Told first, so that no message comes before it.
      report(['channel', pc, name])
      this.#add(name, channel)
    }
  }

  /** Makes the offer. */
  async offer(): Promise<void> {
    this.#init = this.#connection.createDataChannel(INIT_LABEL)
    await this.#describe(() => this.#connection.createOffer())
  }

  /** Makes the answer to an offer. */
  async answer(sdp: string): Promise<void> {
    await this.#connection.setRemoteDescription({ type: 'offer', sdp })
    await this.#describe(() => this.#connection.createAnswer())
  }

  /** Takes the answer to the offer. */
  accept(sdp: string): Promise<void> {
    return this.#connection.setRemoteDescription({ type: 'answer', sdp })
  }

  /** Takes a candidate of the other side. One that makes no sense is one way less, not a failure. */
  async candidate(json: string): Promise<void> {
    try {
      await this.#connection.addIceCandidate(JSON.parse(json) as RTCIceCandidateInit)
    } catch (error) {
      console.debug('kith: a candidate was passed over', error)
    }
  }

  /** The connection works. */
  ready(): void {
    this.#init?.close()
  }

  /** Opens a channel. */
  open(name: number): void {
    this.#add(name, this.#connection.createDataChannel(''))
  }

  /** Sends messages of `size` bytes on a channel. */
  send(name: number, bytes: ArrayBuffer, size: number): void {
    this.#channels.get(name)?.send(bytes, size)
  }

  /** Closes a channel. */
  shut(name: number): void {
    this.#channels.get(name)?.shut()
  }

  /** Closes everything, telling the other side's browser. */
  close(): void {
    this.#connection.onconnectionstatechange = null
    this.#connection.close()
  }

  async #describe(make: () => Promise<RTCSessionDescriptionInit>): Promise<void> {
    const description = await make()
    // Before it is set: from then on candidates are told.
    this.#report(['description', this.#pc, description.sdp ?? ''])
    await this.#connection.setLocalDescription(description)
  }

  #allGathered(): void {
    if (this.#gathered) return
    this.#gathered = true
    this.#report(['gathered', this.#pc])
  }

  #add(name: number, channel: RTCDataChannel): void {
    const pc = this.#pc
    const carried = new CarrierChannel(channel, {
      data: (bytes) => this.#report(['data', pc, name, bytes]),
      taken: (bytes) => this.#report(['taken', pc, name, bytes]),
      closed: () => {
        this.#channels.delete(name)
        this.#report(['closed', pc, name])
      },
    })
    this.#channels.set(name, carried)
  }
}
