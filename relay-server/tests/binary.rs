//! The program as an operator runs it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::io::Read;
use std::process::Stdio;
use support::peer::Peer;
use support::{request, soon};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kith-relay"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KITH_")) {
        command.env_remove(name);
    }
    command
}

/// Runs to the end: exit code, standard output, standard error.
async fn finish(mut command: Command) -> (Option<i32>, String, String) {
    let output = soon("the program's end", command.output()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Starts on a free port; the child and the URL of the ready line.
async fn start(data: &tempfile::TempDir, more: &[&str]) -> (Child, String) {
    let data = data.path().to_str().unwrap();
    let mut child = program(&[&["--listen", "127.0.0.1:0", "--data", data], more].concat()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = soon("the ready line", lines.next_line()).await.unwrap().unwrap();
    (child, line.strip_prefix("ready ").unwrap().to_owned())
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

fn port(url: &str) -> u16 {
    url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn check_prints_the_effective_configuration() {
    let mut command = program(&["--check", "--set", "relay.max_circuits=7"]);
    command.env("KITH_DRAIN_SECONDS", "5").env("KITH_DRIAN", "1");
    let (code, out, err) = finish(command).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("max_circuits = 7") && out.contains("drain_seconds = 5"), "{out}");
    assert!(err.contains("KITH_DRIAN"), "{err}");
    assert!(out.parse::<toml::Table>().is_ok());
}

#[tokio::test]
async fn check_explains_a_wrong_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kith.toml");
    std::fs::write(&file, "[http]\nmax_conections = 1\n").unwrap();
    let (code, out, err) = finish(program(&["--check", "--config", file.to_str().unwrap()])).await;
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("http.max_conections") && err.contains("did you mean `http.max_connections`"), "{err}");
}

#[tokio::test]
async fn a_port_in_use_ends_the_start_with_a_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let data = tempfile::tempdir().unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let (code, out, err) = finish(program(&["--listen", &listen, "--data", data.path().to_str().unwrap()])).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains(&format!("cannot listen on {listen}")), "{err}");
}

#[tokio::test]
async fn the_ready_line_names_the_real_port_and_sigterm_ends_in_order() {
    let data = tempfile::tempdir().unwrap();
    let web = tempfile::tempdir().unwrap();
    std::fs::write(web.path().join("index.html"), "<h1>here</h1>").unwrap();
    let (mut child, url) = start(&data, &["--web", web.path().to_str().unwrap()]).await;
    assert_eq!(url, format!("http://localhost:{}/", port(&url)));
    let addr = ([127, 0, 0, 1], port(&url)).into();
    assert_eq!(request(addr, "GET", "/", &[]).await.text(), "<h1>here</h1>");
    signal(&child, "TERM");
    assert_eq!(soon("the end", child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_the_drain_at_once() {
    let data = tempfile::tempdir().unwrap();
    let (mut child, url) = start(&data, &["--set", "drain_seconds=3600"]).await;
    let addr = ([127, 0, 0, 1], port(&url)).into();
    let doc = request(addr, "GET", "/.well-known/kith.json", &[]).await.json();
    let relay: libp2p::Multiaddr = doc["addrs"][0].as_str().unwrap().parse().unwrap();
    let (mut alice, mut bob) = (Peer::start().await, Peer::start().await);
    bob.reserve(relay.clone()).await;
    bob.reserved().await;
    alice.dial_through(relay, bob.id).await;
    alice.connected(bob.id).await;

    signal(&child, "INT");
    soon("draining", async {
        while request(addr, "GET", "/healthz", &[]).await.status != 503 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "TERM");
    assert_eq!(soon("the end", child.wait()).await.unwrap().code(), Some(130));
}

#[tokio::test]
async fn json_logs_are_one_object_per_line_and_hold_no_secret() {
    let data = tempfile::tempdir().unwrap();
    let (mut child, _) = start(&data, &["--set", "log.format=json", "--set", "log.level=debug"]).await;
    signal(&child, "TERM");
    assert_eq!(soon("the end", child.wait()).await.unwrap().code(), Some(0));
    let mut log = String::new();
    let mut stderr = child.stderr.take().unwrap().into_owned_fd().map(std::fs::File::from).unwrap();
    stderr.read_to_string(&mut log).unwrap();
    let messages: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(messages.iter().any(|line| line["fields"]["message"] == "started"));
    let seed = std::fs::read(data.path().join(kith_relay::identity::KEY_FILE)).unwrap();
    let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!log.contains(&hex) && !log.contains(&format!("{seed:?}")));
}
