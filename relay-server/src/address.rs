//! Turns sockets, URLs and `Host` headers into the multiaddresses that peers dial, and into URLs that people type.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Longest host name that is taken from a request, bytes.
const MAX_HOST_BYTES: usize = 253;

/// `/ip4/…/tcp/PORT` of a socket address.
pub(crate) fn tcp(addr: SocketAddr) -> Multiaddr {
    Multiaddr::from(addr.ip().to_canonical()).with(Protocol::Tcp(addr.port()))
}

/// `/ip4/…/tcp/PORT/ws` of a socket address.
pub(crate) fn websocket(addr: SocketAddr) -> Multiaddr {
    tcp(addr).with(Protocol::Ws("/".into()))
}

/// The same socket, but with an address that can be dialled: the loopback address in place of "any".
pub(crate) fn dialable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        // A socket on [::] takes IPv4 as well, and 127.0.0.1 is what a page on http://localhost can always dial.
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

/// What a person types to open the web app at this socket.
pub(crate) fn typed_url(addr: SocketAddr) -> String {
    let ip = addr.ip().to_canonical();
    let host = match ip {
        ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    match addr.port() {
        80 => format!("http://{host}/"),
        port => format!("http://{host}:{port}/"),
    }
}

/// The address of the WebSocket behind a public URL: `https://relay.example.org` is
/// `/dns4/relay.example.org/tcp/443/tls/ws`. `None` for anything but scheme, host and optional port.
pub(crate) fn from_url(url: &str) -> Option<Multiaddr> {
    let (scheme, rest) = url.split_once("://")?;
    let secure = match scheme {
        "http" => false,
        "https" => true,
        _ => return None,
    };
    from_host(rest.strip_suffix('/').unwrap_or(rest), secure)
}

/// The address of the WebSocket behind a `Host` header's value (`localhost:8787`, `[::1]:8787`, `relay.example.org`).
/// `None` unless it is a plain host with an optional port.
pub(crate) fn from_host(host: &str, secure: bool) -> Option<Multiaddr> {
    let (name, port) = split_port(host)?;
    let port = port.unwrap_or(if secure { 443 } else { 80 });
    let addr = host_part(name)?.with(Protocol::Tcp(port));
    Some(if secure {
        addr.with(Protocol::Tls).with(Protocol::Ws("/".into()))
    } else {
        addr.with(Protocol::Ws("/".into()))
    })
}

fn split_port(host: &str) -> Option<(&str, Option<u16>)> {
    if host.starts_with('[') {
        let end = host.find(']')?;
        let (name, rest) = host.split_at_checked(end + 1)?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((name, Some(port.parse().ok()?))),
            None if rest.is_empty() => Some((name, None)),
            None => None,
        };
    }
    match host.split_once(':') {
        Some((name, port)) => Some((name, Some(port.parse().ok()?))),
        None => Some((host, None)),
    }
}

fn host_part(name: &str) -> Option<Multiaddr> {
    if let Some(inner) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Some(Multiaddr::from(Ipv6Addr::from_str(inner).ok()?));
    }
    if let Ok(ip) = Ipv4Addr::from_str(name) {
        return Some(Multiaddr::from(ip));
    }
    if name.eq_ignore_ascii_case("localhost") {
        // Every browser dials this; the name itself may resolve to an IPv6 address the relay does not listen on.
        return Some(Multiaddr::from(Ipv4Addr::LOCALHOST));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let ok =
        !name.is_empty() && name.len() <= MAX_HOST_BYTES && name.chars().all(plain) && !name.starts_with(['-', '.']);
    ok.then(|| Multiaddr::empty().with(Protocol::Dns4(name.to_ascii_lowercase().into())))
}

/// What one client counts as: an IPv4 address, or the /64 that one IPv6 customer holds.
pub(crate) fn client_block(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
    }
}

/// The IP address at the start of a multiaddress.
pub(crate) fn ip_of(addr: &Multiaddr) -> Option<IpAddr> {
    match addr.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str, secure: bool) -> String {
        from_host(text, secure).map(|addr| addr.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_host_header_becomes_the_address_a_browser_dials() {
        assert_eq!(host("localhost:8787", false), "/ip4/127.0.0.1/tcp/8787/ws");
        assert_eq!(host("127.0.0.1:1", false), "/ip4/127.0.0.1/tcp/1/ws");
        assert_eq!(host("[::1]:9", false), "/ip6/::1/tcp/9/ws");
        assert_eq!(host("Relay.Example.org", true), "/dns4/relay.example.org/tcp/443/tls/ws");
        assert_eq!(host("relay.example.org", false), "/dns4/relay.example.org/tcp/80/ws");
    }

    #[test]
    fn a_strange_host_header_becomes_nothing() {
        for bad in ["", "a b", "a/b", "a:b", "a:99999", "[::1", "[::1]x", "-a", "a\"b", "user@host", &"a".repeat(300)] {
            assert_eq!(host(bad, false), "", "{bad}");
        }
    }

    #[test]
    fn a_public_url_has_no_path_and_a_known_scheme() {
        assert_eq!(
            from_url("https://r.example/").map(|a| a.to_string()).unwrap_or_default(),
            "/dns4/r.example/tcp/443/tls/ws"
        );
        assert!(from_url("https://r.example/path").is_none());
        assert!(from_url("ftp://r.example").is_none());
        assert!(from_url("r.example").is_none());
    }

    #[test]
    fn one_ipv6_customer_is_one_client() {
        let block = |text: &str| client_block(text.parse().unwrap());
        assert_eq!(block("2001:db8:1:2:3::4"), block("2001:db8:1:2:ffff::1"));
        assert_ne!(block("2001:db8:1:2::1"), block("2001:db8:1:3::1"));
        assert_eq!(block("::ffff:10.0.0.1"), block("10.0.0.1"));
    }

    #[test]
    fn the_url_to_type_says_localhost_for_this_machine() {
        assert_eq!(typed_url("127.0.0.1:8787".parse().unwrap()), "http://localhost:8787/");
        assert_eq!(typed_url("0.0.0.0:80".parse().unwrap()), "http://localhost/");
        assert_eq!(typed_url("[2001:db8::1]:81".parse().unwrap()), "http://[2001:db8::1]:81/");
    }
}
