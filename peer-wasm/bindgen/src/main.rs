//! `kith-bindgen IN.wasm OUT_DIR NAME KIND`: writes the JavaScript glue and the finished wasm.
//!
//! KIND is `web` (an ES module) or `no-modules` (a classic script that sets `wasm_bindgen`). With `KITH_NAMES` in the
//! environment the functions keep their names, for profilers; releases are made without.

use std::process::ExitCode;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [wasm, out, name, kind] = args.as_slice() else {
        eprintln!("usage: kith-bindgen IN.wasm OUT_DIR NAME web|no-modules");
        return ExitCode::from(2);
    };
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(wasm)
        .out_name(name)
        .typescript(kind == "web")
        .remove_name_section(std::env::var_os("KITH_NAMES").is_none())
        .remove_producers_section(true)
        .omit_default_module_path(true);
    let chosen = match kind.as_str() {
        "web" => bindgen.web(true),
        "no-modules" => bindgen.no_modules(true),
        other => {
            eprintln!("kith-bindgen: no such kind '{other}': use web or no-modules");
            return ExitCode::from(2);
        }
    };
    match chosen.and_then(|bindgen| bindgen.generate(out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kith-bindgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}
