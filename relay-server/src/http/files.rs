//! The web app: files from the binary or from a folder, with types, hashes and compressed forms ready.

use super::policy;
use super::reply::{self, Reply};
use crate::limits::lock;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

/// Largest single file served from a folder, bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Files of a folder kept in memory.
const MAX_CACHED_FILES: usize = 4096;
/// Longest path, bytes.
const MAX_PATH_BYTES: usize = 1024;
/// Brotli quality for files compressed while serving (embedded ones were compressed at build time).
const LIVE_BROTLI_QUALITY: i32 = 5;
/// Below this a header costs more than compression saves, bytes.
const MIN_COMPRESSED_BYTES: usize = 512;
/// Shortest part of a file name that counts as a content hash.
const MIN_HASH_CHARS: usize = 8;

/// Why the web files cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The folder of `--web` is not there.
    #[error(
        "cannot serve web files from {path}: {why}; build them first (npm run build), or name the folder that has them"
    )]
    Folder {
        /// The folder as configured.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
}

/// One row of the table that the build script writes.
struct Embedded {
    name: &'static str,
    content: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// What release builds carry.
static EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// All web files.
pub(crate) struct WebFiles {
    source: Source,
    connect_sources: Vec<String>,
}

enum Source {
    Embedded(HashMap<&'static str, Arc<File>>),
    Folder { root: PathBuf, cache: Mutex<HashMap<PathBuf, (Stamp, Arc<File>)>> },
}

/// Tells whether a file changed since it was read.
type Stamp = (u64, Option<SystemTime>);

/// One file, ready to be sent.
struct File {
    content: Bytes,
    media_type: String,
    /// Hash of the content, without quotes.
    tag: String,
    immutable: bool,
    is_document: bool,
    is_script: bool,
    brotli: OnceLock<Option<Bytes>>,
    gzip: OnceLock<Option<Bytes>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Source {
    fn embedded(rows: &[Embedded]) -> Self {
        Self::Embedded(rows.iter().map(|row| (row.name, Arc::new(File::embedded(row)))).collect())
    }
}

impl WebFiles {
    /// Files from `folder`, or from the binary if it is empty.
    pub(crate) fn open(folder: &Path, connect_sources: &[String]) -> Result<Self, WebError> {
        let source = if folder.as_os_str().is_empty() {
            Source::embedded(EMBEDDED)
        } else {
            let fail = |error: io::Error| WebError::Folder { path: folder.into(), why: error.to_string() };
            let root = std::fs::canonicalize(folder).map_err(fail)?;
            std::fs::read_dir(&root).map_err(fail)?;
            Source::Folder { root, cache: Mutex::default() }
        };
        Ok(Self { source, connect_sources: connect_sources.to_vec() })
    }

    /// Whether there is anything to serve; a folder may be filled later.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.source, Source::Embedded(files) if files.is_empty())
    }

    /// Answers GET or HEAD.
    pub(crate) async fn reply<B>(&self, request: &Request<B>) -> Reply {
        let Some(name) = file_name(request.uri().path()) else { return reply::bad_path() };
        if let Some(file) = self.find(&name).await {
            return self.send(&file, request.headers(), StatusCode::OK).await;
        }
        let index = if name.is_empty() { "index.html".to_owned() } else { format!("{name}/index.html") };
        let Some(file) = self.find(&index).await else {
            return if name.is_empty() { reply::no_web_files() } else { reply::not_found(request) };
        };
        if !request.uri().path().ends_with('/') {
            return slash_added(request);
        }
        self.send(&file, request.headers(), StatusCode::OK).await
    }

    async fn find(&self, name: &str) -> Option<Arc<File>> {
        match &self.source {
            Source::Embedded(files) => files.get(name).cloned(),
            Source::Folder { root, cache } => read(root, cache, name).await,
        }
    }

