//! `kith-relay`: reads flags, starts the relay, prints one line when it is ready, and stops on a signal.

use clap::Parser;
use kith_relay::config::{self, Config, Flags, LogFormat};
use kith_relay::shutdown::Signals;
use kith_relay::{Ended, Relay};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Ended in order after a signal.
const OK: u8 = 0;
/// Could not start or broke.
const FAILED: u8 = 1;
/// The configuration is wrong.
const MISCONFIGURED: u8 = 2;
/// A second signal ended the drain at once.
const CUT_SHORT: i32 = 130;

/// The Kith relay: serves the web app and connects peers.
///
/// Settings come from the defaults, then the file, then KITH_* variables, then flags. Every setting of the file has a
/// variable (relay.max_circuits is KITH_RELAY_MAX_CIRCUITS) and can be given with --set.
#[derive(Parser)]
#[command(version, about, long_about)]
struct Args {
    /// Address of the public port; port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
    /// Folder of the identity key
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Serve web files from this folder instead of those in the binary
    #[arg(long, value_name = "DIR")]
    web: Option<String>,
    /// TOML file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any setting, e.g. --set relay.max_circuits=100; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
    /// Print the effective configuration as TOML and exit
    #[arg(long)]
    check: bool,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl Args {
    fn flags(self) -> Flags {
        let named = [("listen", self.listen), ("data", self.data), ("web", self.web)];
        let named = named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Flags { config: self.config, set: self.set.into_iter().chain(named).collect() }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let check = args.check;
    let env =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let loaded = match config::load(&args.flags(), env) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("kith-relay: {error}");
            return ExitCode::from(MISCONFIGURED);
        }
    };
    if check {
        return print_config(&loaded.config, &loaded.warnings);
    }
    start_log(&loaded.config);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("kith-relay: cannot start its threads: {error}");
            return ExitCode::from(FAILED);
        }
    };
    match runtime.block_on(serve(loaded.config)) {
        Ok(_) => ExitCode::from(OK),
        Err(error) => {
            eprintln!("kith-relay: {error}");
            ExitCode::from(FAILED)
        }
    }
}

async fn serve(config: Config) -> Result<Ended, Box<dyn std::error::Error>> {
    let mut signals = Signals::listen()?;
    let relay = Relay::bind(config).await?;
    tracing::info!(addr = %relay.addr(), peer = %relay.peer_id(), version = env!("CARGO_PKG_VERSION"), "started");
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready {}", relay.url())?;
    out.flush()?;
    drop(out);
    let first = async {
        let signal = signals.next().await;
        tracing::info!(signal, "stopping; a second signal stops at once");
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(CUT_SHORT);
        });
    };
    Ok(relay.run(first).await)
}

fn print_config(config: &Config, warnings: &[String]) -> ExitCode {
    for warning in warnings {
        eprintln!("kith-relay: {warning}");
    }
    match config.to_toml() {
        Ok(text) => {
            print!("{text}");
            ExitCode::from(OK)
        }
        Err(error) => {
            eprintln!("kith-relay: {error}");
            ExitCode::from(MISCONFIGURED)
        }
    }
}

fn start_log(config: &Config) {
    let filter = EnvFilter::try_new(&config.log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => log.json().init(),
    }
}
