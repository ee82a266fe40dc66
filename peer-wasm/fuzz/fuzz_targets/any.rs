//! libFuzzer on the target named by `KITH_TARGET`. Outside `cargo fuzz` this is an empty program.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzzer {
    use kith_fuzz::Target;
    use std::sync::OnceLock;

    static TARGET: OnceLock<&'static Target> = OnceLock::new();

    libfuzzer_sys::fuzz_target!(
        init: {
            let name = std::env::var("KITH_TARGET").unwrap_or_default();
            match kith_fuzz::target(&name) {
                Some(target) => drop(TARGET.set(target)),
                None => {
                    eprintln!("Set KITH_TARGET to one of: {}", kith_fuzz::names());
                    std::process::exit(2);
                }
            }
        },
        |data: &[u8]| {
            if let Some(target) = TARGET.get() {
                (target.run)(data);
            }
        }
    );
}

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("Run this with cargo-fuzz, or run `cargo run -p kith-fuzz -- all 5`.");
}