    async fn send(&self, file: &Arc<File>, headers: &HeaderMap, status: StatusCode) -> Reply {
        let (coding, body) = file.best(headers).await;
        let etag = match coding {
            Coding::Brotli => format!("\"{}-br\"", file.tag),
            Coding::Gzip => format!("\"{}-gz\"", file.tag),
            Coding::Identity => format!("\"{}\"", file.tag),
        };
        let known = header_text(headers, &header::IF_NONE_MATCH).is_some_and(|tags| names_tag(&tags, &file.tag));
        let mut reply = Response::new(Full::new(if known { Bytes::new() } else { body }));
        *reply.status_mut() = if known { StatusCode::NOT_MODIFIED } else { status };
        let fields = reply.headers_mut();
        put_text(fields, header::ETAG, &etag);
        fields.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        let caching = if file.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        if !known {
            put_text(fields, header::CONTENT_TYPE, &file.media_type);
            match coding {
                Coding::Brotli => put_text(fields, header::CONTENT_ENCODING, "br"),
                Coding::Gzip => put_text(fields, header::CONTENT_ENCODING, "gzip"),
                Coding::Identity => {}
            }
        }
        policy::guard(fields);
        policy::public(fields);
        if file.is_document || file.is_script {
            policy::document(fields, &self.connect_sources);
        }
        if file.is_script && headers.get("service-worker").is_some_and(|value| value == "script") {
            put_text(fields, header::HeaderName::from_static("service-worker-allowed"), "/");
        }
        reply
    }
}

/// Reads a file below `root`, from memory if it did not change.
async fn read(root: &Path, cache: &Mutex<HashMap<PathBuf, (Stamp, Arc<File>)>>, name: &str) -> Option<Arc<File>> {
    // Links may lead anywhere inside the folder, not out of it.
    let path = tokio::fs::canonicalize(root.join(name)).await.ok().filter(|path| path.starts_with(root))?;
    let meta = tokio::fs::metadata(&path).await.ok().filter(|meta| meta.is_file() && meta.len() <= MAX_FILE_BYTES)?;
    let stamp = (meta.len(), meta.modified().ok());
    if let Some((_, file)) = lock(cache).get(&path).filter(|(known, _)| *known == stamp) {
        return Some(file.clone());
    }
    let content = tokio::fs::read(&path).await.ok()?;
    let file = Arc::new(File::new(name, content.into()));
    let mut cache = lock(cache);
    if cache.len() >= MAX_CACHED_FILES {
        cache.clear();
    }
    cache.insert(path, (stamp, file.clone()));
    Some(file)
}

impl File {
    fn new(name: &str, content: Bytes) -> Self {
        let media_type = media_type(name);
        Self {
            tag: blake3::hash(&content).to_hex().chars().take(32).collect(),
            immutable: is_hashed(name),
            is_document: media_type.starts_with("text/html"),
            is_script: media_type.starts_with("text/javascript"),
            brotli: OnceLock::new(),
            gzip: OnceLock::new(),
            media_type,
            content,
        }
    }

    fn embedded(row: &Embedded) -> Self {
        let file = Self::new(row.name, Bytes::from_static(row.content));
        let _ = file.brotli.set(row.brotli.map(Bytes::from_static));
        let _ = file.gzip.set(row.gzip.map(Bytes::from_static));
        file
    }

    /// The smallest form the client takes.
    async fn best(self: &Arc<Self>, headers: &HeaderMap) -> (Coding, Bytes) {
        let accepted = header_text(headers, &header::ACCEPT_ENCODING).unwrap_or_default();
        for coding in [Coding::Brotli, Coding::Gzip] {
            if accepts(&accepted, coding)
                && let Some(body) = self.compressed(coding).await
            {
                return (coding, body);
            }
        }
        (Coding::Identity, self.content.clone())
    }

