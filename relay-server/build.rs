//! Puts the built web files (`dist/` at the root, or `KITH_WEB_DIR`) into release binaries, compressed ahead of time.
//!
//! Debug builds take nothing in (unless `KITH_WEB_DIR` is set) and so need not be rebuilt when a page changes: they serve
//! from disk with `--web`.
//! Without files the table is empty and the relay says so when asked for a page.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Best and slowest; done once per content.
const BROTLI_QUALITY: i32 = 11;
const BROTLI_WINDOW: i32 = 22;
/// Below this a header costs more than it saves.
const MIN_BYTES: usize = 512;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=KITH_WEB_DIR");
    let out = PathBuf::from(env("OUT_DIR")?);
    let named = std::env::var_os("KITH_WEB_DIR").map(PathBuf::from);
    let wanted = named.is_some() || env("PROFILE")? == "release";
    let folder = match named {
        Some(folder) => folder,
        None => Path::new(&env("CARGO_MANIFEST_DIR")?).join("../dist"),
    };
    let mut table = String::from("&[");
    if wanted {
        // A missing path makes Cargo look again at the next build, which is what we want.
        println!("cargo:rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        if folder.is_dir() {
            collect(&folder, &mut files)?;
        }
        files.sort();
        for file in files {
            println!("cargo:rerun-if-changed={}", file.display());
            row(&mut table, &folder, &file, &out)?;
        }
    }
    table.push(']');
    fs::write(out.join("embedded.rs"), table)
}

fn env(name: &str) -> io::Result<String> {
    std::env::var(name).map_err(|_| io::Error::other(format!("{name} is not set")))
}

/// All files below `folder`, hidden ones and source maps left out.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.'));
        if hidden || path.extension().is_some_and(|ext| ext == "map") {
            continue;
        }
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// One line of the table: name, content, brotli, gzip.
fn row(table: &mut String, folder: &Path, file: &Path, out: &Path) -> io::Result<()> {
    let content = fs::read(file)?;
    let relative = file.strip_prefix(folder).map_err(io::Error::other)?;
    let name = relative.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/");
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let key = format!("{:016x}-{}", hasher.finish(), content.len());
    let brotli = packed(out.join(format!("{key}.br")), &content, |to| {
        let params = brotli::enc::BrotliEncoderParams {
            quality: BROTLI_QUALITY,
            lgwin: BROTLI_WINDOW,
            size_hint: content.len(),
            ..Default::default()
        };
        brotli::BrotliCompress(&mut content.as_slice(), to, &params).map(drop)
    })?;
    let gzip = packed(out.join(format!("{key}.gz")), &content, |to| {
        let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::best());
        encoder.write_all(&content)?;
        encoder.finish().map(drop)
    })?;
    let take = |path: &Option<PathBuf>| match path {
        Some(path) => format!("Some(include_bytes!({path:?}))"),
        None => "None".to_owned(),
    };
    let absolute = fs::canonicalize(file)?;
    writeln!(
        table,
        "Embedded {{ name: {name:?}, content: include_bytes!({absolute:?}), brotli: {}, gzip: {} }},",
        take(&brotli),
        take(&gzip)
    )
    .map_err(io::Error::other)
}

/// Compresses into `path` unless an earlier build did; `None` if it saves nothing.
fn packed(
    path: PathBuf,
    content: &[u8],
    compress: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<Option<PathBuf>> {
    if content.len() < MIN_BYTES {
        return Ok(None);
    }
    if !path.exists() {
        let mut packed = Vec::new();
        compress(&mut packed)?;
        fs::write(&path, packed)?;
    }
    let saves = fs::metadata(&path)?.len() < content.len() as u64 * 19 / 20;
    Ok(saves.then_some(path))
}
