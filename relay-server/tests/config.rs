//! Where settings come from, and what is said about wrong ones.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use kith_relay::config::{Config, ConfigError, Flags, LogFormat, load};
use std::path::PathBuf;

const EXAMPLE: &str = include_str!("../kith-relay.example.toml");

/// Loads with a file of this content, these variables and these settings of the command line.
fn load_all(file: &str, env: &[(&str, &str)], set: &[(&str, &str)]) -> Result<kith_relay::config::Loaded, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kith.toml");
    std::fs::write(&path, file).unwrap();
    let pairs = |list: &[(&str, &str)]| list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect::<Vec<_>>();
    load(&Flags { config: Some(path), set: pairs(set) }, pairs(env))
}

fn words(file: &str, env: &[(&str, &str)], set: &[(&str, &str)]) -> String {
    load_all(file, env, set).unwrap_err().to_string()
}

#[test]
fn the_example_file_shows_every_setting_with_its_default() {
    let example: Config = toml::from_str(EXAMPLE).unwrap();
    assert_eq!(example, Config::default());
}

#[test]
fn every_line_of_the_example_is_explained() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    for pair in lines.windows(2) {
        if pair[1].contains(" = ") && !pair[1].starts_with('#') {
            assert!(pair[0].starts_with('#'), "no comment above {}", pair[1]);
        }
    }
}

#[test]
fn what_check_prints_can_be_read_again() {
    let text = Config::default().to_toml().unwrap();
    assert_eq!(load_all(&text, &[], &[]).unwrap().config, Config::default());
}

#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let file = "name = \"file\"\ndrain_seconds = 1\n[relay]\nmax_circuits = 1\nmax_reservations = 1\n";
    let env = [("KITH_DRAIN_SECONDS", "2"), ("KITH_RELAY_MAX_CIRCUITS", "2")];
    let config = load_all(file, &env, &[("relay.max_circuits", "3")]).unwrap().config;
    assert_eq!((config.relay.max_circuits, config.drain_seconds, config.name.as_str()), (3, 2, "file"));
    assert_eq!(config.relay.max_reservations, 1);
    assert_eq!(config.peers, Config::default().peers);
}

#[test]
fn variables_can_say_everything_the_file_can() {
    let env = [
        ("KITH_LISTEN", "[::1]:0"),
        ("KITH_TCP_LISTEN", "0.0.0.0:8788"),
        ("KITH_ANNOUNCE", "/dns4/a.example/tcp/443/tls/ws, /ip4/1.2.3.4/tcp/8787/ws"),
        ("KITH_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("KITH_METRICS_ENABLED", "false"),
        ("KITH_LOG_FORMAT", "json"),
    ];
    let config = load_all("", &env, &[]).unwrap().config;
    assert_eq!(config.listen, "[::1]:0".parse().unwrap());
    assert_eq!(config.tcp_listen, Some("0.0.0.0:8788".parse().unwrap()));
    assert_eq!(config.announce.len(), 2);
    assert_eq!(config.trusted_proxies.len(), 1);
    assert!(!config.metrics.enabled);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn a_variable_can_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("k.toml");
    std::fs::write(&path, "name = \"named\"").unwrap();
    let env = [("KITH_CONFIG".to_owned(), path.display().to_string())];
    assert_eq!(load(&Flags::default(), env).unwrap().config.name, "named");
}

#[test]
fn an_unknown_key_is_named_with_its_likely_meaning() {
    let why = words("[relay]\nmax_circuit = 1", &[], &[]);
    assert!(why.contains("`relay.max_circuit`") && why.contains("kith.toml"), "{why}");
    assert!(why.contains("did you mean `relay.max_circuits`"), "{why}");
    assert!(words("[realy]\nx = 1", &[], &[]).contains("`realy`"));
    assert!(words("", &[], &[("nonsense", "1")]).contains("`nonsense` in the command line"));
}

#[test]
fn a_variable_that_is_no_setting_is_a_warning() {
    let loaded = load_all("", &[("KITH_RELAY_MAX_CIRCUIT", "1"), ("HOME", "/")], &[]).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(
        matches!(loaded.warnings.as_slice(), [one] if one.contains("KITH_RELAY_MAX_CIRCUIT ")),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_its_source() {
    for (file, env, set, parts) in [
        ("drain_seconds = \"soon\"", None, None, ["`drain_seconds`", "kith.toml"]),
        ("relay = 1", None, None, ["`relay`", "section"]),
        ("", Some(("KITH_RELAY_MAX_CIRCUITS", "many")), None, ["KITH_RELAY_MAX_CIRCUITS", "whole number"]),
        ("", Some(("KITH_METRICS_ENABLED", "yes")), None, ["KITH_METRICS_ENABLED", "`true` or `false`"]),
        ("", None, Some(("listen", "8787")), ["`listen`", "socket address"]),
        ("", None, Some(("relay.max_circuits", "-1")), ["`relay.max_circuits`", "-1"]),
        ("announce = [\"nowhere\"]", None, None, ["`announce`", "kith.toml"]),
        ("[log]\nformat = \"xml\"", None, None, ["`log.format`", "xml"]),
    ] {
        let why = words(file, env.as_slice(), set.as_slice());
        assert!(parts.iter().all(|part| why.contains(part)), "{parts:?} in {why}");
    }
}

#[test]
fn values_that_do_not_fit_together_are_all_listed() {
    let why = words(
        "public_url = \"relay.example\"\nannounce = [\"/ip4/1.2.3.4/udp/1\"]\n[peers]\nping_seconds = 0\n[log]\nlevel = \"a=b=c\"\n",
        &[],
        &[],
    );
    for part in ["public_url:", "announce:", "peers.ping_seconds:", "log.level:"] {
        assert!(why.contains(part), "{part} in {why}");
    }
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_explained() {
    let missing = Flags { config: Some(PathBuf::from("/no/such.toml")), set: vec![] };
    assert!(load(&missing, []).unwrap_err().to_string().contains("/no/such.toml"));
    let why = words("listen = ", &[], &[]);
    assert!(why.contains("not valid TOML") && why.contains("line 1"), "{why}");
}