    /// The compressed form; made at the first request, away from the threads that serve.
    async fn compressed(self: &Arc<Self>, coding: Coding) -> Option<Bytes> {
        let slot = |file: &File| match coding {
            Coding::Brotli => file.brotli.get().cloned(),
            _ => file.gzip.get().cloned(),
        };
        if let Some(ready) = slot(self) {
            return ready;
        }
        let file = self.clone();
        let made = tokio::task::spawn_blocking(move || match coding {
            Coding::Brotli => file.brotli.get_or_init(|| file.pack(brotli)).clone(),
            _ => file.gzip.get_or_init(|| file.pack(gzip)).clone(),
        });
        made.await.ok().flatten()
    }

    fn pack(&self, with: fn(&[u8]) -> io::Result<Vec<u8>>) -> Option<Bytes> {
        if self.content.len() < MIN_COMPRESSED_BYTES {
            return None;
        }
        let packed = with(&self.content).ok()?;
        (packed.len() < self.content.len() / 20 * 19).then(|| packed.into())
    }
}

fn brotli(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: LIVE_BROTLI_QUALITY, ..Default::default() };
    brotli::BrotliCompress(&mut &*content, &mut packed, &params)?;
    Ok(packed)
}

fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content)?;
    encoder.finish()
}

/// The file a URL path names, relative and without traps: no empty, dotted or hidden segments, no control characters or
/// backslashes, also after decoding. A trailing slash is left out. `None`: not a path we answer.
fn file_name(path: &str) -> Option<String> {
    if path.len() > MAX_PATH_BYTES {
        return None;
    }
    let inner = path.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Some(String::new());
    }
    let mut parts = Vec::new();
    for part in inner.split('/') {
        let part = percent_decode_str(part).decode_utf8().ok()?;
        let trap =
            part.is_empty() || part.starts_with('.') || part.contains(|c: char| c.is_control() || "/\\:".contains(c));
        if trap {
            return None;
        }
        parts.push(part);
    }
    Some(parts.join("/"))
}

/// `/board` → `/board/`, so that relative links work.
fn slash_added<B>(request: &Request<B>) -> Reply {
    let uri = request.uri();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut reply = reply::bytes(StatusCode::PERMANENT_REDIRECT, "text/plain; charset=utf-8", Bytes::new());
    put_text(reply.headers_mut(), header::LOCATION, &format!("{}/{query}", uri.path()));
    reply
}

fn media_type(name: &str) -> String {
    let ext = name.rsplit_once('.').map(|(_, ext)| ext.to_ascii_lowercase()).unwrap_or_default();
    match ext.as_str() {
        // Named here because browsers refuse scripts, WASM and manifests of any other type.
        "js" | "mjs" => "text/javascript; charset=utf-8".into(),
        "wasm" => "application/wasm".into(),
        "webmanifest" => "application/manifest+json".into(),
        "json" | "map" => "application/json".into(),
        _ => {
            let guess = mime_guess::from_ext(&ext).first_or_octet_stream();
            if guess.type_() == mime_guess::mime::TEXT { format!("{guess}; charset=utf-8") } else { guess.to_string() }
        }
    }
}

/// Whether the name carries a content hash, e.g. `chunk-4QRDLZ5T.js` or `app.0a1b2c3d4e.css`: such a file never changes.
fn is_hashed(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let Some((stem, _)) = file.rsplit_once('.') else { return false };
    let Some((_, last)) = stem.rsplit_once(['-', '.']) else { return false };
    let base32 = |c: char| matches!(c, 'A'..='Z' | '2'..='7');
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    last.len() >= MIN_HASH_CHARS
        && (last.chars().all(base32) || (last.chars().all(hex) && last.contains(|c: char| c.is_ascii_digit())))
}

fn header_text(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

fn put_text(headers: &mut HeaderMap, name: header::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// Whether `Accept-Encoding` takes this coding (RFC 9110, 12.5.3); `q=0` is a refusal.
fn accepts(accepted: &str, coding: Coding) -> bool {
    let name = match coding {
        Coding::Brotli => "br",
        Coding::Gzip => "gzip",
        Coding::Identity => "identity",
    };
    let weight = |wanted: &str| {
        accepted.split(',').find_map(|part| {
            let (coding, params) = part.split_once(';').unwrap_or((part, ""));
            coding
                .trim()
                .eq_ignore_ascii_case(wanted)
                .then(|| params.trim().strip_prefix("q=").map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0)))
        })
    };
    weight(name).or_else(|| weight("*")).is_some_and(|q| q > 0.0)
}

