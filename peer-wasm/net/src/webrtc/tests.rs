//! WebRTC with two pages' worth of messages answered in this process: what the worker's half does, natively.
//! (Real pages and real browsers: `tests-wasm/e2e/net-webrtc.test.mjs`.)

mod hostile;
mod upgrade;

use super::carrier::{Carrier, FromPage, PcId, PcState, ToPage};
use super::signal::SAMPLE_SDP;
use futures::StreamExt;
use futures::channel::mpsc;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Pages that are connected with each other: an offer's description names its peer connection, so that the answer
/// finds it.
#[derive(Default)]
struct Pages {
    carriers: Vec<Carrier>,
    /// The two ends of every connection, by page and name.
    ends: HashMap<(usize, PcId), (usize, PcId)>,
    /// Names of channels at the end that did not open them.
    channels: HashMap<(usize, PcId, u32), u32>,
    next_inbound: u32,
    /// No candidates are found.
    blocked: bool,
}

type Shared = Arc<Mutex<Pages>>;

/// Adds a page; its carrier goes to a peer.
fn page(pages: &Shared) -> Carrier {
    let (orders, mut ordered) = mpsc::unbounded();
    let carrier = Carrier::new(Box::new(move |order| {
        let _ = orders.unbounded_send(order);
    }));
    let me = {
        let mut pages = pages.lock().unwrap();
        pages.carriers.push(carrier.clone());
        pages.carriers.len() - 1
    };
    let pages = pages.clone();
    tokio::spawn(async move {
        while let Some(order) = ordered.next().await {
            obey(&pages, me, order);
        }
    });
    carrier
}

fn describe(page: usize, pc: PcId) -> String {
    format!("{SAMPLE_SDP}a=x-end:{page}/{pc}\r\n")
}

fn end_in(sdp: &str) -> (usize, PcId) {
    let end = sdp.lines().find_map(|line| line.strip_prefix("a=x-end:")).unwrap();
    let (page, pc) = end.split_once('/').unwrap();
    (page.parse().unwrap(), pc.parse().unwrap())
}

fn obey(pages: &Shared, me: usize, order: ToPage) {
    let mut told: Vec<(usize, FromPage)> = Vec::new();
    let mut state = pages.lock().unwrap();
    let found = |told: &mut Vec<(usize, FromPage)>, pc, blocked: bool| {
        if !blocked {
            told.push((me, FromPage::Candidate { pc, json: "{\"candidate\":\"candidate:1\"}".into() }));
        }
        told.push((me, FromPage::Gathered { pc }));
    };
    match order {
        ToPage::Ping => told.push((me, FromPage::Alive)),
        ToPage::Offer { pc } => {
            told.push((me, FromPage::Description { pc, sdp: describe(me, pc) }));
            found(&mut told, pc, state.blocked);
        }
        ToPage::Answer { pc, sdp } => {
            let other = end_in(&sdp);
            state.ends.insert((me, pc), other);
            state.ends.insert(other, (me, pc));
            told.push((me, FromPage::Description { pc, sdp: describe(me, pc) }));
            found(&mut told, pc, state.blocked);
        }
        ToPage::Accept { pc, sdp } if !state.blocked => {
            let (other, their_pc) = end_in(&sdp);
            told.push((me, FromPage::State { pc, state: PcState::Connected }));
            told.push((other, FromPage::State { pc: their_pc, state: PcState::Connected }));
        }
        ToPage::OpenChannel { pc, channel } => {
            if let Some((other, their_pc)) = state.ends.get(&(me, pc)).copied() {
                state.next_inbound += 2;
                let theirs = state.next_inbound + 1;
                state.channels.insert((me, pc, channel), theirs);
                state.channels.insert((other, their_pc, theirs), channel);
                told.push((other, FromPage::Channel { pc: their_pc, channel: theirs }));
            }
        }
        ToPage::Data { pc, channel, bytes, size } => {
            told.push((me, FromPage::Taken { pc, channel, bytes: bytes.len() }));
            let end = state.ends.get(&(me, pc)).copied();
            if let (Some((other, pc)), Some(channel)) = (end, state.channels.get(&(me, pc, channel)).copied()) {
                told.extend(bytes.chunks(size).map(|one| (other, FromPage::Data { pc, channel, bytes: one.to_vec() })));
            }
        }
        ToPage::CloseChannel { pc, channel } => {
            let end = state.ends.get(&(me, pc)).copied();
            if let (Some((other, pc)), Some(channel)) = (end, state.channels.remove(&(me, pc, channel))) {
                told.push((other, FromPage::ChannelClosed { pc, channel }));
            }
        }
        ToPage::Close { pc } => {
            if let Some((other, pc)) = state.ends.remove(&(me, pc)) {
                told.push((other, FromPage::State { pc, state: PcState::Closed }));
            }
        }
        ToPage::Detach => {
            let mine: Vec<_> = state.ends.keys().filter(|(page, _)| *page == me).copied().collect();
            for end in mine {
                if let Some((other, pc)) = state.ends.remove(&end) {
                    told.push((other, FromPage::State { pc, state: PcState::Closed }));
                }
            }
        }
        ToPage::Accept { .. } | ToPage::Candidate { .. } | ToPage::Ready { .. } => {}
    }
    let told: Vec<(Carrier, FromPage)> =
        told.into_iter().map(|(page, report)| (state.carriers[page].clone(), report)).collect();
    drop(state);
    for (carrier, report) in told {
        carrier.hear(report);
    }
}
