//! Invites: a link that lets its holder in.
//!
//! The link's fragment carries a ticket, so no server sees it. The ticket's secret yields an Ed25519 key that proves
//! to members that the holder was let in, and an X25519 key that the space's epoch keys are wrapped to.
//!
//! ```text
//! ticket = 0x01 ‖ space[32] ‖ secret[16] ‖ role ‖ inviter log[32] ‖ count ‖ relay (text)* ‖ app (text) ‖ name (text)
//! link   = origin ‖ app ‖ "#kith=" ‖ base64url(ticket)
//! ```

use crate::api::Role;
use crate::codec::{CodecError, Reader, Writer};
use crate::epoch::WrapKey;
use crate::identity::{PublicKey, SecretKey};
use crate::records::{MAX_RELAY, MAX_RELAYS, role_of, role_tag};

/// The most bytes of an app's path.
pub const MAX_APP: usize = 256;
/// The most bytes of a space's name.
pub const MAX_NAME: usize = 800;
/// The longest link looked at, in bytes.
pub const MAX_LINK: usize = 8192;

/// Why a link is no invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// There is no ticket in it.
    #[error("This link holds no invite. An invite link ends in `#kith=` and many letters; copy all of it.")]
    NoTicket,
    /// The ticket is damaged.
    #[error("The invite is incomplete or damaged. Copy the whole link again.")]
    Damaged,
    /// The ticket is of a later format.
    #[error("The invite was made by a newer version of Kith. Reload this page to update.")]
    Newer,
}

/// What an invite link carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The space.
    pub space: PublicKey,
    /// The secret.
    pub secret: [u8; 16],
    /// The role it gives.
    pub role: Role,
    /// The log of the device that made the invite: the first peer to meet.
    pub inviter: PublicKey,
    /// Multiaddrs of relays where it can be met.
    pub relays: Vec<String>,
    /// The path of the app the link opens.
    pub app: String,
    /// The space's name when the invite was made.
    pub name: String,
}

impl Ticket {
    /// The ticket's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(1).fixed(&self.space.0).fixed(&self.secret).u8(role_tag(self.role)).fixed(&self.inviter.0);
        writer.number(self.relays.len() as u64);
        for relay in &self.relays {
            writer.text(relay);
        }
        writer.text(&self.app).text(&self.name).finish()
    }

    /// Reads a ticket.
    pub fn decode(bytes: &[u8]) -> Result<Ticket, InviteError> {
        match bytes.first() {
            Some(1) => Ticket::read(bytes).map_err(|_| InviteError::Damaged),
            Some(2..) => Err(InviteError::Newer),
            _ => Err(InviteError::Damaged),
        }
    }

    fn read(bytes: &[u8]) -> Result<Ticket, CodecError> {
        let mut reader = Reader::new(bytes);
        reader.u8()?;
        let space = PublicKey(reader.fixed()?);
        let secret = reader.fixed()?;
        let role = role_of(reader.u8()?)?;
        let inviter = PublicKey(reader.fixed()?);
        let mut relays = Vec::new();
        for _ in 0..reader.size(MAX_RELAYS)? {
            relays.push(reader.text(MAX_RELAY)?.to_owned());
        }
        let app = reader.text(MAX_APP)?.to_owned();
        let name = reader.text(MAX_NAME)?.to_owned();
        reader.end()?;
        Ok(Ticket { space, secret, role, inviter, relays, app, name })
    }

    /// The link that carries the ticket.
    pub fn link(&self, origin: &str) -> String {
        format!("{origin}{}#kith={}", self.app, data_encoding::BASE64URL_NOPAD.encode(&self.encode()))
    }

    /// The ticket in a link, a fragment, or bare ticket text.
    pub fn parse(text: &str) -> Result<Ticket, InviteError> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_LINK {
            return Err(InviteError::NoTicket);
        }
        let fragment = text.rsplit_once('#').map_or(text, |(_, fragment)| fragment);
        let ticket = fragment
            .split('&')
            .find_map(|part| part.strip_prefix("kith="))
            .or_else(|| (!fragment.contains([':', '/', '='])).then_some(fragment))
            .ok_or(InviteError::NoTicket)?;
        let bytes = data_encoding::BASE64URL_NOPAD.decode(ticket.as_bytes()).map_err(|_| InviteError::Damaged)?;
        Ticket::decode(&bytes)
    }

    /// The key that proves that the holder was let in.
    pub fn key(&self) -> SecretKey {
        invite_key(&self.space, &self.secret)
    }

    /// The key that epoch keys are wrapped to.
    pub fn wrap_key(&self) -> WrapKey {
        invite_wrap_key(&self.space, &self.secret)
    }
}

/// The signing key of an invite's secret.
pub fn invite_key(space: &PublicKey, secret: &[u8; 16]) -> SecretKey {
    SecretKey::from_seed(&derive("kith 2026 invite key v1", space, secret))
}

/// The key an invite's secret opens wraps with.
pub fn invite_wrap_key(space: &PublicKey, secret: &[u8; 16]) -> WrapKey {
    WrapKey::from_seed(&derive("kith 2026 invite wrap v1", space, secret))
}

fn derive(context: &str, space: &PublicKey, secret: &[u8; 16]) -> [u8; 32] {
    *blake3::Hasher::new_derive_key(context).update(&space.0).update(secret).finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            space: PublicKey([1; 32]),
            secret: [2; 16],
            role: Role::Writer,
            inviter: PublicKey([3; 32]),
            relays: vec!["/ip4/127.0.0.1/tcp/8787/ws/p2p/x".into()],
            app: "/board/".into(),
            name: "Trip".into(),
        }
    }

    #[test]
    fn a_link_carries_its_ticket() {
        let link = ticket().link("https://example.org");
        assert!(link.starts_with("https://example.org/board/#kith="));
        assert_eq!(Ticket::parse(&link), Ok(ticket()));
        let (_, fragment) = link.split_once('#').unwrap();
        assert_eq!(Ticket::parse(fragment), Ok(ticket()));
        assert_eq!(Ticket::parse(fragment.strip_prefix("kith=").unwrap()), Ok(ticket()));
    }

    #[test]
    fn a_damaged_link_is_told_from_no_invite() {
        let link = ticket().link("https://example.org");
        assert_eq!(Ticket::parse(&link[..link.len() - 4]), Err(InviteError::Damaged));
        assert_eq!(Ticket::parse("https://example.org/board/"), Err(InviteError::NoTicket));
        assert_eq!(Ticket::parse("#kith=Ag"), Err(InviteError::Newer));
    }
}
