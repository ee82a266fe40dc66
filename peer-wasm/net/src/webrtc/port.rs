//! The messages between worker and page, as they are on the port. The page's half is
//! `sw-host/src/shared/carrier-messages.ts`; the two change together, with [`VERSION`].
//!
//! Every message is an array: its name first, then the peer connection, then what the name asks for. Message
//! bytes travel as transferred `ArrayBuffer`s.

use super::carrier::{Carrier, FromPage, PcState, ToPage};
use crate::limits::{MAX_CANDIDATE, MAX_SDP};
use js_sys::{Array, ArrayBuffer, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{MessageEvent, MessagePort};

/// The version of these messages, told with `hello`.
const VERSION: u32 = 2;

/// Longest explanation taken from a page.
const MAX_WHY: usize = 500;

/// A carrier behind this port.
pub(crate) fn carry_over(port: MessagePort) -> Carrier {
    let out = SendWrapper::new(port.clone());
    let carrier = Carrier::new(Box::new(move |message| post(&out, message)));
    let heard = carrier.clone();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        // What cannot be read is not for us: a page of another version.
        match read(&event.data()) {
            Some(message) => heard.hear(message),
            None => tracing::debug!("an unreadable message from the carrying page"),
        }
    });
    port.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // Lives as long as the port, which the browser drops with its page.
    on_message.forget();
    let hello = Array::of2(&"hello".into(), &VERSION.into());
    let _ = port.post_message(&hello);
    carrier
}

fn post(port: &MessagePort, message: ToPage) {
    let named = |name: &str, pc: u32| Array::of2(&name.into(), &pc.into());
    let with = |name: &str, pc: u32, more: &[JsValue]| {
        let array = named(name, pc);
        more.iter().for_each(|value| {
            array.push(value);
        });
        array
    };
    let sent = match message {
        ToPage::Ping => Array::of1(&"ping".into()),
        ToPage::Detach => Array::of1(&"detach".into()),
        ToPage::Offer { pc } => named("offer", pc),
        ToPage::Answer { pc, sdp } => with("answer", pc, &[sdp.into()]),
        ToPage::Accept { pc, sdp } => with("accept", pc, &[sdp.into()]),
        ToPage::Candidate { pc, json } => with("candidate", pc, &[json.into()]),
        ToPage::Ready { pc } => named("ready", pc),
        ToPage::OpenChannel { pc, channel } => with("open", pc, &[channel.into()]),
        ToPage::CloseChannel { pc, channel } => with("shut", pc, &[channel.into()]),
        ToPage::Close { pc } => named("close", pc),
        ToPage::Data { pc, channel, bytes, size } => {
            let buffer = Uint8Array::from(bytes.as_slice()).buffer();
            let message = with("data", pc, &[channel.into(), buffer.clone().into(), (size as f64).into()]);
            // A port that cannot take it belongs to a page that is gone, which the heartbeat finds out.
            let _ = port.post_message_with_transferable(&message, &Array::of1(&buffer));
            return;
        }
    };
    let _ = port.post_message(&sent);
    if sent.get(0) == "detach" {
        port.close();
    }
}

fn read(value: &JsValue) -> Option<FromPage> {
    let array = value.dyn_ref::<Array>()?;
    let name = array.get(0).as_string()?;
    let number = |index| {
        let number = array.get(index).as_f64()?;
        // Exact: both are small whole numbers.
        (number >= 0.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0).then_some(number as u32)
    };
    let text = |index, limit: usize| array.get(index).as_string().filter(|text| text.len() <= limit);
    Some(match name.as_str() {
        "pong" | "hello" => FromPage::Alive,
        "bye" => FromPage::Bye,
        "description" => FromPage::Description { pc: number(1)?, sdp: text(2, MAX_SDP)? },
        "candidate" => FromPage::Candidate { pc: number(1)?, json: text(2, MAX_CANDIDATE)? },
        "gathered" => FromPage::Gathered { pc: number(1)? },
        "state" => FromPage::State {
            pc: number(1)?,
            state: match array.get(2).as_string()?.as_str() {
                "connected" => PcState::Connected,
                "disconnected" => PcState::Disconnected,
                "failed" => PcState::Failed,
                "closed" => PcState::Closed,
                _ => return None,
            },
        },
        "failed" => {
            let why = array.get(2).as_string()?.chars().take(MAX_WHY).collect();
            FromPage::Failed { pc: number(1)?, why }
        }
        "channel" => FromPage::Channel { pc: number(1)?, channel: number(2)? },
        "data" => {
            let buffer = array.get(3).dyn_into::<ArrayBuffer>().ok()?;
            FromPage::Data { pc: number(1)?, channel: number(2)?, bytes: Uint8Array::new(&buffer).to_vec() }
        }
        "taken" => FromPage::Taken { pc: number(1)?, channel: number(2)?, bytes: number(3)? as usize },
        "closed" => FromPage::ChannelClosed { pc: number(1)?, channel: number(2)? },
        _ => return None,
    })
}