/// Whether `If-None-Match` names this content in any of its codings.
fn names_tag(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|known| {
        let known = known.strip_prefix("W/").unwrap_or(known).trim_matches('"');
        known == "*" || known == tag || known.strip_suffix("-br").or(known.strip_suffix("-gz")) == Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_leave_the_folder() {
        for trap in [
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/a/%2e%2e%2fx",
            "/..%5cx",
            "/.git/config",
            "/a//b",
            "/%00",
            "/c:/x",
            "x",
        ] {
            assert_eq!(file_name(trap), None, "{trap}");
        }
        assert_eq!(file_name("/").as_deref(), Some(""));
        assert_eq!(file_name("/board/").as_deref(), Some("board"));
        assert_eq!(file_name("/a/b%20c.js").as_deref(), Some("a/b c.js"));
    }

    #[test]
    fn only_names_with_a_hash_are_immutable() {
        for hashed in ["chunk-4QRDLZ5T.js", "kith/peer.0a1b2c3d4e5f.wasm", "a-ABCDEFGH.css"] {
            assert!(is_hashed(hashed), "{hashed}");
        }
        for plain in [
            "kith.js",
            "kith-worker-classic.js",
            "peer_bg.wasm",
            "index.html",
            "kith-heartbeat.js",
            "a-deadbeef.js",
            "board-20.js",
        ] {
            assert!(!is_hashed(plain), "{plain}");
        }
    }

    #[test]
    fn browsers_get_the_types_they_insist_on() {
        assert_eq!(media_type("kith/peer_bg.wasm"), "application/wasm");
        assert_eq!(media_type("kith.js"), "text/javascript; charset=utf-8");
        assert_eq!(media_type("a.css"), "text/css; charset=utf-8");
        assert_eq!(media_type("index.html"), "text/html; charset=utf-8");
        assert_eq!(media_type("icon.svg"), "image/svg+xml");
        assert_eq!(media_type("app.webmanifest"), "application/manifest+json");
        assert_eq!(media_type("LICENSE"), "application/octet-stream");
    }

    #[tokio::test]
    async fn files_inside_the_binary_are_sent_as_the_build_packed_them() {
        let row = |name| Embedded { name, content: b"plain", brotli: Some(b"br"), gzip: None };
        let files = WebFiles {
            source: Source::embedded(&[row("index.html"), row("board/index.html")]),
            connect_sources: vec![],
        };
        let body = async |path: &str, accept: &str| {
            let request = Request::get(path).header("accept-encoding", accept).body(()).unwrap();
            let (head, body) = files.reply(&request).await.into_parts();
            let bytes = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
            (head.status.as_u16(), head.headers.get("content-encoding").cloned(), bytes)
        };
        for path in ["/", "/board/", "/index.html"] {
            assert_eq!(body(path, "br, gzip").await, (200, Some(HeaderValue::from_static("br")), Bytes::from("br")));
            assert_eq!(body(path, "gzip").await, (200, None, Bytes::from("plain")));
        }
        assert_eq!(body("/board", "").await.0, 308);
        assert_eq!(body("/../index.html", "").await.0, 400);
        assert_eq!(body("/nothing", "").await.0, 404);
    }

    #[test]
    fn codings_are_taken_as_the_client_says() {
        assert!(accepts("gzip, deflate, br", Coding::Brotli));
        assert!(!accepts("gzip, br;q=0", Coding::Brotli));
        assert!(accepts("*", Coding::Gzip));
        assert!(!accepts("*;q=0", Coding::Gzip));
        assert!(!accepts("", Coding::Gzip));
        assert!(!accepts("brotli", Coding::Brotli));
    }
}
