//! HTTP requests, through parsing and the rendering of every reply.

/// Runs one request; the laws are checked where the mapping lives.
pub(crate) fn request(data: &[u8]) -> u64 {
    kith_peer::http::fuzz_http(data);
    0
}

pub(crate) fn request_seeds() -> Vec<Vec<u8>> {
    [
        "GET\nhttp://localhost/~/me/notes/1?version=a-1\nAccept: application/json\nIf-None-Match: \"x\"\n\n",
        "PUT\nhttp://localhost/~/me/notes/1\nContent-Type: application/json\nVersion: \"a-1\"\n\n{\"a\":[1,2]}",
        "PATCH\nhttp://localhost/~/me/a/b\nContent-Type: application/merge-patch+json\n\n{\"a\":null}",
        "PATCH\nhttp://localhost/~/me/a\nContent-Range: json .tags[0:0]\nContent-Type: application/json\n\n[\"hot\"]",
        "PUT\nhttp://localhost/~/me/a\nPatches: 1\n\nContent-Length: 1\nContent-Range: json .a\n\n1\n",
        "GET\nhttp://localhost/~/me/notes/?start=a&limit=10&reverse=1&values=1\nSubscribe: ?1\nHeartbeats: 5s\n\n",
        "GET\nhttp://localhost/~/me/$changes?since=1.0\nAccept: text/event-stream\nLast-Event-ID: 4.1\n\n",
        "POST\nhttp://localhost/~/spaces\nContent-Type: application/json\n\n{\"name\":\"Trip\"}",
        "GET\nhttp://localhost/~/me/img\nRange: bytes=1-2\n\n",
        "OPTIONS\nhttp://localhost/~/me/x\n\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// What requests are made of.
pub(crate) const WORDS: &[&str] = &[
    "GET",
    "PUT",
    "PATCH",
    "DELETE",
    "POST",
    "HEAD",
    "\n",
    "\n\n",
    "\r\n",
    ": ",
    "/~/",
    "/~/me/",
    "$changes",
    "$invites",
    "$members",
    "%00",
    "%2F",
    "%ff",
    "?",
    "&",
    "Subscribe: true\n",
    "Parents: \"a-1\"\n",
    "Patches: 2\n",
    "Content-Range: json .a[0:1]\n",
    "Content-Length: 5\n",
    "If-Match: *\n",
    "Range: bytes=-1\n",
    "Accept: */*\n",
    "Heartbeats: 0s\n",
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
];
