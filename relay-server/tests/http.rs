//! What browsers and programs get on the public port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::io::Read;
use std::path::Path;
use support::{Reply, TestRelay, open_websocket, raw, read_head, request, soon, upgrade_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const SCRIPT: &str = "export const answer = 42; // words words words words words words words\n";

/// A relay serving a folder with one file of each kind.
struct Site {
    relay: TestRelay,
    folder: tempfile::TempDir,
}

impl Site {
    async fn start(change: impl FnOnce(&mut kith_relay::config::Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, content: &[u8]| {
            let path = folder.path().join("dist").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        put("index.html", b"<!doctype html><title>home</title>");
        put("board/index.html", b"<!doctype html><title>board</title>");
        put("kith.js", SCRIPT.repeat(100).as_bytes());
        put("kith-worker.js", b"self.x = 1");
        put("kith/peer_bg.wasm", &[0; 4096]);
        put("assets/chunk-4QRDLZ5T.js", b"export {}");
        put("app.webmanifest", b"{}");
        put(".secret", b"hidden");
        fs::write(folder.path().join("outside.txt"), "outside").unwrap();
        let dist = folder.path().join("dist");
        let relay = TestRelay::start(|config| {
            config.web = dist;
            change(config);
        })
        .await;
        Self { relay, folder }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        request(self.relay.addr, "GET", path, headers).await
    }

    fn dist(&self) -> std::path::PathBuf {
        self.folder.path().join("dist")
    }
}

#[tokio::test]
async fn every_file_has_the_type_its_browser_insists_on() {
    let site = Site::start(|_| {}).await;
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/board/", "text/html; charset=utf-8"),
        ("/kith.js", "text/javascript; charset=utf-8"),
        ("/kith/peer_bg.wasm", "application/wasm"),
        ("/app.webmanifest", "application/manifest+json"),
    ] {
        let reply = site.get(path, &[]).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, media_type), "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
    assert!(site.get("/board/?a=b", &[]).await.text().contains("board"));
}

#[tokio::test]
async fn a_folder_without_slash_leads_to_the_one_with_it() {
    let site = Site::start(|_| {}).await;
    let reply = site.get("/board?x=1", &[]).await;
    assert_eq!((reply.status, reply.header("location")), (308, "/board/?x=1"));
}

#[tokio::test]
async fn a_known_file_is_not_sent_again() {
    let site = Site::start(|_| {}).await;
    let first = site.get("/kith.js", &[]).await;
    let tag = first.header("etag").to_owned();
    assert_eq!(first.header("cache-control"), "no-cache");
    let again = site.get("/kith.js", &[("If-None-Match", &tag)]).await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, tag.as_str()));
    for also in [format!("\"other\", W/{tag}"), "*".to_owned()] {
        assert_eq!(site.get("/kith.js", &[("If-None-Match", &also)]).await.status, 304, "{also}");
    }
    // A cache that holds the compressed form asks with that form's tag.
    let packed = site.get("/kith.js", &[("Accept-Encoding", "gzip")]).await.header("etag").to_owned();
    assert_ne!(packed, tag);
    assert_eq!(site.get("/kith.js", &[("If-None-Match", &packed)]).await.status, 304);

    fs::write(site.dist().join("kith.js"), "changed").unwrap();
    let changed = site.get("/kith.js", &[("If-None-Match", &tag)]).await;
    assert_eq!((changed.status, changed.text().as_str()), (200, "changed"));
}

#[tokio::test]
async fn only_files_named_by_their_hash_are_kept_for_ever() {
    let site = Site::start(|_| {}).await;
    assert!(site.get("/assets/chunk-4QRDLZ5T.js", &[]).await.header("cache-control").contains("immutable"));
    for path in ["/", "/kith-worker.js", "/kith/peer_bg.wasm"] {
        assert_eq!(site.get(path, &[]).await.header("cache-control"), "no-cache", "{path}");
    }
}

