//! What a test page asks of the network, inside a real browser.

#![cfg(target_arch = "wasm32")]

use futures::StreamExt;
use js_sys::{Array, Object, Reflect, Uint8Array};
use kith_net::{LinkId, Multiaddr, Net, NetCommand, NetConfig, NetEvent, NetEvents, RelayState};
use std::cell::RefCell;
use wasm_bindgen::prelude::*;
use web_sys::MessagePort;

/// A running network.
#[wasm_bindgen]
pub struct NetPage {
    net: Net,
    events: RefCell<Option<NetEvents>>,
}

fn failed(error: impl std::fmt::Display) -> JsValue {
    js_sys::Error::new(&error.to_string()).into()
}

fn addresses(texts: &Array) -> Result<Vec<Multiaddr>, JsValue> {
    texts.iter().map(|text| text.as_string().unwrap_or_default().parse().map_err(failed)).collect()
}

fn key(bytes: &[u8]) -> Result<[u8; 32], JsValue> {
    bytes.try_into().map_err(|_| failed("a key has 32 bytes"))
}

fn object(pairs: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in pairs {
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object.into()
}

#[wasm_bindgen]
impl NetPage {
    /// Starts it under this seed.
    pub fn start(seed: &[u8], relays: &Array) -> Result<NetPage, JsValue> {
        let config = NetConfig {
            seed: key(seed)?,
            relays: addresses(relays)?,
            agent: "kith-net-page".to_owned(),
            listen: vec![],
        };
        let (net, events) = kith_net::start(config).map_err(failed)?;
        Ok(NetPage { net, events: RefCell::new(Some(events)) })
    }

    /// The libp2p name of a key.
    #[wasm_bindgen(js_name = peerId)]
    pub fn peer_id(public: &[u8]) -> Result<String, JsValue> {
        kith_net::peer_id(&key(public)?).map(|peer| peer.to_string()).ok_or_else(|| failed("no such key"))
    }

    /// The next event. One call at a time.
    pub async fn next(&self) -> JsValue {
        let Some(mut events) = self.events.take() else { return JsValue::UNDEFINED };
        let event = events.next().await;
        self.events.replace(Some(events));
        event.map_or(JsValue::UNDEFINED, show)
    }

    /// Dials a peer.
    pub async fn dial(&self, peer: Vec<u8>, hints: Array) -> Result<(), JsValue> {
        self.ask(NetCommand::Dial { peer: key(&peer)?, hints: addresses(&hints)? }).await
    }

    /// Sends a frame.
    pub async fn send(&self, link: f64, frame: Vec<u8>) -> Result<(), JsValue> {
        self.ask(NetCommand::Send { link: LinkId(link as u64), frame }).await
    }

    /// Replaces the relays.
    #[wasm_bindgen(js_name = setRelays)]
    pub async fn set_relays(&self, relays: Array) -> Result<(), JsValue> {
        self.ask(NetCommand::SetRelays(addresses(&relays)?)).await
    }

    /// Attaches a page's carrier.
    #[wasm_bindgen(js_name = attachCarrier)]
    pub async fn attach_carrier(&self, port: MessagePort) -> Result<(), JsValue> {
        self.net.attach_carrier(port).await.map_err(failed)
    }

    /// Detaches it.
    #[wasm_bindgen(js_name = detachCarrier)]
    pub async fn detach_carrier(&self) -> Result<(), JsValue> {
        self.net.detach_carrier().await.map_err(failed)
    }
}

impl NetPage {
    async fn ask(&self, command: NetCommand) -> Result<(), JsValue> {
        self.net.command(command).await.map_err(failed)
    }
}

fn show(event: NetEvent) -> JsValue {
    let id = |link: LinkId| JsValue::from(link.0 as f64);
    match event {
        NetEvent::LinkUp { link, peer, path } => object(&[
            ("type", "up".into()),
            ("link", id(link)),
            ("peer", Uint8Array::from(peer.as_slice()).into()),
            ("path", path.name().into()),
        ]),
        NetEvent::LinkDown { link, reason } => {
            object(&[("type", "down".into()), ("link", id(link)), ("reason", reason.into())])
        }
        NetEvent::Frame { link, bytes } => object(&[
            ("type", "frame".into()),
            ("link", id(link)),
            ("bytes", Uint8Array::from(bytes.as_slice()).into()),
        ]),
        NetEvent::Sent { link, bytes } => {
            object(&[("type", "sent".into()), ("link", id(link)), ("bytes", JsValue::from(bytes as f64))])
        }
        NetEvent::Relay { addr, state } => {
            let (name, why) = match state {
                RelayState::Connecting => ("connecting", String::new()),
                RelayState::Connected => ("connected", String::new()),
                RelayState::Reserved => ("reserved", String::new()),
                RelayState::Failed { why } => ("failed", why),
            };
            object(&[
                ("type", "relay".into()),
                ("addr", addr.to_string().into()),
                ("state", name.into()),
                ("why", why.into()),
            ])
        }
        NetEvent::Rtt { link, ms } => object(&[("type", "rtt".into()), ("link", id(link)), ("ms", ms.into())]),
        NetEvent::DialFailed { why, .. } => object(&[("type", "dialFailed".into()), ("why", why.into())]),
        NetEvent::Note(text) => object(&[("type", "note".into()), ("text", text.into())]),
    }
}