#[tokio::test]
async fn files_are_compressed_as_the_client_takes_them() {
    let site = Site::start(|_| {}).await;
    let plain = SCRIPT.repeat(100);

    let br = site.get("/kith.js", &[("Accept-Encoding", "gzip, deflate, br, zstd")]).await;
    assert_eq!((br.header("content-encoding"), br.header("vary")), ("br", "accept-encoding"));
    let mut unpacked = String::new();
    brotli::Decompressor::new(br.body.as_slice(), 4096).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);

    let gz = site.get("/kith.js", &[("Accept-Encoding", "gzip, br;q=0")]).await;
    assert_eq!(gz.header("content-encoding"), "gzip");
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(gz.body.as_slice()).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);

    let identity = site.get("/kith.js", &[]).await;
    assert_eq!((identity.header("content-encoding"), identity.text()), ("", plain));
    // Too small to gain anything.
    assert_eq!(site.get("/kith-worker.js", &[("Accept-Encoding", "br")]).await.header("content-encoding"), "");
}

#[tokio::test]
async fn head_tells_the_same_without_the_body() {
    let site = Site::start(|_| {}).await;
    for path in ["/kith.js", "/healthz", "/.well-known/kith.json", "/missing"] {
        let (get, head) = (site.get(path, &[]).await, request(site.relay.addr, "HEAD", path, &[]).await);
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
    }
}

#[tokio::test]
async fn pages_and_workers_run_wasm_but_nothing_from_elsewhere() {
    let site = Site::start(|config| config.http.connect_sources = vec!["https://other.example".into()]).await;
    for path in ["/", "/kith-worker.js"] {
        let reply = site.get(path, &[]).await;
        let policy = reply.header("content-security-policy").to_owned();
        for part in [
            "default-src 'self'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "connect-src 'self' http: https: ws: wss: https://other.example",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'self'",
        ] {
            assert!(policy.split(';').any(|rule| rule.trim() == part), "{part} in {policy}");
        }
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"));
        assert_eq!(reply.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
    }
}

#[tokio::test]
async fn a_worker_script_may_serve_the_whole_origin() {
    let site = Site::start(|_| {}).await;
    let worker = site.get("/kith-worker.js", &[("Service-Worker", "script")]).await;
    assert_eq!(worker.header("service-worker-allowed"), "/");
    assert_eq!(site.get("/kith-worker.js", &[]).await.header("service-worker-allowed"), "");
}

#[tokio::test]
async fn nothing_outside_the_folder_is_served() {
    let site = Site::start(|_| {}).await;
    #[cfg(unix)]
    std::os::unix::fs::symlink(site.folder.path().join("outside.txt"), site.dist().join("link.txt")).unwrap();
    for path in [
        "/../outside.txt",
        "/board/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/%2e%2e%5coutside.txt",
        "/.secret",
        "//etc/passwd",
        "/board//index.html",
        "/%ff",
        "/a%00b",
        "/link.txt",
    ] {
        let reply = site.get(path, &[]).await;
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
        assert!(!reply.text().contains("outside"), "{path}");
    }
}

#[tokio::test]
async fn a_missing_page_says_so_in_plain_words() {
    let site = Site::start(|_| {}).await;
    let page = site.get("/nowhere", &[("Accept", "text/html,*/*;q=0.8")]).await;
    assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(page.text().contains("There is no page at this address"));
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    assert_eq!(site.get("/nowhere", &[]).await.problem(), "not-found");
}

#[tokio::test]
async fn a_relay_without_web_files_still_answers() {
    let relay = TestRelay::start(|_| {}).await;
    let page = relay.get("/").await;
    assert_eq!(page.status, 404);
    assert!(page.text().contains("--web"));
    assert_eq!(relay.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_request_for_the_peer_that_reaches_the_relay_says_why() {
    let site = Site::start(|_| {}).await;
    for (method, path) in
        [("GET", "/~/peer"), ("POST", "/~/peer/ping"), ("DELETE", "/~/me/x"), ("GET", "/~/"), ("GET", "/~")]
    {
        let reply = request(site.relay.addr, method, path, &[]).await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{method} {path}");
        assert_eq!(reply.problem(), "not-controlled");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    let put = b"PUT /~/me/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    assert_eq!(raw(site.relay.addr, put).await.problem(), "not-controlled");
}

#[tokio::test]
async fn files_can_only_be_read() {
    let site = Site::start(|_| {}).await;
    let reply = request(site.relay.addr, "PUT", "/kith.js", &[]).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "GET, HEAD"));
    assert_eq!(reply.problem(), "method-not-allowed");
    let options = request(site.relay.addr, "OPTIONS", "/kith.js", &[]).await;
    assert_eq!((options.status, options.header("allow")), (204, "GET, HEAD"));
    assert_eq!(request(site.relay.addr, "POST", "/healthz", &[]).await.status, 405);
}

#[tokio::test]
async fn the_info_document_tells_who_the_relay_is_and_where() {
    let site = Site::start(|config| config.name = "Test relay".into()).await;
    let (port, peer) = (site.relay.addr.port(), site.relay.peer);
    let reply = site.get("/.well-known/kith.json", &[]).await;
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    let doc = reply.json();
    assert_eq!(doc["name"], "Test relay");
    assert_eq!(doc["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(doc["peerId"], peer.to_string());
    assert_eq!(doc["addrs"][0], format!("/ip4/127.0.0.1/tcp/{port}/ws/p2p/{peer}"));
    assert_eq!(doc["limits"]["circuitBytes"], 0);

    let addr_for = async |headers: &[(&str, &str)]| {
        site.get("/.well-known/kith.json", headers).await.json()["addrs"][0].as_str().unwrap().to_owned()
    };
    assert_eq!(addr_for(&[("Host", "relay.test:81")]).await, format!("/dns4/relay.test/tcp/81/ws/p2p/{peer}"));
    // A made-up host never gets into an address.
    assert_eq!(addr_for(&[("Host", "a/ws/p2p")]).await, format!("/ip4/127.0.0.1/tcp/{port}/ws/p2p/{peer}"));
    // Nobody said that this client is a proxy.
    let forwarded = [("Host", "r.test"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.test")];
    assert_eq!(addr_for(&forwarded).await, format!("/dns4/r.test/tcp/80/ws/p2p/{peer}"));
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_address_is_the_public_one() {
    let site = Site::start(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let headers =
        [("Host", "10.0.0.7:8787"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "relay.example.org")];
    let doc = site.get("/.well-known/kith.json", &headers).await.json();
    assert_eq!(doc["addrs"][0], format!("/dns4/relay.example.org/tcp/443/tls/ws/p2p/{}", site.relay.peer));
}

#[tokio::test]
async fn requests_beyond_the_rate_are_told_to_wait() {
    let site = Site::start(|config| config.http.requests_per_minute = 3).await;
    for _ in 0..3 {
        assert_eq!(site.get("/", &[]).await.status, 200);
    }
    let reply = site.get("/", &[]).await;
    assert_eq!((reply.status, reply.problem().as_str()), (429, "too-many-requests"));
    assert!(reply.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_a_rate_each() {
    let site = Site::start(|config| {
        config.http.requests_per_minute = 1;
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let from = async |ip: &str| site.get("/", &[("X-Forwarded-For", ip)]).await.status;
    assert_eq!((from("10.0.0.1").await, from("10.0.0.2").await), (200, 200));
    // What a client writes before its proxy's line does not make it somebody else.
    assert_eq!(from("6.6.6.6, 10.0.0.1").await, 429);
}

#[tokio::test]
async fn a_full_port_makes_room_by_closing_the_greediest() {
    let site = Site::start(|config| {
        config.http.max_connections = 3;
        config.http.max_connections_per_address = 3;
    })
    .await;
    let addr = site.relay.addr;
    let mut greedy = Vec::new();
    for _ in 0..3 {
        greedy.push(open_websocket(addr, "/").await.unwrap());
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut modest = socket.connect(addr).await.unwrap();
    modest.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(read_head(&mut modest).await.status, 200);
    let mut rest = Vec::new();
    soon("the newest of the greedy ones to end", greedy.pop().unwrap().read_to_end(&mut rest)).await.ok();
    // The address that holds most gets no more.
    let mut refused = TcpStream::connect(addr).await.unwrap();
    refused.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.ok();
    let mut nothing = Vec::new();
    soon("the refusal", refused.read_to_end(&mut nothing)).await.ok();
    assert!(nothing.is_empty());
}

#[tokio::test]
async fn clients_that_never_finish_asking_are_cut_off() {
    let site = Site::start(|config| config.http.header_timeout_seconds = 1).await;
    let mut half = TcpStream::connect(site.relay.addr).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").await.unwrap();
    let mut answer = Vec::new();
    soon("the cut", half.read_to_end(&mut answer)).await.ok();
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    let mut idle = TcpStream::connect(site.relay.addr).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut all = Vec::new();
    soon("the idle connection's end", idle.read_to_end(&mut all)).await.ok();
    assert!(all.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn oversized_and_malformed_requests_are_refused() {
    let site = Site::start(|_| {}).await;
    let addr = site.relay.addr;
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(100_000));
    assert!(matches!(raw(addr, long.as_bytes()).await.status, 414 | 431));
    let wide = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(raw(addr, wide.as_bytes()).await.status, 431);
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(200));
    assert_eq!(raw(addr, many.as_bytes()).await.status, 431);
    assert_eq!(raw(addr, b"nonsense\r\n\r\n").await.status, 400);
    let body = format!("POST /~/x HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n{}", "x".repeat(200_000));
    assert_eq!(raw(addr, body.as_bytes()).await.problem(), "body-too-large");
    assert_eq!(site.get(&format!("/{}", "x".repeat(2000)), &[]).await.problem(), "bad-path");
    assert_eq!(site.relay.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn only_proper_websocket_upgrades_are_taken() {
    let site = Site::start(|_| {}).await;
    let addr = site.relay.addr;
    for path in ["/", "/p2p"] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(upgrade_request(path).as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert_eq!((head.status, head.header("upgrade")), (101, "websocket"), "{path}");
        // The key and answer of RFC 6455, section 1.3.
        assert_eq!(head.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
    let broken = |from: &str, to: &str| upgrade_request("/").replace(from, to).replace("keep-alive, ", "");
    for request in [
        broken("Version: 13", "Version: 8"),
        broken("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        broken("Connection: keep-alive, Upgrade", "Connection: close"),
        broken("GET ", "POST "),
    ] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(read_head(&mut stream).await.status, 400, "{request}");
    }
    assert_eq!(open_websocket(addr, "/board/").await.unwrap_err().status, 404);
    assert_eq!(site.get("/p2p", &[]).await.status, 426);
}

#[tokio::test]
async fn health_and_metrics_tell_the_state() {
    let site = Site::start(|_| {}).await;
    let health = site.get("/healthz", &[]).await;
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("ok")));
    let metrics = site.get("/metrics", &[]).await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    let text = metrics.text();
    for name in [
        "kith_relay_build_info{version=",
        "kith_relay_uptime_seconds ",
        "kith_relay_reservations 0",
        "kith_relay_circuits 0",
        "kith_relay_http_requests_total{class=\"2xx\"} ",
        "process_resident_memory_bytes ",
        "# EOF",
    ] {
        assert!(text.contains(name), "{name} in {text}");
    }
    assert!(site.relay.metric("process_resident_memory_bytes").await > 1e6);
}

#[tokio::test]
async fn metrics_can_have_an_address_of_their_own_or_none() {
    let site = Site::start(|config| config.metrics.listen = Some("127.0.0.1:0".parse().unwrap())).await;
    assert_eq!(site.get("/metrics", &[]).await.status, 404);
    let own = site.relay.metrics_addr.unwrap();
    assert!(request(own, "GET", "/metrics", &[]).await.text().contains("kith_relay_uptime_seconds"));
    assert_eq!(request(own, "GET", "/healthz", &[]).await.status, 200);
    assert_eq!(request(own, "GET", "/kith.js", &[]).await.status, 404);

    let off = Site::start(|config| config.metrics.enabled = false).await;
    assert_eq!(off.get("/metrics", &[]).await.status, 404);
}

#[tokio::test]
async fn a_port_in_use_and_a_missing_folder_are_explained() {
    let relay = TestRelay::start(|_| {}).await;
    let data = tempfile::tempdir().unwrap();
    let start = async |change: &dyn Fn(&mut kith_relay::config::Config)| {
        let mut config = support::config(data.path());
        change(&mut config);
        kith_relay::run(config, async {}).await.unwrap_err().to_string()
    };
    let why = start(&|config| config.listen = relay.addr).await;
    assert!(why.contains(&relay.addr.to_string()) && why.contains("choose another port"), "{why}");
    let why = start(&|config| config.web = Path::new("/no/such/folder").into()).await;
    assert!(why.contains("/no/such/folder") && why.contains("npm run build"), "{why}");
}
